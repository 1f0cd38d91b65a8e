"""A teacher on a dataset, outside of a recipe: what `xreasoner distill` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from xreasoner.config import DataSpec, DistillSpec, TeacherSpec
from xreasoner.data.datasets import DATASETS, Drawn, check_spec, load_training, shows_pictures
from xreasoner.data.prepare import open_prepared, prepare
from xreasoner.distill import PROBLEMS, SAMPLES, TRACES, distill, teacher_of
from xreasoner.errors import RecipeError
from xreasoner.files import disk_guard, lock_folder
from xreasoner.types import Example

_ROWS = "data"  # the folder of the prepared rows, beside the samples


def distill_command(
    name: str,
    teacher: str,
    out: Path,
    *,
    path: Path | None = None,
    rows: int | None = None,
    samples: int = 4,
    keep: str = "shortest",
    temperature: float = 1.0,
    think_budget: int = 4096,
    answer_budget: int = 1024,
    endpoint: str | None = None,
    api_key_variable: str = "OPENAI_API_KEY",
    at_once: int = 8,
    per_minute: int | None = None,
    seed: int = 0,
) -> None:
    """Prepares the dataset `name`, lets the teacher answer its questions, and prints what came of it; all files go to
    `out`. The same command again continues.

    Raises:
        RecipeError: a setting or the dataset's name. ModelError: the teacher cannot be used, or answers nobody.
        DataError: the rows. RunError: `out` holds the samples of other settings, or the teacher has stopped answering.
    """
    try:
        spec = DistillSpec(
            teacher=TeacherSpec(
                model=teacher,
                endpoint=endpoint,
                api_key_variable=api_key_variable,
                requests_at_once=at_once,
                requests_per_minute=per_minute,
            ),
            data=DataSpec(name=name, path=None if path is None else str(path), rows=rows),
            samples_per_question=samples,
            temperature=temperature,
            think_budget=think_budget,
            answer_budget=answer_budget,
            keep=keep,  # type: ignore[arg-type]
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        raise RecipeError(f"`{'.'.join(map(str, first['loc']))}`: {said}; mend that option.") from None
    check_spec(spec.data)
    if shows_pictures(spec.data.name):
        raise RecipeError(f"The dataset {spec.data.name} holds pictures, and teachers are asked in text: take another.")
    console = Console()
    with console.status("loading") as status:
        told = _teller(status.update)
        asked = teacher_of(spec.teacher)  # type: ignore[arg-type]
        with disk_guard(out):
            out.mkdir(parents=True, exist_ok=True)
            questions = _questions(spec.data, out, seed, told)
            summary = distill(spec, questions, asked, out, seed, told)
    for line in summary_lines(summary, out):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _questions(data: DataSpec, out: Path, seed: int, progress: Callable[[dict[str, Any]], None]) -> Sequence[Example]:
    if isinstance(DATASETS[data.name], Drawn):
        return load_training(data, seed)
    with lock_folder(out):
        prepare(data, out / _ROWS, purpose="rl", progress=progress)
    return open_prepared(out / _ROWS)


def _teller(show: Callable[[str], None]) -> Callable[[dict[str, Any]], None]:
    """Progress of the rows' preparation, of the samples, and of judging them, in words."""

    def tell(event: dict[str, Any]) -> None:
        at = f"{event['step']:,} of {event['of']:,}"
        if "tokens" in event:
            failed = f", {event['failed']:,} failed" if event["failed"] else ""
            show(f"{at} samples{failed}, {event['tokens']:,} tokens")
        elif "kept" in event:
            show(f"{at} questions judged, {event['kept']:,} traces kept")
        else:
            show(f"{at} rows prepared")

    return tell


def summary_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """What a person is told at the end: figures, files, and how a recipe takes them."""
    lines = [
        f"{summary['questions']:,} questions, {summary['sampled']:,} samples: {summary['pass_rate']:.1%} right, "
        f"{summary['forced_rate']:.1%} closed by force, {summary['capped_rate']:.1%} cut",
        f"{summary['never']:,} questions never solved, {summary['always']:,} always; {summary['kept']:,} traces kept",
        f"{summary['tokens']:,} tokens sampled"
        + (f", {summary['prompt_tokens']:,} read" if summary["prompt_tokens"] else ""),
    ]
    if summary["failed"]:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in summary["failures"].items())
        lines.append(f"{summary['failed']:,} samples failed ({why}); the same command asks for them again")
    if summary["malformed"]:
        lines.append(
            f"{summary['malformed']:,} right samples are no traces: they have not the form <think>…</think> … "
            "<answer>…</answer>"
        )
    lines.append(f"samples: {out / SAMPLES}")
    if summary["kept"]:
        lines.append(f"SFT on the traces:    data: {{name: jsonl, path: {out / TRACES}}}")
    else:
        lines.append(
            "Warning: no trace is kept, so there is nothing for SFT: take a stronger teacher, one that shows its "
            "thoughts, easier questions or larger budgets"
        )
    if summary["never"] + summary["always"] < summary["questions"]:
        lines.append(f"RL on the problems:   data: {{name: jsonl, path: {out / PROBLEMS}, pass_rate: [0.01, 0.99]}}")
    else:
        lines.append(
            "Warning: no question was solved now and then, so there is nothing for RL: take more --samples, a "
            "--temperature above 0, or other questions"
        )
    return lines
