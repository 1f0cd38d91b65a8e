"""One self-contained HTML page from run folders: no network, no script, everything from files escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from xreasoner.report import formats, views
from xreasoner.report.collect import collect
from xreasoner.report.findings import findings, kind_label
from xreasoner.report.pictures import Pictures
from xreasoner.report.rundata import RunData
from xreasoner.report.tables import NEAR, controls, pooled_steps
from xreasoner.report.transcripts import exhibits
from xreasoner.runs import write_atomic

MAX_EXHIBITS = 24  # problems shown on a page, over all its runs
PICTURE_BYTES = 400_000  # of all pictures on a page


def write_report(run_dirs: Sequence[Path], folder: Path | None = None) -> Path:
    """Writes report.html into `folder` (None: the first of the run folders) and returns its path.

    Raises:
        RunError: a folder is missing or no run's.
    """
    page = render([collect(path) for path in run_dirs])
    out = Path(folder or run_dirs[0]) / "report.html"
    write_atomic(out, page)
    return out


def render(runs: Sequence[RunData]) -> str:
    """The page of one run, or of several seeds of one recipe, as HTML text."""
    assert runs, "A report needs at least one run."
    return _template().render(
        findings=findings(runs),
        runs=[_view(run, f"run{i}", len(runs)) for i, run in enumerate(runs)],
        seeds=views.seed_rows(runs) if len(runs) > 1 else [],
        near=NEAR,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("xreasoner.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        {name: getattr(formats, name) for name in ("label", "percent", "error", "duration", "distance", "number")}
    )
    return environment.get_template("report.html")


def _shown(value: Any) -> Any:
    """Applied to everything that the template prints, before it is escaped."""
    return value if isinstance(value, Markup) else formats.clean(str(value))


def _view(run: RunData, anchor: str, n_runs: int) -> dict[str, Any]:
    pictures = Pictures(run.path, PICTURE_BYTES // n_runs)
    shown = exhibits(run, max(1, MAX_EXHIBITS // n_runs))
    hashes = run.provenance.get("hashes")
    return {
        "run": run,
        "anchor": anchor,
        "pooled": " and ".join(str(s) for s in pooled_steps(run) if s is not None),
        "kinds": [(formats.label(domain), modality) for domain, modality in run.kinds],
        "panels": views.panels(run),
        "accuracies": views.accuracy_rows(run),
        "step_figures": views.step_figures(run),
        "steps": views.step_rows(run),
        "path": [formats.label(c) for c in run.path_to_final],
        "base_words": (card := views.model_card(run.base_card))[0],
        "base_figures": card[1],
        "controls": (shown_controls := controls(run)),
        "controlled": ", ".join(dict.fromkeys(formats.label(c.checkpoint) for c in shown_controls)),
        "endings": views.ending_rows(run),
        "endless": views.shares(run.endless),
        "training": [(job, figures) for job in run.jobs if (figures := views.curves(job))],
        "exhibits": [
            (e, formats.sentence_case(kind_label(e.kind)), e.problem.image and pictures.data_uri(e.problem.image))
            for e in shown
        ],
        "hashes": hashes if isinstance(hashes, dict) else {},
        "facts": views.facts({k: v for k, v in run.provenance.items() if k != "hashes"}),
        "recipe": yaml.safe_dump(dict(run.recipe), sort_keys=False, allow_unicode=True),
    }
