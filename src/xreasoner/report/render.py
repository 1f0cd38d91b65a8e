"""One self-contained HTML page from run folders: no network, one small script of its own that the page's policy names
by its hash, everything from files escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xreasoner.files import write_atomic
from xreasoner.prompts import bare
from xreasoner.report import formats, views
from xreasoner.report.browser import asked, browser, exit_words
from xreasoner.report.claim import claim, legend
from xreasoner.report.collect import collect
from xreasoner.report.findings import findings
from xreasoner.report.lineage import stories
from xreasoner.report.made import endless_words, job_words, made, model_card, rows_words
from xreasoner.report.pictures import Pictures
from xreasoner.report.rundata import RunData, mapping
from xreasoner.report.seeds import merge
from xreasoner.report.tables import NEAR, named_steps
from xreasoner.report.tracks import scale
from xreasoner.report.transcripts import in_order

PICTURE_BYTES = 2_000_000  # of all pictures on a page
_FORMATS = ("label", "percent", "duration", "number", "listed", "shorten")


def write_report(run_dirs: Sequence[Path], folder: Path | None = None) -> Path:
    """Writes the page and returns its path: report.html in `folder`; without one, in the run's own folder, and for
    several runs report-of-N-runs.html in the first one's, which keeps its own page.

    Raises:
        RunError: a folder is missing or no run's.
    """
    page = render([collect(path) for path in run_dirs])
    together = folder is None and len(run_dirs) > 1
    name = f"report-of-{len(run_dirs)}-runs.html" if together else "report.html"
    out = Path(folder or run_dirs[0]) / name
    write_atomic(out, page)
    return out


def render(runs: Sequence[RunData]) -> str:
    """The page of one run, of several seeds of one recipe, or of runs that continue one another, as HTML text."""
    assert runs, "A report needs at least one run."
    told = stories(runs)
    pictures = Pictures(PICTURE_BYTES)
    style, script = own_file("style.css") + own_file("print.css"), own_file("filter.js")
    template = environment().get_template("report.html")
    return template.render(
        style=Markup(style),  # ours, and the policy names both by their hashes
        script=Markup(script),
        policy=policy(style, script),
        stories=[_story(story, f"s{i}", len(told), pictures) for i, story in enumerate(told)],
        near=NEAR,
        scale=scale(),
    )


def own_file(name: str) -> str:
    """A file of the page's own, without what would end its element."""
    text = files("xreasoner.report").joinpath("templates", name).read_text(encoding="utf-8")
    assert "</" not in text
    return text


def policy(style: str, script: str = "", images: str = "data:") -> str:
    """The page's content security policy: its own style and script by their hashes, pictures from `images`, and
    nothing else."""
    scripts = f" script-src {_hash(script)};" if script else ""
    own = f"default-src 'none';{scripts} style-src {_hash(style)}; img-src {images};"
    return f"{own} base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style (https://www.w3.org/TR/CSP3/#hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def environment() -> Environment:
    """The templates, which escape all that comes from files."""
    made = Environment(
        loader=PackageLoader("xreasoner.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update({name: getattr(formats, name) for name in _FORMATS})
    made.globals |= {"exit_words": exit_words, "bare": bare}
    return made


def _shown(value: Any) -> Any:
    """Applied to everything that the template prints, before it is escaped."""
    return value if isinstance(value, Markup) else formats.clean(str(value))


def _story(runs: Sequence[RunData], anchor: str, stories: int, pictures: Pictures) -> dict[str, Any]:
    """The view of one run, or of several seeds of it, one of the page's `stories`; the first of the seeds gives the
    problems to browse."""
    first = runs[0]
    suites = [str(mapping(part.recipe.get("eval")).get("suite", "")) for part in first.parts or (first,)]
    problems = in_order(first)
    return {
        "anchor": anchor,
        "findings": findings(runs),
        "titles": [run.title for run in runs],
        "seeds": len(runs),
        "pooled": named_steps(first),
        "claim": claim(runs),
        "legend": legend(first),
        "guess": any(first.constant.get(domain) is not None for domain, _ in first.kinds),
        "accuracies": views.accuracy_table(runs),
        "merged": merge(runs),
        "seed_table": views.seed_table(runs) if len(runs) > 1 else None,
        "asked": asked(problems, pictures),
        "micro": any(suite.startswith("micro") for suite in suites),
        "domains": {domain for domain, _ in first.kinds},
        "text_alone": all(modality == "text" for _, modality in first.trained_on),
        "modalities": {modality for _, modality in first.kinds},
        "base_words": (card := model_card(first.base_card))[0],
        "base_figures": card[1],
        "browser": browser(problems, first, pictures, stories),
        "runs": [run_view(run, f"{anchor}r{i}", len(runs) > 1) for i, run in enumerate(runs)],
    }


def run_view(run: RunData, anchor: str, one_of_many: bool) -> dict[str, Any]:
    """One run by itself."""
    return {
        "anchor": anchor,
        "title": run.title,
        "notes": run.notes,
        "accuracies": views.accuracy_table([run]) if one_of_many else None,
        "step_figures": views.step_figures(run),
        "columns": len({modality for _, modality in run.kinds}),
        "step_legend": views.step_legend(run),
        "steps": views.step_table(run),
        "controls": views.control_table(run),
        "controlled": [run.label(c) for c in dict.fromkeys(c.checkpoint for c in run.cells if c.control != "real")],
        "beside": views.beside_table(run),
        "endings": views.ending_table(run),
        "endless": endless_words(run),
        "training": [
            (
                views.job_title(run, job.name),
                "; ".join(filter(None, (rows_words(run, job.name), job_words(job)))),
                job.warnings,
                views.curves(job),
            )
            for job in run.jobs
            if job.kind in ("sft", "rl", "distill") or views.curves(job)
        ],
        "made": [made(part) for part in run.parts or (run,)],
    }
