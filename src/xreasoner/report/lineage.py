"""Runs that continue one another, told as one: the base of the later run is, by its hash, the final of the earlier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from xreasoner.config import model_of
from xreasoner.report.formats import label, sentence_case
from xreasoner.report.rundata import RunData, mapping


def stories(runs: Sequence[RunData]) -> list[list[RunData]]:
    """The runs as a report tells them: seeds of one recipe, or of one chain of recipes, together."""
    found: dict[tuple[str, ...], list[RunData]] = {}
    for run in join_chains(runs):
        found.setdefault(run.story, []).append(run)
    return list(found.values())


def join_chains(runs: Sequence[RunData]) -> list[RunData]:
    """The runs, each that continues another one joined to it; a run that was joined is not told again alone.

    Seeds of a recipe of which two continue from the same run are joined to none: that run would count as several.
    """
    parents = {i: parent for i, run in enumerate(runs) if (parent := _parent(run, runs)) is not None}
    children = Counter((parent, runs[i].story) for i, parent in parents.items())
    crowded = {story for (_, story), n in children.items() if n > 1}
    parents = {i: parent for i, parent in parents.items() if runs[i].story not in crowded}
    told, joined = set[int](), []
    for leaf in (i for i in range(len(runs)) if i not in parents.values()):
        chain = [leaf]
        while (above := parents.get(chain[0])) is not None and above not in chain:
            chain.insert(0, above)
        told |= set(chain)
        joined.append(reduce(join, (runs[i] for i in chain)))
    # Runs in a circle have no end: they stand as they are.
    return joined + [run for i, run in enumerate(runs) if i not in told]


def _parent(run: RunData, runs: Sequence[RunData]) -> int | None:
    base = _hash(run, "base")
    made_it = (i for i, other in enumerate(runs) if other is not run and base and _hash(other, "final") == base)
    return next(made_it, None)


def _hash(run: RunData, name: str) -> str | None:
    value = mapping(run.provenance.get("hashes")).get(name)
    return value if isinstance(value, str) else None


def join(first: RunData, second: RunData) -> RunData:
    """One run whose path goes through both. Checkpoints of the second carry its name, except its base, which is the
    first one's final; what both measured of that one counts once, as the first measured it."""
    name = str(second.recipe.get("name") or second.path.name)
    short = name.removeprefix(f"{first.recipe.get('name')}-")
    renamed = _renaming(first, second, short)
    path = tuple(renamed[c] for c in second.path_to_final)
    own = {new: _label(short, second.label(c)) for c, new in renamed.items() if not c.startswith("base")}
    cells_known = {(c.checkpoint, c.domain, c.modality, c.control) for c in first.cells}
    cells = [replace(c, checkpoint=renamed[c.checkpoint]) for c in second.cells]
    samples = {c: list(got) for c, got in first.samples.items()}
    for checkpoint, got in second.samples.items():
        mine = samples.setdefault(renamed[checkpoint], [])
        known = {(s.domain, s.modality) for s in mine}
        mine += [s for s in got if (s.domain, s.modality) not in known]
    return RunData(
        path=first.path,
        title=f"{first.title}, then {second.title}",
        seed=first.seed if first.seed == second.seed else f"{first.seed}, {second.seed}",
        path_to_final=(*first.path_to_final, *path[1:]),
        recipe=first.recipe,
        provenance=second.provenance,
        cells=(*first.cells, *(c for c in cells if (c.checkpoint, c.domain, c.modality, c.control) not in cells_known)),
        samples={c: tuple(got) for c, got in samples.items()},
        jobs=(*first.jobs, *(replace(job, name=f"{short}: {job.name}") for job in second.jobs)),
        constant={**second.constant, **first.constant},
        endless={**first.endless, **{f"{short}: {k}": v for k, v in second.endless.items()}},
        base_card=first.base_card,
        notes=(*first.notes, *(f"{short}: {note}" for note in second.notes)),
        trained_on=_trained_on(first, second, path[-1]),
        labels={**first.labels, **own},
        parts=(*(first.parts or (first,)), replace(second, path_to_final=path)),
    )


def _trained_on(first: RunData, second: RunData, end: str) -> dict[tuple[str, str], str]:
    """Where nobody can tell what one of them was trained on, nobody can tell it of both."""
    if not first.trained_on or not second.trained_on:
        return {}
    return {**dict.fromkeys(second.trained_on, end), **first.trained_on}


def _renaming(first: RunData, second: RunData, short: str) -> dict[str, str]:
    """What each checkpoint of the second run is called beside those of the first: never by a name that is taken."""
    taken, renamed = {*first.checkpoints, *first.samples}, {}
    for checkpoint in dict.fromkeys((*second.checkpoints, *second.samples)):
        if model_of(checkpoint) == "base":
            renamed[checkpoint] = checkpoint.replace("base", first.final, 1)
            continue
        name = checkpoint if checkpoint == short or checkpoint.startswith(f"{short}-") else f"{short}-{checkpoint}"
        while name in taken:
            name = f"{short}-{name}"
        taken.add(name)
        renamed[checkpoint] = name
    return renamed


def _label(short: str, name: str) -> str:
    """The run's name before the checkpoint's, once."""
    before = label(short) if label(short) != short else sentence_case(short)
    return name if name.lower().startswith(short.lower()) else f"{before} {name}"
