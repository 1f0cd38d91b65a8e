"""What the data say, in sentences. Every sentence is computed; what did not improve is said as plainly as what did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from xreasoner.report.formats import MODALITIES, domain_label, kind_label, label, listed, number, percent, points
from xreasoner.report.rundata import RunData
from xreasoner.report.tables import (
    CLEAR,
    ENOUGH,
    NEAR,
    Control,
    Difference,
    Kind,
    common_verdict,
    controls,
    differences,
    mean_difference,
    mean_score,
    named_steps,
    score,
)

FEW = 4  # kinds of problems that a sentence names one by one


@dataclass(frozen=True, slots=True)
class Findings:
    """The headline, what a run that continues from the first one adds to it (or nothing), and the sentences under
    both."""

    headline: str
    further: str
    details: tuple[str, ...]


def findings(runs: Sequence[RunData]) -> Findings:
    """What one run, or several seeds of it, show. A gain counts where it is clear in every run."""
    first, *later = runs[0].milestones[1:]
    measured = _measured(runs, first, "base")
    if not measured:
        return Findings("This run has no comparison with its base yet.", "", ())
    further = []
    for before, after in pairwise([first, *later]):
        if gains := _measured(runs, after, before):
            subject = f"Going on from {runs[0].label(before)}, {runs[0].label(after)}"
            further.append(_sentence(runs, subject, gains))
    details = [*_last_stage(runs, runs[0].final), *_modality_gaps(runs), *_control_sentences(runs), _basis(runs)]
    shown = [kind_label(kind) for kind, led_to in runs[0].trained_on.items() if led_to == first]
    subject = f"Post-training on {listed(shown) if shown else 'text'} alone ({runs[0].label(first)})"
    return Findings(_sentence(runs, subject, measured), " ".join(further), tuple(details))


def _measured(runs: Sequence[RunData], after: str, before: str) -> dict[Kind, list[Difference]]:
    return {kind: got for kind in runs[0].kinds if (got := differences(runs, after, before, kind))}


def _mean(found: Sequence[Difference]) -> float:
    return mean_difference(found)[0]


def _sentence(runs: Sequence[RunData], subject: str, measured: dict[Kind, list[Difference]]) -> str:
    by_verdict: dict[str, list[Kind]] = {"better": [], "unclear": [], "worse": []}
    for kind, got in measured.items():
        by_verdict[common_verdict(got)].append(kind)
    better, unclear, worse = by_verdict["better"], by_verdict["unclear"], by_verdict["worse"]

    if len(better) == len(measured) > 1:
        return f"{subject} raised accuracy in all {_span(measured)}."
    parts = []
    if better:
        parts.append(f"raised accuracy on {_named_kinds(measured, better)}")
    if unclear:
        parts.append(f"made {_unclear(runs)} on {_named_kinds(measured, unclear)}")
    if worse:
        parts.append(f"lowered accuracy on {_named_kinds(measured, worse)}")
    return f"{subject} {'; it '.join(parts)}."


def _unclear(runs: Sequence[RunData]) -> str:
    return "no clear difference" if len(runs) == 1 else "no difference that is clear in every run"


def _last_stage(runs: Sequence[RunData], final: str) -> list[str]:
    """How much of it the last stage brought."""
    path = runs[0].path_to_final
    before = path[path.index(final) - 1]
    found = _measured(runs, final, before) if before not in runs[0].milestones else {}
    if not found:
        return []
    groups = [
        (name, [kind for kind, got in found.items() if common_verdict(got) == verdict])
        for verdict, name in (("better", "more"), ("unclear", _unclear(runs)), ("worse", "less"))
    ]
    said = "; ".join(f"{name} on {_named_kinds(found, kinds)}" for name, kinds in groups if kinds)
    return [f"{runs[0].label(final)} compared with {runs[0].label(before)}: {said}."]


def _named_kinds(found: dict[Kind, list[Difference]], kinds: Sequence[Kind]) -> str:
    """Each kind with its difference; of more than a reader can follow their number and the range."""
    if len(kinds) > FEW:
        return _span({kind: found[kind] for kind in kinds})
    return listed([f"{kind_label(kind)} ({points(_mean(found[kind]))} points)" for kind in kinds])


def _span(found: dict[Kind, list[Difference]]) -> str:
    low, *_, high = sorted(found, key=lambda kind: _mean(found[kind]))
    return (
        f"{_count(len(found))} kinds of problems: from {points(_mean(found[low]))} points on {kind_label(low)} to "
        f"{points(_mean(found[high]))} points on {kind_label(high)}"
    )


def _modality_gaps(runs: Sequence[RunData]) -> list[str]:
    """How far the final checkpoint's eyes trail its reading: the same questions, shown instead of written."""
    run, gaps = runs[0], []
    for domain in dict.fromkeys(domain for domain, _ in run.kinds):
        scores = {m: mean_score(runs, run.final, (d, m)) for d, m in run.kinds if d == domain}
        written = scores.pop("text", None)
        said = [
            f"{points(shown.value - written.value)} in {MODALITIES.get(modality, modality)}"
            for modality, shown in scores.items()
            if shown and written
        ]
        if said:
            gaps.append(f"{domain_label(domain)} {listed(said)}")
    if not gaps:
        return []
    return [f"{run.label(run.final)} against its own answers in text, in points: {'; '.join(gaps)}."]


def _control_sentences(runs: Sequence[RunData]) -> list[str]:
    """Whether the pictures were needed: without the right one nothing but guessing should be left."""
    rows = _against_constant(runs)
    if not rows:
        return []
    above = [row for row in rows if (row.distance or 0.0) > NEAR]
    below = [row for row in rows if (row.distance or 0.0) < -NEAR]
    if above:
        return [
            f"Some controls lie more than {NEAR:.0f} standard errors above the best constant answer: {_named(above)}. "
            "Its accuracy on pictures need not come from reading them."
        ]
    if any(row.score.n < ENOUGH or row.distance is None for row in rows):
        return [
            "Whether its right answers on pictures come from reading them is not known: some controls have fewer than "
            f"{ENOUGH} problems, or answers that are all alike."
        ]
    said = "every control lies within" if not below else "no control lies above the best constant answer by more than"
    end = " of the best constant answer" if not below else f" ({_named(below)} below it by more)"
    return [
        f"Without the right picture it only guesses: {said} {NEAR:.0f} standard errors{end}, so its right answers on "
        "pictures come from reading them."
    ]


def _against_constant(runs: Sequence[RunData]) -> list[Control]:
    """The controls of domains whose best constant answer is known."""
    return [row for run in runs for row in controls(run) if row.control != "real" and row.constant is not None]


def _controlled(runs: Sequence[RunData]) -> list[Control]:
    """Those of them that can be held against it."""
    return [row for row in _against_constant(runs) if row.distance is not None]


def _named(rows: Sequence[Control]) -> str:
    return listed(
        list(
            dict.fromkeys(
                f"{label(row.control).lower()}, {domain_label(row.kind[0])} ({percent(row.score.value)}% against "
                f"{percent(row.constant)}%)"
                for row in rows
            )
        )
    )


def _basis(runs: Sequence[RunData]) -> str:
    """On what the sentences rest; the fewest problems are those of the differences, the final's scores and the
    controls."""
    run = runs[0]
    pairs = [*pairwise(run.milestones), run.path_to_final[-2:]]
    counts = [d.n for before, after in pairs for got in _measured(runs, after, before).values() for d in got]
    counts += [s.n for one in runs for kind in run.kinds if (s := score(one, run.final, kind))]
    fewest = min(counts + [row.score.n for row in _controlled(runs)])
    steps = named_steps(run)
    which = f"problems of {listed(steps)} steps" if steps else "problems"
    seeds = "" if len(runs) == 1 else f" in every one of {len(runs)} runs"
    return (
        f"Counted are {which}, at least {fewest:,} a kind; a difference is called clear when it exceeds "
        f"{number(CLEAR, 0)} standard errors{seeds}."
    )


def _count(n: int) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}.get(n, str(n))
