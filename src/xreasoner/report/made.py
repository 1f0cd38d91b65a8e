"""What was run: recipe, times, versions and hashes, as the page's tables want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from xreasoner.report.formats import percent
from xreasoner.report.rundata import JobData, RunData, finite, mapping

# What a job's summary tells in words: key, words; shares are written in percent.
_SUMMARY = (
    ("rows", "{} rows read"),
    ("questions", "{} questions"),
    ("sampled", "{} solutions sampled"),
    ("failed", "{} unanswered"),
    ("malformed", "{} right in another form"),
    ("kept", "{} kept"),
    ("spare", "{} more than were asked for"),
    ("pass_rate", "{}% of the solutions passed the verifier"),
    ("rows_kept", "{} examples whole"),
    ("rows_cut", "{} cut at the longest length"),
    ("rows_dropped", "{} left out as too long"),
    ("steps", "{} steps"),
    ("of", "{} steps"),
    ("tokens", "{} tokens"),
)


def made(run: RunData) -> dict[str, Any]:
    """The view of one run."""
    hashes = mapping(run.provenance.get("hashes"))
    before, after = hashes.get("vision_before"), hashes.get("vision_after")
    return {
        "title": run.title,
        "jobs": run.jobs,
        "total": sum(job.seconds or 0.0 for job in run.jobs),
        "hashes": facts(hashes),
        "vision_same": None if not before or not after else before == after,
        "facts": facts({k: v for k, v in run.provenance.items() if k != "hashes"}),
        "recipe": yaml.safe_dump(dict(run.recipe), sort_keys=False, allow_unicode=True),
    }


def job_words(job: JobData) -> str:
    """What its summary says, in one line: 40 questions, 160 solutions sampled, ..."""
    said = []
    for key, words in _SUMMARY:
        value = finite(job.summary.get(key))
        if value is not None and (value or key in ("kept", "pass_rate")):
            said.append(words.format(percent(value) if key == "pass_rate" else f"{value:,.0f}"))
    left_out = mapping(job.summary.get("quarantined"))
    reasons = [f"{reason} {count:,.0f}" for reason, value in left_out.items() if (count := finite(value))]
    return ", ".join(said) + (f", left out: {', '.join(reasons)}" if reasons else "")


def rows_words(run: RunData, stage: str) -> str:
    """What became of the rows that a stage was given, in one line; empty where they were drawn."""
    return next((job_words(job) for job in run.jobs if job.name == f"data-{stage}"), "")


def model_card(text: str) -> tuple[list[str], str]:
    """The paragraphs of a model card and its block of figures, without front matter and headings."""
    if text.startswith("---\n"):
        text = text.split("---\n", 2)[-1]
    words, _, rest = text.partition("```")
    figures = rest.partition("\n")[2].partition("```")[0]
    paragraphs = [" ".join(p.split()) for p in words.split("\n\n")]
    return [p.replace("`", "") for p in paragraphs if p and not p.startswith("#")], figures.strip()


def endless_words(run: RunData) -> list[str]:
    """How often thoughts had to be closed by force before and after each stage of RL, as sentences."""
    said = []
    for stage, values in run.endless.items():
        before, after = (finite(mapping(values).get(k)) for k in ("before", "after"))
        if before is not None and after is not None:
            said.append(
                f"While the stage {stage} explored at its own temperature, thoughts had to be closed by force in "
                f"{percent(before)}% of the rollouts at its first step and in {percent(after)}% at its last."
            )
    return said


def facts(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as (path, value) pairs."""
    pairs: list[tuple[str, str]] = []
    for key, inner in value.items():
        name = f"{prefix} / {key}" if prefix else str(key)
        if isinstance(inner, Mapping):
            pairs += facts(inner, name)
        elif isinstance(inner, float):
            pairs.append((name, f"{inner:.4g}"))
        else:
            pairs.append((name, str(inner)))
    return pairs
