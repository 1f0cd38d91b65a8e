import pytest

from xreasoner.config import LaunchSpec
from xreasoner.errors import RecipeError
from xreasoner.plan.machine import machine_of, parse_memory


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
