"""What the data say, in sentences. Every sentence is computed; what did not improve is said as plainly as what did."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from xreasoner.report.formats import LABELS, label, number, percent, points
from xreasoner.report.rundata import RunData
from xreasoner.report.tables import CLEAR, NEAR, Control, Difference, Kind, controls, difference, pooled_steps

MODALITIES = {"image": "pictures"}


@dataclass(frozen=True, slots=True)
class Findings:
    """The headline, and the sentences under it."""

    headline: str
    details: tuple[str, ...]


def kind_label(kind: Kind) -> str:
    """
    >>> kind_label(("math", "image"))
    'mathematics in pictures'
    """
    domain, modality = kind
    return f"{LABELS[domain].lower() if domain in LABELS else domain} in {MODALITIES.get(modality, modality)}"


def findings(runs: Sequence[RunData]) -> Findings:
    """What one run, or several seeds of it, show. A gain counts where it is clear in every run."""
    kinds = runs[0].kinds
    gains = {kind: _over_runs(runs, runs[0].final, "base", kind) for kind in kinds}
    measured = {kind: got for kind, got in gains.items() if got}
    if not measured:
        return Findings("This run has no comparison with its base yet.", ())
    by_verdict: dict[str, list[Kind]] = {"better": [], "unclear": [], "worse": []}
    for kind, got in measured.items():
        by_verdict[_verdict(got)].append(kind)
    details = [*_rl_adds(runs, list(measured)), *_control_sentences(runs), _basis(runs, measured)]
    return Findings(_headline(runs, measured, by_verdict), tuple(details))


def _over_runs(runs: Sequence[RunData], after: str, before: str, kind: Kind) -> list[Difference]:
    """The difference in each run; empty unless every run has it."""
    got = [d for run in runs if (d := difference(run, after, before, kind)) is not None]
    return got if len(got) == len(runs) else []


def _verdict(differences: Sequence[Difference]) -> str:
    verdicts = {d.verdict for d in differences}
    return verdicts.pop() if len(verdicts) == 1 else "unclear"


def _mean(differences: Sequence[Difference]) -> float:
    return statistics.fmean(d.value for d in differences)


def _headline(
    runs: Sequence[RunData], measured: dict[Kind, list[Difference]], by_verdict: dict[str, list[Kind]]
) -> str:
    better, unclear, worse = by_verdict["better"], by_verdict["unclear"], by_verdict["worse"]
    subject = f"Post-training on text alone ({label(runs[0].final)})"

    def listed(kinds: list[Kind]) -> str:
        return _and([f"{kind_label(k)} ({points(_mean(measured[k]))} points)" for k in kinds])

    if len(better) == len(measured) > 1:
        low = min(better, key=lambda k: _mean(measured[k]))
        high = max(better, key=lambda k: _mean(measured[k]))
        return (
            f"{subject} raised accuracy in all {_count(len(better))} kinds of problems: from "
            f"{points(_mean(measured[low]))} points on {kind_label(low)} to "
            f"{points(_mean(measured[high]))} points on {kind_label(high)}."
        )
    parts = []
    if better:
        parts.append(f"raised accuracy on {listed(better)}")
    if unclear:
        parts.append(f"made {_unclear(runs)} on {listed(unclear)}")
    if worse:
        parts.append(f"lowered accuracy on {listed(worse)}")
    return f"{subject} {'; it '.join(parts)}."


def _unclear(runs: Sequence[RunData]) -> str:
    return "no clear difference" if len(runs) == 1 else "no difference that is clear in every run"


def _rl_adds(runs: Sequence[RunData], kinds: list[Kind]) -> list[str]:
    """How much of it the last stage brought."""
    if len(runs[0].path_to_final) < 3:
        return []
    before, final = runs[0].path_to_final[-2:]
    steps = {kind: got for kind in kinds if (got := _over_runs(runs, final, before, kind))}
    if not steps:
        return []
    groups = [
        (
            name,
            [f"{kind_label(k)} ({points(_mean(got))} points)" for k, got in steps.items() if _verdict(got) == verdict],
        )
        for verdict, name in (("better", "more"), ("unclear", _unclear(runs)), ("worse", "less"))
    ]
    said = "; ".join(f"{name} on {_and(kinds)}" for name, kinds in groups if kinds)
    return [f"{label(final)} compared with {label(before)}: {said}."]


def _control_sentences(runs: Sequence[RunData]) -> list[str]:
    """Whether the pictures were needed: without the right one nothing but guessing should be left."""
    rows = [row for run in runs for row in controls(run) if row.control != "real" and row.distance is not None]
    if not rows:
        return []
    above = [row for row in rows if (row.distance or 0.0) > NEAR]
    below = [row for row in rows if (row.distance or 0.0) < -NEAR]
    if above:
        return [
            f"Some controls lie more than {NEAR:.0f} standard errors above the best constant answer: {_named(above)}. "
            "Its accuracy on pictures need not come from reading them."
        ]
    said = "every control lies within" if not below else "no control lies above the best constant answer by more than"
    end = " of the best constant answer" if not below else f" ({_named(below)} below it by more)"
    return [
        f"Without the right picture it only guesses: {said} {NEAR:.0f} standard errors{end}, so its right answers on "
        "pictures come from reading them."
    ]


def _named(rows: Sequence[Control]) -> str:
    return _and(
        list(
            dict.fromkeys(
                f"{label(row.control).lower()}, {label(row.kind[0]).lower()} ({percent(row.score.value)}% against "
                f"{percent(row.constant)}%)"
                for row in rows
            )
        )
    )


def _basis(runs: Sequence[RunData], measured: dict[Kind, list[Difference]]) -> str:
    """On what the sentences rest."""
    fewest = min(d.n for got in measured.values() for d in got)
    steps = [str(s) for s in pooled_steps(runs[0]) if s is not None]
    which = f"problems of {_and(steps)} steps" if steps else "problems"
    seeds = "" if len(runs) == 1 else f" in every one of {len(runs)} runs"
    return (
        f"Counted are {which}, at least {fewest:,} a kind; a difference is called clear when it exceeds "
        f"{number(CLEAR, 0)} standard errors{seeds}."
    )


def _count(n: int) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}.get(n, str(n))


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
