"""Which problems a reader is shown: chosen by rule, so that nobody picks the flattering ones."""

from __future__ import annotations

from dataclasses import dataclass

from xreasoner.report.rundata import RunData, Sample
from xreasoner.report.tables import Kind, pooled_steps

SHOWN = {"correct": "right", "wrong": "wrong", "no_answer": "no answer", "verifier_error": "not judged"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One checkpoint's completion, its thoughts apart from what follows them."""

    checkpoint: str
    sample: Sample
    thoughts: str
    answer: str

    @property
    def verdict(self) -> str:
        return SHOWN.get(self.sample.outcome, self.sample.outcome)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One problem, why it is shown, and what each checkpoint on the path made of it."""

    kind: Kind
    why: str
    problem: Sample
    replies: tuple[Reply, ...]


def exhibits(run: RunData, limit: int) -> list[Exhibit]:
    """At most `limit` problems: of each kind the first (by id) that the final checkpoint got right, got wrong, and
    had to be forced to answer, among the numbers of steps that the table pools."""
    picked: list[Exhibit] = []
    replies = {c: {(s.id, s.epoch): s for s in run.samples.get(c, ())} for c in run.path_to_final}
    steps = pooled_steps(run)
    for why in ("right", "wrong", "forced"):
        for kind in run.kinds:
            candidates = [
                s
                for s in run.samples.get(run.final, ())
                if (s.domain, s.modality) == kind and s.steps in steps and _fits(s, why)
            ]
            taken = {(e.problem.id, e.problem.epoch) for e in picked}
            for sample in sorted(candidates, key=lambda s: (s.id, s.epoch)):
                key = (sample.id, sample.epoch)
                if key not in taken:
                    shown = tuple(_reply(c, replies[c][key]) for c in run.path_to_final if key in replies[c])
                    picked.append(Exhibit(kind, why, sample, shown))
                    break
    # Shown kind by kind, but chosen rightness by rightness: a small limit still shows every kind.
    return sorted(picked[:limit], key=lambda e: run.kinds.index(e.kind))


def _fits(sample: Sample, why: str) -> bool:
    if why == "forced":
        return sample.exit == "forced"
    return sample.outcome == "correct" if why == "right" else sample.outcome in ("wrong", "no_answer")


def _reply(checkpoint: str, sample: Sample) -> Reply:
    """Thoughts end at the first closing tag; a completion without one that never opened any has none."""
    thoughts, tag, answer = sample.completion.partition("</think>")
    if not tag and not thoughts.lstrip().startswith("<think>"):
        thoughts, answer = "", thoughts
    return Reply(checkpoint, sample, thoughts.strip().removeprefix("<think>").strip(), answer.strip())
