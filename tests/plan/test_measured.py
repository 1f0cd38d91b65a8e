"""The estimates against peaks that were measured in real training on the CPU."""

from pathlib import Path

import pytest
import torch
from measured import SFT_POINTS, Point, micro_sizes, peak_bytes, rl_point, sft_point
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from xreasoner.config import RlSpec, SftSpec, load
from xreasoner.data.datasets import load_training
from xreasoner.micro.examples import evaluation_examples
from xreasoner.micro.tokenizer import save_tokenizer
from xreasoner.model.hub import MICRO
from xreasoner.model.tower import detach
from xreasoner.plan.memory import Lengths, sampling_peak
from xreasoner.plan.sizes import sizes_of
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Prompt, SamplingParams

RECIPE = Path(__file__).parents[2] / "recipes" / "micro.yaml"
# Two epochs, so that the longest rows also meet AdamW's moments.
SMALL = ("batch_sequences=8", "micro_batch_sequences=8", "epochs=2")


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("micro") / "tower"
    detach(MICRO, folder)
    return folder


def sft(tower: Path, *changes: str, rows: int = 16, sizes: object = None) -> tuple[Point, SftSpec]:
    spec = load(RECIPE, [f"sft.{change}" for change in changes]).training[0]
    assert isinstance(spec, SftSpec)
    examples = list(load_training(spec.data, 0))[:rows]
    return sft_point(tower, sizes or micro_sizes(), spec, examples), spec  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [(), pytest.param(("lora={rank: 8, alpha: 16}", "bf16=true"), marks=pytest.mark.slow)]
)
def test_sft_of_the_micro_model(tower: Path, changes: tuple[str, ...]) -> None:
    point, _ = sft(tower, *SMALL, *changes)
    assert abs(point.error) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("changes", SFT_POINTS[:3])
def test_sft_of_the_micro_recipe_and_changes_to_it(tower: Path, changes: tuple[str, ...]) -> None:
    point, _ = sft(tower, *changes, rows=96)
    assert abs(point.error) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [("batch_sequences=2",), ("max_tokens=50", "batch_sequences=4", "gradient_checkpointing=true", "bf16=true")],
)
@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_sft_of_other_shapes(tmp_path: Path, kind: str, changes: tuple[str, ...]) -> None:
    """Wide enough that weights, gradients and optimizer count, and of both families of towers; at 50 tokens almost all
    rows are cut, so that the second micro-batch, which meets gradients, is as long as the first."""
    save_tokenizer(tmp_path / "tower")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tower")
    of, model = (Qwen2Config, Qwen2ForCausalLM) if kind == "qwen2" else (Qwen3Config, Qwen3ForCausalLM)
    settings = of(
        vocab_size=len(tokenizer),
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model(settings).save_pretrained(tmp_path / "tower")
    own = ("micro_batch_sequences=2", "epochs=2", *changes)
    point, _ = sft(tmp_path / "tower", *own, rows=6, sizes=sizes_of(settings))
    assert abs(point.error) < 0.1


@pytest.mark.slow
def test_rl_of_the_micro_model(tower: Path) -> None:
    """From a base that answers at once, with budgets to match; every row has an advantage."""
    own = ["steps=2", "think_budget=8", "answer_budget=6", "prompts_per_step=8"]
    spec = load(RECIPE, [f"rl.{change}" for change in own]).training[1]
    assert isinstance(spec, RlSpec)
    point = rl_point(tower, micro_sizes(), spec, list(load_training(spec.data, 0)))
    assert abs(point.error) < 0.25


@pytest.mark.slow
def test_an_evaluation_with_pictures(tmp_path: Path) -> None:
    shown = [e for e in evaluation_examples("dev", {3: 4}, tmp_path) if e.images]
    prompts = [Prompt(e.messages, seed=i) for i, e in enumerate(shown)]
    params = SamplingParams(12, 6, 0.0, seed=0)
    longest = 0

    def answer() -> None:
        nonlocal longest
        sampler = LocalSampler.from_dir(MICRO, device="cpu")
        longest = max(len(sampler.prompt_ids(prompt)) for prompt in prompts)
        sampler.generate(prompts, params)

    measured = peak_bytes(answer)
    estimate = sampling_peak(micro_sizes(), Lengths(longest, longest + 10), len(prompts), weight_bytes=4, images=16)
    assert estimate.moment == "prefill"
    assert abs(estimate.total / measured - 1) < 0.1
