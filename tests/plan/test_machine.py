import pytest

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.plan.machine import GPUS, gpu_named, machine_of, parse_memory


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("80GB", 80_000_000_000),
        ("40GiB", 40 * 2**30),
        ("24gb", 24_000_000_000),
        (" 512 MiB ", 512 * 2**20),
        ("0.08TB", 80_000_000_000),
        ("141.5gb", 141_500_000_000),
    ],
)
def test_sizes_are_read(text: str, nbytes: int) -> None:
    assert parse_memory(text) == nbytes


NONSENSE = [
    "",
    "80",
    "GB",
    "-80GB",
    "80 gigs",
    "80Gib2",
    "1e9GB",
    "80iB",
    "٨٠GB",
    "0GB",
    "1B",
    "999999999TB",
    "inf",
    "8" * 40 + "GB",
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused_in_one_short_sentence(text: str) -> None:
    with pytest.raises(RecipeError, match="80GB") as caught:
        parse_memory(text)
    assert len(str(caught.value)) < 140


def test_a_named_gpu() -> None:
    launch = LaunchSpec(processes=8, nodes=2)
    small, large = machine_of(launch, None, "40GB"), machine_of(launch, 3, "80GB")
    assert (small.count, small.flops, small.device) == (16, 312e12, "cuda")
    assert (large.count, large.flops, large.memory) == (3, 989e12, 80_000_000_000)
    assert large.usable < large.memory


@pytest.mark.parametrize(
    ("driver", "memory", "kind"),
    [
        ("NVIDIA A100-SXM4-40GB", 42.4e9, "a100-40gb"),
        ("NVIDIA A100-PCIE-40GB", 42.4e9, "a100-40gb"),
        ("NVIDIA A100-SXM4-80GB", 85e9, "a100"),
        ("NVIDIA A100 80GB PCIe", 85e9, "a100-pcie"),
        ("NVIDIA H100 80GB HBM3", 85e9, "h100"),
        ("NVIDIA H100 PCIe", 85e9, "h100-pcie"),
        ("NVIDIA H100 NVL", 100e9, "h100-nvl"),
        ("NVIDIA H200", 150e9, "h200"),
        ("NVIDIA B200", 191e9, "b200"),
        ("NVIDIA L40S", 48e9, "l40s"),
        ("NVIDIA L4", 24e9, "l4"),
        ("NVIDIA GeForce RTX 4090", 25e9, "rtx4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 17e9, None),
        ("NVIDIA GH200 480GB", 102e9, None),
        ("Tesla T4", 16e9, None),
    ],
)
def test_what_drivers_call_gpus(driver: str, memory: float, kind: str | None) -> None:
    assert gpu_named(driver, int(memory)) == (GPUS[kind] if kind else None)


def test_a_gpu_by_its_kind() -> None:
    """An A100 of 80 GB is neither an H100 nor as fast to read as the SXM card if it is the PCIe one."""
    told = machine_of(LaunchSpec(), 2, None, "A100")
    assert (told.count, told.memory, told.flops, told.bandwidth, told.guessed) == (2, 80e9, 312e12, 2.039e12, False)
    assert machine_of(LaunchSpec(), 2, None, "a100-pcie").bandwidth == 1.935e12
    assert machine_of(LaunchSpec(), 2, "39GiB", "a100-40gb").memory == 39 * 2**30
    assert machine_of(LaunchSpec(), 2, "80GB").guessed
    with pytest.raises(RecipeError, match="choose of a100-40gb, a100,"):
        machine_of(LaunchSpec(), 2, None, "abacus")


def test_this_machines_cpu() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    machine = machine_of(LaunchSpec(), None, None)
    assert machine.device == "cpu"
    assert machine.memory > 2**28
    assert machine.flops is not None
    assert machine.flops > 1e8
    with pytest.raises(RecipeError, match="--gpu-memory"):
        machine_of(LaunchSpec(), 2, None)
