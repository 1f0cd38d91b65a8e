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
from xreasoner.runs import disk_guard, folder_hash

_MICRO_BUDGETS = (72, 6)  # recipes/micro.yaml
_PAPER_BUDGETS = (4096, 1024)  # thoughts: paper section 3; the answer's share is not disclosed, our choice


def evaluate_model(model: Path, suite: str, image: str, limit: int | None, epochs: int, out: Path | None) -> None:
    """Evaluates a VLM with forced exit and prints its cells; logs and samples go to `out`. One epoch is greedy, several
    sample at temperature 0.3 (paper section 3).

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
    spec = EvalSpec(
        suite=suite,
        epochs=epochs,
        temperature=0.0 if epochs == 1 else 0.3,
        think_budget=think_budget,
        answer_budget=answer_budget,
        limit=limit,
    )
    weights = folder_hash(model)
    folder = out or Path("runs") / f"eval-{model.resolve().name}-{weights[:8]}-{suite}-{image}"
    console = Console()
    with disk_guard(folder), console.status("loading") as status:
        cells = evaluate(
            LocalSampler.from_dir(model),
            checkpoint=model.resolve().name,
            suite=suite,
            spec=spec,
            seed=0,
            weights=weights,
            control=image,  # type: ignore[arg-type]
            limit=limit,
            images=folder / "pictures",
            out_dir=folder,
            progress=lambda event: status.update(f"{event['done']} of {event['total']} answered"),
        )
    table = Table(title=f"{model} on {suite}, pictures: {image}", title_justify="left")
    for heading in ("domain", "modality", "steps", "n", "accuracy", "forced", "no answer", "tokens"):
        table.add_column(heading, justify="left" if heading in ("domain", "modality") else "right")
    for c in cells:
        accuracy = f"{c['accuracy']:.1%}" + (f" ± {c['stderr']:.1%}" if c["stderr"] is not None else "")
        shares = (f"{c['forced_rate']:.1%}", f"{c['no_answer_rate']:.1%}", f"{c['mean_tokens']:.0f}")
        table.add_row(c["domain"], c["modality"], str(c["steps"]), str(c["n"]), accuracy, *shares)
    console.print(table)
    console.print(f"samples: {folder / 'samples.jsonl'}")
