"""What the page's template loops over: numbers already written out, charts already drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from xreasoner.report.charts import Line, lines, swatch
from xreasoner.report.claim import tone
from xreasoner.report.formats import (
    NOTHING,
    distance,
    error,
    kind_label,
    kind_title,
    label,
    number,
    percent,
    points,
    sentence_case,
)
from xreasoner.report.rundata import JobData, RunData
from xreasoner.report.tables import (
    NEAR,
    Control,
    Kind,
    Score,
    common_verdict,
    controls,
    differences,
    mean_difference,
    mean_score,
    score,
    steps_measured,
)
from xreasoner.report.tracks import Point, bar


@dataclass(frozen=True, slots=True)
class Value:
    """One entry of a table: the number, its error, whether it is clearly good or bad (better, worse, or nothing), the
    same drawn, and what stands under it."""

    text: str
    error: str = ""
    verdict: str = ""
    drawn: Markup | str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: tuple[Value, ...]
    group: str = ""  # rows of another group are set apart


@dataclass(frozen=True, slots=True)
class Table:
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    note: str
    chart: Markup
    legend: tuple[tuple[Markup, str], ...] = ()


# What is drawn of a job's progress: title, what to look for, (key, label, tone) of each line, whether they are shares.
CURVES: tuple[tuple[str, str, tuple[tuple[str, str, int], ...], bool], ...] = (
    ("Loss", "per token, on the assistant's words", (("loss", "loss", 2),), False),
    ("Reward", "share of rollouts with the right answer", (("reward", "reward", 2),), True),
    (
        "How thoughts end",
        "share of rollouts",
        (("natural", "by itself", 2), ("forced", "by force", 3), ("none", "no thoughts", 0), ("capped", "cut", 1)),
        True,
    ),
    ("Length", "tokens of a rollout", (("mean_length", "mean", 2), ("max_length", "longest", 0)), False),
    ("Groups without signal", "all rollouts right, or all wrong", (("flat_groups", "flat", 2),), True),
    ("Groups replaced", "by groups with signal", (("refilled", "refilled", 2),), False),
    ("Importance weights", "trainer to sampler, mean", (("importance_weight", "weight", 2),), False),
    ("Entropy", "of the next token, in nats", (("entropy", "entropy", 2),), False),
    ("Sampler against trainer", "gap of their log-probabilities", (("sampler_trainer_gap", "gap", 2),), False),
)


def accuracy_table(runs: Sequence[RunData]) -> Table:
    """Kinds of problems by the checkpoints of the path, each drawn as a bar, and the gain from milestone to milestone.
    Of several runs the mean."""
    run = runs[0]
    measured = [c for c in run.path_to_final if any(mean_score(runs, c, kind) for kind in run.kinds)]
    steps = [
        (after, before)
        for before, after in zip(run.milestones, run.milestones[1:], strict=False)
        if any(differences(runs, after, before, kind) for kind in run.kinds)
    ]
    rows = []
    for kind in run.kinds:
        scores = tuple(_drawn(run, c, mean_score(runs, c, kind)) for c in measured)
        gains = tuple(_gain(runs, after, before, kind) for after, before in steps)
        rows.append(Row(kind_title(kind), (*scores, *gains), kind[0]))
    gain_heads = (f"{run.label(after)} minus {run.label(before)}" for after, before in steps)
    return Table((*map(run.label, measured), *gain_heads), tuple(rows) if measured else ())


def beside_table(run: RunData) -> Table:
    """What else could explain a gain: the final checkpoint beside those that are not on the path to it."""
    beside = [c for c in run.checkpoints if c not in run.path_to_final and any(score(run, c, k) for k in run.kinds)]
    shown = (*beside, run.final)
    rows = [
        Row(kind_title(kind), tuple(_drawn(run, c, score(run, c, kind)) for c in shown), kind[0])
        for kind in run.kinds
        if any(score(run, c, kind) for c in beside)
    ]
    return Table(tuple(map(run.label, shown)), tuple(rows))


def seed_table(runs: Sequence[RunData]) -> Table:
    """The accuracy of the milestones in every run, and the mean over runs."""
    first, rows = runs[0], []
    for kind in first.kinds:
        for checkpoint in first.milestones:
            each = tuple(_value(score(run, checkpoint, kind)) for run in runs)
            mean = _value(mean_score(runs, checkpoint, kind))
            rows.append(Row(f"{kind_title(kind)}: {first.label(checkpoint)}", (*each, mean), str(kind)))
    return Table((*(f"Seed {run.seed}" for run in runs), "Mean"), tuple(rows))


def step_figures(run: RunData) -> list[Figure]:
    steps, figures = steps_measured(run), []
    if len(steps) < 2:
        return []
    for kind in run.kinds:
        drawn = []
        for checkpoint in run.path_to_final:
            scores = [(k, s) for k in steps if (s := score(run, checkpoint, kind, steps=(k,)))]
            at = [(float(k), s.value) for k, s in scores]
            drawn.append(Line(run.label(checkpoint), at, tone(run, checkpoint), [s.stderr for _, s in scores]))
        if any(line.points for line in drawn):
            title = f"Accuracy on {kind_label(kind)}"
            chart = lines(drawn, title, "steps", share=True, whole_x=True)
            figures.append(Figure(kind_title(kind), "", chart))
    return figures


def step_legend(run: RunData) -> list[tuple[Markup, str]]:
    return [(swatch(tone(run, c)), run.label(c)) for c in run.path_to_final]


def step_table(run: RunData) -> Table:
    """Kinds of problems and numbers of steps by the checkpoints of the path."""
    rows = []
    for kind in run.kinds:
        for k in steps_measured(run):
            scores = [score(run, checkpoint, kind, steps=(k,)) for checkpoint in run.path_to_final]
            if any(scores):
                rows.append(Row(f"{kind_title(kind)}, {k}", tuple(map(_value, scores)), kind_label(kind)))
    return Table(tuple(map(run.label, run.path_to_final)), tuple(rows))


def control_table(run: RunData) -> Table:
    """What is left of the accuracy on pictures without the right picture: each kind by the picture that was shown, and
    the best constant answer. What lies clearly above that is marked."""
    found = controls(run)
    names = list(dict.fromkeys(c.control for c in found))
    groups: dict[tuple[Kind, str], dict[str, Control]] = {}
    for c in found:
        groups.setdefault((c.kind, c.checkpoint), {})[c.control] = c
    several = len({checkpoint for _, checkpoint in groups}) > 1
    rows = []
    for (kind, checkpoint), by_name in sorted(groups.items(), key=lambda item: run.kinds.index(item[0][0])):
        shown = tuple(_control(run, by_name.get(name)) for name in names)
        constant = next(iter(by_name.values())).constant
        title = f"{kind_title(kind)}, {run.label(checkpoint)}" if several else kind_title(kind)
        rows.append(Row(title, (*shown, Value(percent(constant))), kind[0]))
    return Table((*map(label, names), "Best constant answer"), tuple(rows))


def _control(run: RunData, c: Control | None) -> Value:
    if c is None:
        return Value(NOTHING)
    value = _drawn(run, c.checkpoint, c.score)
    if c.distance is None or c.control == "real":
        return value
    return replace(value, note=distance(c.distance), verdict="worse" if c.distance > NEAR else "")


def ending_table(run: RunData) -> Table:
    """How completions ended in the pooled evaluation: forced, cut, without an answer, and their length."""
    rows = []
    for checkpoint in run.checkpoints:
        for kind in run.kinds:
            got = score(run, checkpoint, kind)
            if got:
                shares = (got.forced, got.capped, got.no_answer)
                values = (*(Value(percent(share)) for share in shares), Value(number(got.tokens)), Value(f"{got.n:,}"))
                rows.append(Row(f"{run.label(checkpoint)}: {kind_label(kind)}", values, checkpoint))
    return Table(("forced", "cut at the budget", "no answer", "tokens", "problems"), tuple(rows))


def curves(job: JobData) -> list[Figure]:
    figures = []
    for title, note, keys, share in CURVES:
        drawn = [Line(name, at, tone) for key, name, tone in keys if (at := job.curve(key))]
        if drawn:
            legend = tuple((swatch(line.tone), line.label) for line in drawn) if len(drawn) > 1 else ()
            figures.append(Figure(title, note, lines(drawn, f"{job.name}: {title}", "step", share), legend))
    return figures


def job_title(run: RunData, name: str) -> str:
    """The checkpoint that a job of training made, in the words of the tables, and the job's own name."""
    stage = name.rpartition(": ")[2]
    known = [c for c in run.checkpoints if c in (name, stage, name.replace(": ", "-"))]
    return f"{sentence_case(run.label(known[-1]))} ({name})" if known and run.label(known[-1]) != name else name


def _drawn(run: RunData, checkpoint: str, got: Score | None) -> Value:
    if got is None:
        return Value(NOTHING)
    point = Point(run.label(checkpoint), got.value, got.stderr, tone(run, checkpoint))
    return Value(percent(got.value), error(got.stderr), drawn=bar(point))


def _gain(runs: Sequence[RunData], after: str, before: str, kind: Kind) -> Value:
    found = differences(runs, after, before, kind)
    if not found:
        return Value(NOTHING)
    value, stderr = mean_difference(found)
    return Value(points(value), error(stderr), common_verdict(found))


def _value(got: Score | None) -> Value:
    return Value(percent(got.value), error(got.stderr)) if got else Value(NOTHING)
