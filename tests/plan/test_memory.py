"""The parts of a peak, worked by hand."""

import pytest

from xreasoner.config import LaunchSpec, LoraSpec, RlSpec, SftSpec
from xreasoner.model.shapes import config_of
from xreasoner.plan.activations import Batch, head_bytes, kept_bytes, layer_bytes
from xreasoner.plan.memory import (
    Lengths,
    accumulates,
    adapter_parameters,
    cache_bytes_a_token,
    host_bytes,
    mode_of,
    moments,
    sampling_peak,
    stage_peak,
    vllm_needs,
)
from xreasoner.plan.sizes import Sizes, sizes_of

# A tower of two layers: hidden 8, two heads of 4 and one for keys and values, MLP 16, 10 words, head not tied.
TINY = Sizes(
    layers=2, hidden=8, wide=16, heads=2, kv_heads=1, head_dim=4, vocabulary=10, tied=False, qk_norm=False,
    tower=1400, embedding=80,
)  # fmt: skip
SEVEN = sizes_of(config_of("Qwen/Qwen2.5-VL-7B-Instruct"))
LENGTHS = Lengths(512, 4096)


def sft(**changes: object) -> SftSpec:
    plain = {"data": "micro-math", "epochs": 1, "batch_sequences": 128, "micro_batch_sequences": 4, "overlong": "cut"}
    plain |= {"learning_rate": 1e-5, "schedule": "cosine", "max_tokens": 4096, "save_every_steps": 1, "bf16": True}
    return SftSpec.model_validate({**plain, "gradient_checkpointing": True, **changes})


def rl(**changes: object) -> RlSpec:
    plain = {"data": "micro-math", "steps": 1, "prompts_per_step": 128, "rollouts_per_prompt": 8, "think_budget": None}
    plain |= {"answer_budget": 3584, "clip_low": 0.2, "clip_high": 0.2, "kl_coef": 0.0, "micro_batch_sequences": 4}
    plain |= {"learning_rate": 1e-5, "schedule": "cosine", "save_every_steps": 1, "bf16": True}
    return RlSpec.model_validate({**plain, "gradient_checkpointing": True, **changes})


def launch(**changes: object) -> LaunchSpec:
    return LaunchSpec.model_validate(changes)


def test_sizes_of_the_papers_model() -> None:
    assert (SEVEN.tower, SEVEN.tower + SEVEN.vision) == (7_615_616_512, 8_292_166_656)
    assert SEVEN.matmul == 7_615_616_512 - 152064 * 3584  # without the table that is only looked up
    assert (SEVEN.patch, SEVEN.pixels_a_token, SEVEN.patches_a_token) == (3 * 2 * 14 * 14, 28 * 28, 4)


def test_a_token_in_the_cache() -> None:
    """28 layers, keys and values, 4 heads of 128, 2 bytes."""
    assert cache_bytes_a_token(SEVEN) == 28 * 2 * 4 * 128 * 2 == 57_344
    assert cache_bytes_a_token(SEVEN, "float32") == 2 * 57_344
    assert cache_bytes_a_token(SEVEN, "autocast") == 28 * 4 * 128 * (4 + 2)  # float32 keys, bfloat16 values


@pytest.mark.parametrize(
    ("mode", "masked", "numbers"),
    [
        # norms: two inputs and two outputs of 8; linear inputs 8 + 8 + 16; queries, result 8 + 8, keys, values 4 + 4 of
        # one head (8 + 8 repeated); gate, activation, up 3 x 16; two log-sums and two inverse norms; 4 bytes each.
        ("float32", False, 4 * (32 + 32 + 16 + 8 + 48 + 2 + 2)),
        ("float32", True, 4 * (32 + 32 + 16 + 16 + 48 + 2 + 2)),
        # the norms' in float32; bfloat16 copies for q, k, v, gate, up, and the product's; the rest bfloat16
        ("autocast", False, 4 * 32 + 2 * (5 * 8 + 16) + 2 * (16 + 8 + 48) + 4 * (2 + 2)),
        # the norms' inputs in float32, their outputs and all else bfloat16
        ("bfloat16", False, 4 * 16 + 2 * 16 + 2 * (16 + 16) + 2 * (16 + 8 + 48) + 4 * (2 + 2)),
    ],
)
def test_a_layer_by_hand(mode: str, masked: bool, numbers: int) -> None:
    batch = Batch(rows=3, length=5, masked=masked)
    mask = 3 * 5 * 5 * 4 if masked else 0
    assert layer_bytes(TINY, batch, mode, None) == 15 * numbers + mask  # type: ignore[arg-type]


def test_a_layer_with_adapters_by_hand() -> None:
    """Frozen norms keep their input alone; q and v share theirs, which is cast for each under bfloat16."""
    lora, batch = LoraSpec(rank=2, alpha=4, targets=("q_proj", "v_proj")), Batch(1, 1, masked=False)
    attention, mlp, small = 8 + 8 + 4 + 4, 48, 2 + 2
    assert layer_bytes(TINY, batch, "float32", lora) == 4 * (16 + 8 + 2 * 2 + attention + mlp + small)
    assert layer_bytes(TINY, batch, "bfloat16", lora) == 4 * (16 + small) + 2 * (2 * 8 + 2 * 2 + attention + mlp)


def test_checkpointing_keeps_the_stream_alone() -> None:
    batch = Batch(3, 5, masked=False)
    assert kept_bytes(TINY, batch, "float32", checkpointing=True) == 15 * 4 * (2 * 8 + 2 * 8)
    assert kept_bytes(TINY, batch, "float32", False) == 2 * layer_bytes(TINY, batch, "float32") + 15 * 4 * 2 * 8


def test_the_head_keeps_one_tile_of_the_vocabulary() -> None:
    """On a GPU: hidden states and their gradient for every scored token, a buffer of 4,096 x 32,768 numbers, and in
    bfloat16 the tile's hidden states and words; not the 2.5 GB that 4,096 tokens' logits would take."""
    got = head_bytes(SEVEN, Batch(1, 4096), 4096, "autocast", "cuda", backward=True)
    assert got == 4095 * 3584 * (4 + 4) + 4095 * 32768 * 2 + (4095 + 32768) * 3584 * 2
    on_cpu = head_bytes(SEVEN, Batch(1, 4096), 4096, "autocast", "cpu", backward=True)
    assert on_cpu - got == int(4095 * 32768 * 4 * 7.25)


def test_adam_by_hand() -> None:
    """16 bytes a parameter: itself, its gradient and two moments, all in float32; one process has no buckets."""
    found = {peak.moment: peak.parts for peak in moments(SEVEN, sft(), LENGTHS)}
    end = found["end of backward"]
    assert end["weights"] + end["gradients"] + end["optimizer"] == 16 * 7_615_616_512
    assert (end["weights"], end["optimizer"]) == (4 * 7_615_616_512, 8 * 7_615_616_512)
    assert "buckets" not in end
    of_two = {peak.moment: peak.parts for peak in moments(SEVEN, sft(), LENGTHS, launch(processes=2))}
    assert of_two["end of backward"]["buckets"] == 4 * 7_615_616_512


def test_copies_of_autocast_go_before_the_backward_pass_under_checkpointing() -> None:
    layers = 28 * SEVEN.layer
    found = {peak.moment: peak.parts for peak in moments(SEVEN, sft(), LENGTHS)}
    assert found["forward"]["casts"] == 2 * layers
    assert "casts" not in found["backward"]
    kept = {peak.moment: peak.parts for peak in moments(SEVEN, sft(gradient_checkpointing=False), LENGTHS)}
    assert kept["backward"]["casts"] == 2 * layers


def test_modes() -> None:
    lora = {"rank": 8, "alpha": 16}
    assert mode_of(sft(bf16=False), launch()) == "float32"
    assert mode_of(sft(), launch()) == "autocast"
    assert mode_of(sft(lora=lora), launch()) == "bfloat16"
    assert mode_of(sft(), launch(processes=2, sharding="fsdp2")) == "bfloat16"


def test_adapters_by_hand() -> None:
    spec = sft(lora={"rank": 64, "alpha": 128})
    a_layer = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
    assert adapter_parameters(SEVEN, spec) == 28 * 64 * a_layer == 161_480_704
    parts = stage_peak(SEVEN, spec, LENGTHS).parts
    assert parts["weights"] == 2 * 7_615_616_512 + 4 * 161_480_704
    assert parts["optimizer"] == 8 * 161_480_704


def test_sharing_out_divides_what_is_held() -> None:
    eight, at_once = launch(processes=8, sharding="fsdp2"), sft(batch_sequences=32)
    parts = stage_peak(SEVEN, at_once, LENGTHS, eight).parts
    assert parts["weights"] == 4 * 7_615_616_512 // 8
    assert parts["optimizer"] == 8 * 7_615_616_512 // 8
    away = stage_peak(SEVEN, at_once, LENGTHS, launch(processes=8, sharding="fsdp2", offload=True))
    assert {"weights", "optimizer", "gradients"} & set(away.parts) == set()
    assert away.total < sum(parts.values()) < stage_peak(SEVEN, at_once, LENGTHS).total


def test_between_updates_fsdp2_keeps_shares_of_gradients() -> None:
    """Every micro-batch is reduced, in float32; offloaded, the sum lies in the CPU's memory."""
    for offload in (False, True):
        eight = launch(processes=8, sharding="fsdp2", offload=offload)
        found = {peak.moment: peak.parts for peak in moments(SEVEN, sft(), LENGTHS, eight)}
        for moment in ("backward", "end of backward"):
            assert found[moment].get("gradients", 0) == (0 if offload else 4 * 7_615_616_512 // 8)


def test_what_is_gathered_under_fsdp2() -> None:
    """In bfloat16 two layers and a table of words; the gradients of one of each beside float32 copies of them."""
    parts = stage_peak(SEVEN, sft(), LENGTHS, launch(processes=8, sharding="fsdp2")).parts
    table, layer = 152064 * 3584, SEVEN.layer
    assert parts["gathered"] == (2 * layer + table) * 2 + (layer + table) * (2 + 4)


def test_a_reference_under_fsdp2_is_gathered_whole() -> None:
    eight = launch(processes=8, sharding="fsdp2", rollout="vllm", vllm={"sleep": True})
    found = {p.moment: p.parts for p in moments(SEVEN, rl(kl_coef=0.01), LENGTHS, eight, memory=80_000_000_000)}
    assert found["reference's pass"]["gathered"] == 2 * 2 * 7_615_616_512
    assert "vllm" not in found["reference's pass"]
    assert found["rollout"]["gathered"] == 4 * 152064 * 3584  # the largest weight, on its way to vLLM
    assert "reference's pass" not in {p.moment for p in moments(SEVEN, rl(), LENGTHS, eight)}


@pytest.mark.parametrize(
    ("changes", "of_w"),
    [
        ({"processes": 8}, 8 * 4),  # each reads a float32 tower, and the reference once the tower has gone to the GPU
        ({"processes": 8, "nodes": 4}, 8 * 4),
        ({"processes": 8, "sharding": "fsdp2", "rollout": "vllm"}, 8 * 8),  # both wait for sharding
        ({"processes": 8, "sharding": "fsdp2", "offload": True, "rollout": "vllm"}, 8 * 8),
        ({"processes": 2, "sharding": "fsdp2", "offload": True, "rollout": "vllm"}, 20 + 8),
    ],
)
def test_the_cpus_memory(changes: dict[str, object], of_w: int) -> None:
    assert host_bytes(SEVEN, rl(kl_coef=0.01), launch(**changes)) == of_w * 7_615_616_512


def test_the_cpus_memory_without_a_reference_and_with_adapters() -> None:
    eight = launch(processes=8, sharding="fsdp2")
    assert host_bytes(SEVEN, sft(), eight) == 8 * 4 * 7_615_616_512
    two = launch(processes=2, sharding="fsdp2", offload=True)
    assert host_bytes(SEVEN, sft(), two) == (16 + 8) * 7_615_616_512
    assert host_bytes(SEVEN, sft(lora={"rank": 8, "alpha": 16}), launch(processes=2)) == 2 * 2 * 7_615_616_512


def test_a_share_of_vllm_that_cannot_hold_its_weights() -> None:
    """15,231,233,024 bytes of weights, and 4,096 tokens of 57,344 bytes; on two GPUs half of both."""
    row = 4096 * 57_344
    assert vllm_needs(SEVEN, LENGTHS, 1) == 15_231_233_024 + row
    assert vllm_needs(SEVEN, LENGTHS, 2) == (15_231_233_024 + row) // 2
    assert vllm_needs(SEVEN, LENGTHS, 8) == 15_231_233_024 // 8 + row // 4  # there are four heads of keys
    memory = 40_000_000_000
    lean = stage_peak(SEVEN, rl(), LENGTHS, launch(rollout="vllm", vllm={"memory_share": 0.3}), memory=memory)
    assert lean.lacks == 15_231_233_024 + row - 12_000_000_000
    assert not lean.fits(lean.total)
    wide = stage_peak(SEVEN, rl(), LENGTHS, launch(rollout="vllm", vllm={"memory_share": 0.4}), memory=memory)
    assert wide.lacks == 0
    assert wide.fits(wide.total)
    assert not wide.fits(wide.total - 1)


def test_the_reference_is_a_second_model_but_with_adapters() -> None:
    without = stage_peak(SEVEN, rl(), LENGTHS)
    assert stage_peak(SEVEN, rl(kl_coef=0.01), LENGTHS).total - without.total == 4 * 7_615_616_512
    lora = {"rank": 8, "alpha": 16}
    assert stage_peak(SEVEN, rl(kl_coef=0.01, lora=lora), LENGTHS) == stage_peak(SEVEN, rl(lora=lora), LENGTHS)


def test_rollouts_hold_the_cache_of_256_rows() -> None:
    found = {peak.moment: peak.parts for peak in moments(SEVEN, rl(), LENGTHS)}
    cache = 256 * (4096 + 64) * 28 * 4 * 128 * 6
    assert found["rollout"]["cache"] == cache + cache // 28
    assert found["rollout"]["optimizer"] == 8 * 7_615_616_512


def test_vllm_takes_its_share_and_gives_it_back_asleep() -> None:
    beside = launch(rollout="vllm")
    asleep = launch(rollout="vllm", vllm={"sleep": True})
    memory = 80_000_000_000
    stay = {p.moment: p.parts for p in moments(SEVEN, rl(), LENGTHS, beside, memory=memory)}
    assert stay["backward"]["vllm"] == stay["rollout"]["vllm"] == 32_000_000_000
    away = {p.moment: p.parts for p in moments(SEVEN, rl(), LENGTHS, asleep, memory=memory)}
    assert "vllm" not in away["backward"]
    assert away["rollout"]["vllm"] == 32_000_000_000


def test_gradients_lie_beside_activations_where_micro_batches_accumulate() -> None:
    assert accumulates(sft(batch_sequences=128, micro_batch_sequences=4), world=31)
    assert not accumulates(sft(batch_sequences=128, micro_batch_sequences=4), world=32)
    assert accumulates(rl(updates_per_step=2), world=1)
    assert not accumulates(rl(prompts_per_step=2, rollouts_per_prompt=2), world=1)


@pytest.mark.parametrize("field", ["micro_batch_sequences", "length"])
def test_more_takes_more(field: str) -> None:
    if field == "length":
        peaks = [stage_peak(SEVEN, sft(), Lengths(100, n)).total for n in (512, 4096, 16384)]
    else:
        peaks = [stage_peak(SEVEN, sft(micro_batch_sequences=n), LENGTHS).total for n in (1, 8, 32)]
    assert peaks == sorted(peaks)
    assert len(set(peaks)) > 1


def test_a_teacher_has_no_eyes() -> None:
    seeing = sampling_peak(SEVEN, LENGTHS, 8)
    assert seeing.total - sampling_peak(SEVEN, LENGTHS, 8, vision=False).total == 2 * SEVEN.vision
