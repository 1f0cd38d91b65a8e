"""One model on one suite, outside of a recipe: what `xreasoner eval` does."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from xreasoner.config import EvalSpec, ImageControl
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import suite_benchmarks
from xreasoner.model.families import family_of

_MICRO_BUDGETS = (72, 6)  # recipes/micro.yaml
_PAPER_BUDGETS = (4096, 1024)  # thoughts: paper section 3; the answer's share is not disclosed, our choice


def evaluate_model(model: Path, suite: str, image: str, limit: int | None, epochs: int, out: Path | None) -> None:
    """Evaluates a VLM greedily, with forced exit, and prints its cells; logs and samples go to `out`.

    Raises:
        RecipeError: unknown suite or control. ModelError: no such model, or of no known family.
    """
    controls = get_args(ImageControl)
    if image not in controls:
        raise RecipeError(f"--image {image} is no control: choose one of {', '.join(controls)}.")
    suite_benchmarks(suite)
    family_of(model)
    from xreasoner.eval.task import evaluate
    from xreasoner.rollout.local import LocalSampler

    think_budget, answer_budget = _MICRO_BUDGETS if suite == "micro" else _PAPER_BUDGETS
    spec = EvalSpec(suite=suite, epochs=epochs, think_budget=think_budget, answer_budget=answer_budget, limit=limit)
    folder = out or Path("runs") / f"eval-{model.resolve().name}-{suite}-{image}"
    cells = evaluate(
        LocalSampler.from_dir(model),
        checkpoint=model.resolve().name,
        suite=suite,
        spec=spec,
        seed=0,
        control=image,  # type: ignore[arg-type]
        limit=limit,
        images=folder / "pictures",
        out_dir=folder,
    )
    table = Table(title=f"{model} on {suite}, pictures: {image}", title_justify="left")
    for heading in ("domain", "modality", "steps", "n", "accuracy", "forced", "no answer", "tokens"):
        table.add_column(heading, justify="left" if heading in ("domain", "modality") else "right")
    for c in cells:
        accuracy = f"{c['accuracy']:.1%}" + (f" ± {c['stderr']:.1%}" if c["stderr"] is not None else "")
        shares = (f"{c['forced_rate']:.1%}", f"{c['no_answer_rate']:.1%}", f"{c['mean_tokens']:.0f}")
        table.add_row(c["domain"], c["modality"], str(c["steps"]), str(c["n"]), accuracy, *shares)
    Console().print(table)
    Console().print(f"samples: {folder / 'samples.jsonl'}")
