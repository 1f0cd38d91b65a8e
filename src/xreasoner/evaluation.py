"""One model on one suite, outside of a recipe: what `xreasoner eval` does."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from xreasoner.config import EvalSpec, ImageControl
from xreasoner.errors import RecipeError
from xreasoner.eval.benchmarks import suite_benchmarks
from xreasoner.files import disk_guard, lock_folder
from xreasoner.model.families import family_of
from xreasoner.runs import folder_hash


def default_spec(suite: str, limit: int | None, epochs: int) -> EvalSpec:
    """How a suite is evaluated outside of a recipe: the largest budgets of its benchmarks; one epoch is greedy, several
    sample at temperature 0.3 (paper section 3).

    Raises:
        RecipeError: unknown suite. DataError: a file that it reads is not there.
    """
    benchmarks = suite_benchmarks(suite)
    spec = EvalSpec(
        suite=suite,
        epochs=epochs,
        temperature=0.0 if epochs == 1 else 0.3,
        think_budget=max(b.budgets[0] for b in benchmarks),
        answer_budget=max(b.budgets[1] for b in benchmarks),
        limit=limit,
    )
    for benchmark in benchmarks:
        benchmark.check(spec.split)
    return spec


def evaluate_model(model: Path, suite: str, image: str, limit: int | None, epochs: int, out: Path | None) -> None:
    """Evaluates a VLM with forced exit and prints its cells; logs and samples go to `out`.

    Raises:
        RunError: another process is evaluating into `out`, or it cannot be written.
        RecipeError: unknown suite or control. DataError: the suite's file is not there. ModelError: no such model, or
            of no known family.
    """
    controls = get_args(ImageControl)
    if image not in controls:
        raise RecipeError(f"--image {image} is no control: choose one of {', '.join(controls)}.")
    spec = default_spec(suite, limit, epochs)
    family_of(model)
    from xreasoner.eval.task import evaluate
    from xreasoner.rollout.local import LocalSampler

    weights = folder_hash(model)
    folder = out or Path("runs") / f"eval-{model.resolve().name}-{weights[:8]}-{suite}-{image}"
    console = Console()
    with disk_guard(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with disk_guard(folder), lock_folder(folder), console.status("loading") as status:
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
