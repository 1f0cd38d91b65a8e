"""One model on one suite, outside of a recipe: what `xreasoner eval` does."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from xreasoner.config import EvalSpec, ImageControl
from xreasoner.errors import RecipeError, RunError
from xreasoner.eval.benchmarks import at_hand, suite_benchmarks, suite_limit
from xreasoner.evaluation.models import AS_IT_IS, INSPECT, Asked, Model, label, open_named, pixels
from xreasoner.evaluation.show import how_asked, left_out, refused, table
from xreasoner.files import disk_guard, lock_folder, write_json
from xreasoner.model.folder import model_name
from xreasoner.model.hub import MICRO, resolve_base
from xreasoner.model.presets import preset_of


def default_spec(suite: str, limit: int | None, epochs: int, asked: Asked = AS_IT_IS) -> EvalSpec:
    """How a suite is evaluated outside of a recipe: the largest budgets of its benchmarks where none are asked for; one
    epoch is greedy, several sample at temperature 0.3 (paper section 3).

    Raises:
        RecipeError: unknown suite. DataError: a file that it reads is not there.
    """
    benchmarks = suite_benchmarks(suite)  # before their files are looked for: a name may be wrong
    spec = EvalSpec(
        suite=suite,
        epochs=epochs,
        temperature=0.0 if epochs == 1 else 0.3,
        think_budget=asked.think_budget or max(b.budgets[0] for b in benchmarks),
        answer_budget=asked.answer_budget or max(b.budgets[1] for b in benchmarks),
        limit=limit,
    )
    at_hand(suite, spec.split)
    return spec


def evaluate_model(
    model: str | Path,
    suite: str,
    image: str,
    limit: int | None,
    epochs: int,
    out: Path | None,
    asked: Asked = AS_IT_IS,
) -> None:
    """Evaluates a VLM with forced exit and prints its cells; logs, samples and evaluation.json (how it was asked) go to
    `out`. `model` is a folder, a hub id, "micro" for the base that comes with the package, a name at
    `asked.endpoint`, or inspect/PROVIDER/MODEL.

    Raises:
        RunError: another process is evaluating into `out`, or it cannot be written; questions that got no reply.
        RecipeError: unknown suite, control or option. DataError: the suite's file is not there. ModelError: no such
            model, or of no known family.
    """
    controls = get_args(ImageControl)
    if image not in controls:
        raise RecipeError(f"--image {image} is no control: choose one of {', '.join(controls)}.")
    spec = default_spec(suite, limit, epochs, asked)
    console = Console()
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    with ExitStack() as stack:
        status = stack.enter_context(console.status("loading"))
        elsewhere = asked.endpoint or str(model).startswith(INSPECT)
        found = None if elsewhere else resolve_base(str(model))
        name = str(model) if found in (None, MICRO) else model_name(found)
        preset = preset_of(name, asked.preset)
        bounds = pixels(asked, preset)
        about = open_named(name, found, asked, bounds, stack)
        means = about.means | ({"preset": preset.name} if preset else {})
        if bounds[1] is not None:
            means |= {"min_pixels": bounds[0], "max_pixels": bounds[1]}
        folder = out or Path("runs") / folder_name(about, suite, image, spec, means)
        for line in how_asked(spec, preset, about, asked):
            say(line)
        make_folder(folder)
        stack.enter_context(disk_guard(folder))
        stack.enter_context(lock_folder(folder))
        from xreasoner.eval.task import REFUSED, clear_results, evaluate

        sampler, more = about.open()
        means |= more
        asked_so = {"model": name, "weights": about.weights, "image": image, **spec.model_dump(mode="json")}
        asked_so |= {"means": means}
        earlier = _earlier(folder / "evaluation.json")
        if earlier != asked_so:
            if (folder / "samples.jsonl").exists():
                say(f"{folder} held {_of(earlier)}: this evaluation takes its place, its answers stay in the log")
            clear_results(folder)  # no answers of one evaluation beside the settings of another
        write_json(folder / "evaluation.json", asked_so)
        cells = evaluate(
            sampler,
            checkpoint=about.label,
            suite=suite,
            spec=spec,
            seed=0,
            weights=about.weights,
            control=image,  # type: ignore[arg-type]
            limit=limit,
            images=folder / "pictures",
            out_dir=folder,
            progress=lambda event: status.update(f"{event['done']} of {event['total']} answered"),
            arrange=preset.arrange if preset else lambda example: example,
            means=means,
            earlier=lambda count, date: say(
                f"{count:,} answers of {date}, not asked again; give another --out for a new evaluation"
            ),
        )
    console.print(table(f"{name} on {suite}, pictures: {image}", cells))
    whole = image == "real" and spec.limit is None and suite_limit(suite) is None
    for line in [*left_out(folder / "benchmarks.json", whole), *refused(folder / REFUSED)]:
        say(line)
    say(f"samples: {folder / 'samples.jsonl'}; to compare models: xreasoner report BASE OTHER...")


def make_folder(folder: Path) -> None:
    """Makes the folder of an evaluation. Raises RunError where there can be none."""
    with disk_guard(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
            raise RunError(f"{folder} cannot be a folder ({error.strerror}): give another --out.") from None


def _of(earlier: Any) -> str:
    """Which evaluation a folder held."""
    if not isinstance(earlier, dict):
        return "an evaluation of which nothing is known"
    of = f"{earlier.get('model')} on {earlier.get('suite')} (pictures: {earlier.get('image')}"
    return of + (f", limit {earlier['limit']}" if earlier.get("limit") else "") + f", epochs {earlier.get('epochs')})"


def _earlier(path: Path) -> Any:
    """How the folder's evaluation was asked; None where nobody can tell."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def folder_name(about: Model, suite: str, image: str, spec: EvalSpec, means: dict[str, Any]) -> str:
    """A limit and several epochs stand in the name; other means and budgets than the suite's own have a hash there."""
    name = f"eval-{about.label}-{about.weights[:8]}-{label(suite)}-{image}"
    name += (f"-first{spec.limit}" if spec.limit else "") + (f"-x{spec.epochs}" if spec.epochs > 1 else "")
    usual = default_spec(suite, spec.limit, spec.epochs)
    if not means and usual == spec and label(suite) == suite:
        return name
    digest = hashlib.sha256(json.dumps([means, spec.think_budget, spec.answer_budget, suite], sort_keys=True).encode())
    return f"{name}-{digest.hexdigest()[:6]}"
