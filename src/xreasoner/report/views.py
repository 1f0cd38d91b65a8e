"""What the page's template loops over: numbers already written out, charts already drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from xreasoner.report.charts import Bar, Line, bars, lines
from xreasoner.report.findings import kind_label
from xreasoner.report.formats import NOTHING, error, label, number, percent, points, sentence_case
from xreasoner.report.rundata import JobData, RunData
from xreasoner.report.tables import Score, difference, over_seeds, score, steps_measured


@dataclass(frozen=True, slots=True)
class Value:
    """One entry of a table: the number, its error, and whether it is a clear gain (better, worse, or nothing)."""

    text: str
    error: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: tuple[Value, ...]
    group: str = ""  # rows of another group are set apart


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    note: str
    chart: Markup


# What is drawn of a job's progress: title, what to look for, (key, label, tone) of each line, whether they are shares.
CURVES: tuple[tuple[str, str, tuple[tuple[str, str, int], ...], bool], ...] = (
    ("Loss", "per token, on the assistant's words", (("loss", "loss", 2),), False),
    ("Reward", "share of rollouts with the right answer", (("reward", "reward", 2),), True),
    (
        "How rollouts end",
        "natural, forced or no end of thoughts; answer cut",
        (("natural", "natural", 2), ("forced", "forced", 3), ("none", "none", 0), ("capped", "cut", 1)),
        True,
    ),
    ("Length", "tokens of a rollout", (("mean_length", "mean", 2), ("max_length", "longest", 0)), False),
    ("Groups without signal", "all rollouts right, or all wrong", (("flat_groups", "flat", 2),), True),
    ("Entropy", "of the next token, in nats", (("entropy", "entropy", 2),), False),
    ("Sampler against trainer", "gap of their log-probabilities", (("sampler_trainer_gap", "gap", 2),), False),
)


def panels(run: RunData) -> list[Figure]:
    """One bar chart a kind of problem: the path from the base to the final checkpoint."""
    figures = []
    for kind in run.kinds:
        scores = [(c, score(run, c, kind)) for c in run.path_to_final]
        drawn = [Bar(label(c), s.value, s.stderr, i) for i, (c, s) in enumerate(scores) if s]
        if drawn:
            gain = difference(run, run.final, "base", kind)
            note = f"{points(gain.value)} {error(gain.stderr)} points" if gain else ""
            figures.append(Figure(sentence_case(kind_label(kind)), note, bars(drawn, kind_label(kind))))
    return figures


def accuracy_rows(run: RunData) -> list[Row]:
    """Checkpoints by kinds of problems, then the gains of the final one."""
    rows = []
    for checkpoint in run.checkpoints:
        scores = [score(run, checkpoint, kind) for kind in run.kinds]
        if any(scores):
            group = "path" if checkpoint in run.path_to_final else "beside"
            rows.append(Row(label(checkpoint), tuple(map(_value, scores)), group))
    for before in (c for c in run.checkpoints if c != run.final):
        gains = [difference(run, run.final, before, kind) for kind in run.kinds]
        if any(gains):
            values = tuple(Value(points(g.value), error(g.stderr), g.verdict) if g else Value(NOTHING) for g in gains)
            rows.append(Row(f"{label(run.final)} minus {label(before)}", values, "gain"))
    return rows


def step_figures(run: RunData) -> list[Figure]:
    steps, figures = steps_measured(run), []
    if len(steps) < 2:
        return []
    for kind in run.kinds:
        drawn = []
        for i, checkpoint in enumerate(run.path_to_final):
            scores = [(k, s) for k in steps if (s := score(run, checkpoint, kind, steps=(k,)))]
            if scores:
                at = [(float(k), s.value) for k, s in scores]
                drawn.append(Line(label(checkpoint), at, i, [s.stderr for _, s in scores]))
        if drawn:
            chart = lines(drawn, f"Accuracy on {kind_label(kind)}", "steps", share=True, whole_x=True)
            figures.append(Figure(sentence_case(kind_label(kind)), "accuracy by number of steps", chart))
    return figures


def step_rows(run: RunData) -> list[Row]:
    """Kinds of problems and numbers of steps by the checkpoints of the path."""
    rows = []
    for kind in run.kinds:
        for k in steps_measured(run):
            scores = [score(run, checkpoint, kind, steps=(k,)) for checkpoint in run.path_to_final]
            rows.append(Row(f"{sentence_case(kind_label(kind))}, {k}", tuple(map(_value, scores)), kind_label(kind)))
    return rows


def ending_rows(run: RunData) -> list[Row]:
    """How completions ended in the pooled evaluation: forced, cut, without an answer, and their length."""
    rows = []
    for checkpoint in run.checkpoints:
        for kind in run.kinds:
            got = score(run, checkpoint, kind)
            if got:
                shares = (got.forced, got.capped, got.no_answer)
                values = (*(Value(percent(share)) for share in shares), Value(number(got.tokens)), Value(f"{got.n:,}"))
                rows.append(Row(f"{label(checkpoint)}: {kind_label(kind)}", values, checkpoint))
    return rows


def curves(job: JobData) -> list[Figure]:
    figures = []
    for title, note, keys, share in CURVES:
        drawn = [Line(name, at, tone) for key, name, tone in keys if (at := job.curve(key))]
        if drawn:
            figures.append(Figure(title, note, lines(drawn, f"{job.name}: {title}", "step", share)))
    return figures


def seed_rows(runs: Sequence[RunData]) -> list[Row]:
    """Each run and the mean over runs, for the checkpoints of the path and for the gain."""
    first, rows = runs[0], []
    for kind in first.kinds:
        for checkpoint in first.path_to_final:
            scores = [score(run, checkpoint, kind) for run in runs]
            known = [s.value for s in scores if s]
            mean = Value(percent(over_seeds(known)[0]), error(over_seeds(known)[1])) if known else Value(NOTHING)
            rows.append(
                Row(f"{sentence_case(kind_label(kind))}: {label(checkpoint)}", (*map(_value, scores), mean), "path")
            )
        gains = [difference(run, first.final, "base", kind) for run in runs]
        known = [g.value for g in gains if g]
        if known:
            mean = Value(points(over_seeds(known)[0]), error(over_seeds(known)[1]))
            each = (Value(points(g.value), error(g.stderr), g.verdict) if g else Value(NOTHING) for g in gains)
            rows.append(Row(f"{label(first.final)} minus Base", (*each, mean), "gain"))
    return rows


def model_card(text: str) -> tuple[list[str], str]:
    """The paragraphs of a model card and its block of figures, without front matter and headings."""
    if text.startswith("---\n"):
        text = text.split("---\n", 2)[-1]
    words, _, rest = text.partition("```")
    figures = rest.partition("\n")[2].partition("```")[0]
    paragraphs = [" ".join(p.split()) for p in words.split("\n\n")]
    return [p.replace("`", "") for p in paragraphs if p and not p.startswith("#")], figures.strip()


def shares(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fractions in nested plain data as (path, percent) pairs."""
    return [(name, f"{percent(float(text))}%") for name, text in facts(value) if _is_fraction(text)]


def _is_fraction(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


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


def _value(got: Score | None) -> Value:
    return Value(percent(got.value), error(got.stderr)) if got else Value(NOTHING)
