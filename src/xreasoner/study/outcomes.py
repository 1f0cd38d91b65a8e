"""What the arms of a study answered, read from their run folders: one tally a problem, nothing of a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreasoner.errors import RunError
from xreasoner.report.answers import lines_of
from xreasoner.report.formats import MODALITIES, kind_label, kind_title
from xreasoner.report.rundata import finite, mapping
from xreasoner.report.tables import HARD_STEPS
from xreasoner.study.matrix import Arm, Matrix, Metric

CONTROLS = "-controls"
_JUDGED = ("correct", "wrong", "no_answer")  # a verifier's error is no judgement
_EASY = {str(steps) for steps in range(min(HARD_STEPS))}


@dataclass(frozen=True, slots=True)
class Tally:
    """The samples of one problem: the shares that are right, whose thoughts did not end by themselves (`endless`), and
    that were cut off while they were thinking (`cut`, a part of the latter); their mean tokens. `always` says whether
    all are right."""

    cluster: str
    right: float
    endless: float
    cut: float
    tokens: float
    always: bool

    def of(self, metric: Metric) -> float:
        return {"right": self.right, "endless": self.endless, "cut": self.cut}[metric]


Kind = tuple[str, str, str]  # domain, modality, benchmark ("": drawn)
Answers = Mapping[Kind, Mapping[str, Tally]]  # by kind, by the problem's id


def title_of(kind: Kind, among: Iterable[Kind] = ()) -> str:
    """The name of a kind where it begins a line; a benchmark that is several kinds of those `among` is told apart."""
    alike = [other for other in among if kind[2] and other[2] == kind[2]]
    if len(alike) > 1:
        return f"{kind[2]} ({kind_label(kind[:2])})"
    return kind[2] or kind_title(kind[:2])


def samples_file(root: Path, arm: Arm) -> Path:
    """Where an arm's answers lie in the folder of its seed."""
    job = f"eval-{arm.checkpoint}" + (CONTROLS if arm.control != "real" else "")
    folder = root / arm.run / "stages" / job
    return (folder / arm.control if arm.control != "real" else folder) / "samples.jsonl"


def read_arms(root: Path, matrix: Matrix) -> dict[str, Answers]:
    """The answers of every arm in the folder of one seed. Raises RunError where an arm has none."""
    files = {arm.name: samples_file(root, arm) for arm in matrix.arms}
    whole = {path: read_samples(path) for path in dict.fromkeys(files.values())}
    blind = [whole[files[name]] for name in matrix.blind_of]
    solved = {i for answers in blind for tallies in answers.values() for i, tally in tallies.items() if tally.always}
    asked = {i for answers in blind for tallies in answers.values() for i in tallies}

    def kept(arm: Arm) -> Answers:
        answers = whole[files[arm.name]]
        if not matrix.blind_of:
            return answers
        ids = asked - solved if arm.unsolved else asked  # without pictures only some problems were asked
        chosen = {kind: {i: t for i, t in tallies.items() if i in ids} for kind, tallies in answers.items()}
        return {kind: tallies for kind, tallies in chosen.items() if tallies}

    return {arm.name: kept(arm) for arm in matrix.arms}


def read_samples(path: Path) -> Answers:
    """The answers of one evaluation. Of the micro world's problems those of 3 and 4 steps, as in the report: the base
    does the shorter ones already. Answers that the verifier failed on, or that nobody judged, say nothing and are left
    out; of a sample that stands there twice the first counts, as in the report.

    Raises RunError where there is no such evaluation, or one without answers.
    """
    if not path.is_file():
        raise RunError(f"{path.parent} holds no evaluation yet: run the study without --rebuild.")
    found: defaultdict[Kind, defaultdict[str, dict[float, Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for _, row in lines_of(path):
        if row is None or "id" not in row or row.get("outcome") not in _JUDGED:
            continue
        tags = mapping(row.get("tags"))
        own, epoch = str(tags.get("benchmark", "")), finite(row.get("epoch")) or 1.0
        if not own and str(tags.get("steps", "")) in _EASY:
            continue
        place = (str(tags.get("domain", "")), str(tags.get("modality", "text")))
        found[(*place, own)][str(row["id"])].setdefault(epoch, row)
        if tags.get("also"):
            found[("medicine", place[1], str(tags["also"]))][str(row["id"])].setdefault(epoch, row)
    if not found:
        raise RunError(f"{path} holds no answers: remove {path.parent}, and run the study again.")
    return {kind: {i: _tally([*rows.values()]) for i, rows in found[kind].items()} for kind in in_order(found)}


def in_order(kinds: Iterable[Kind]) -> list[Kind]:
    """Kinds of problems in the order of first sight of their domain, text before pictures before charts."""
    kinds = list(dict.fromkeys(kinds))
    domains = [domain for domain in ("math", "clinic", "specialist") if any(k[0] == domain for k in kinds)]
    domains += [k[0] for k in kinds]
    modalities = list(MODALITIES)
    return sorted(kinds, key=lambda k: (domains.index(k[0]), modalities.index(k[1]) if k[1] in modalities else 9, k[2]))


def _tally(rows: list[Mapping[str, Any]]) -> Tally:
    n = len(rows)
    right = sum(row.get("outcome") == "correct" for row in rows)
    cut = sum(row.get("exit") == "none" and row.get("stop") == "cap" for row in rows)
    forced = sum(row.get("exit") == "forced" for row in rows)
    tokens = sum(finite(row.get("n_tokens")) or 0.0 for row in rows)
    cluster = str(mapping(rows[0].get("tags")).get("cluster", rows[0]["id"]))
    return Tally(cluster, right / n, (cut + forced) / n, cut / n, tokens / n, right == n)
