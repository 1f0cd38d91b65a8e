"""How the cost of every stage grows with its size, beside how it should:

    python -m benchmarks.growth [--quick] [--json FILE] [STAGE ...]

Data preparation, detach, SFT, rollouts, GRPO, graft and evaluation (through the harness, with the local sampler), each
at four sizes of its batch, its length and its model, as far as it has them; the other two stay as they are. Each point
has a process of its own, whose growth is its memory. Printed are seconds and memory by size, the exponent fitted to
them (the slope in logarithms), and beside it the exponent that the same fit gives for what the work should cost:
floating-point operations, attention's among them, bytes, or rows; for memory, `plan`'s estimate.

An exponent that is TOLERANCE above is named and counts as a failure: something is done once too often. One that is as
much below is named as well: there, what every size pays alike is most of the cost.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.loops import in_own_process
from benchmarks.points import STAGES, Cost, Size, point, write_models
from benchmarks.results import Figure, arguments, number, show, write
from xreasoner.plan.sizes import Sizes

TOLERANCE = 0.3  # of an exponent
MIB = 2**20
LEAST = 8 * MIB  # less is what a process grows by anyway
AXES: dict[str, tuple[int, int, int, int]] = {
    "batch": (4, 8, 16, 32),
    "length": (64, 128, 256, 512),
    "model": (128, 192, 320, 512),
}


def sizes_along(axis: str, quick: bool) -> list[Size]:
    """The sizes of an axis, everything else at its second one (with --quick its first)."""
    base = Size(*(values[0 if quick else 1] for values in AXES.values()))
    return [replace(base, **{axis: value}) for value in (AXES[axis][::2] if quick else AXES[axis])]


def exponent(amounts: Sequence[float], costs: Sequence[float], least: float = 0.0) -> float:
    """The slope of costs (each `least` at least) over amounts, in logarithms.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(amounts), np.log(np.maximum(costs, least)), 1)[0])


def judged(name: str, unit: str, values: Sequence[float], slope: float, due: float) -> Figure:
    """An exponent beside the one that is due."""
    due = round(due, 3) + 0.0  # nothing is nothing
    over, told = slope - due, f"{', '.join(map(number, values))} {unit}"
    if abs(over) > TOLERANCE:
        told += f"; grows {'MORE' if over > 0 else 'less'} than it should by {abs(over):.2f}"
    return Figure(name, slope, "", {"should": due}, over <= TOLERANCE, told)


def along(name: str, axis: str, points: Mapping[Size, Cost], models: Mapping[int, Sizes]) -> list[Figure]:
    """The exponents of time and memory of a stage, over parameters of the tower on the axis `model`."""
    sizes, stage = list(points), STAGES[name]
    amounts = [models[s.model].tower if axis == "model" else getattr(s, axis) for s in sizes]
    due = [stage.should(size, models[size.model]) for size in sizes]
    seconds, nbytes = [c.seconds for c in points.values()], [c.nbytes for c in points.values()]
    slopes = exponent(amounts, seconds), exponent(amounts, nbytes, LEAST)
    should = exponent(amounts, [d.seconds for d in due]), exponent(amounts, [d.nbytes for d in due], LEAST)
    return [
        judged(f"{name} by {axis}, time", "s", seconds, slopes[0], should[0]),
        judged(f"{name} by {axis}, memory", "MiB", [n / MIB for n in nbytes], slopes[1], should[1]),
    ]


def figures(names: Sequence[str], quick: bool, folder: Path, console: Console) -> list[Figure]:
    plans = [(name, axis, sizes_along(axis, quick)) for name in names for axis in STAGES[name].axes]
    models = write_models(folder, [size for _, _, sizes in plans for size in sizes])
    known: dict[tuple[str, Size], Cost] = {}
    found = []
    for name, axis, sizes in plans:
        with console.status(f"{name} by {axis}"):
            for size in sizes:
                if (name, size) not in known:
                    known[name, size] = in_own_process(point, name, size, folder)
        found += along(name, axis, {size: known[name, size] for size in sizes}, models)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments(str(__doc__))
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all where none is named")
    args = parser.parse_args(argv)
    if unknown := set(args.stages) - set(STAGES):
        parser.error(f"there is no stage {', '.join(sorted(unknown))}: choose among {', '.join(STAGES)}")
    if sys.platform == "linux":  # what all points import, once
        preload = ["benchmarks.points", "xreasoner.train.sft", "xreasoner.train.grpo", "xreasoner.eval.task"]
        multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        found = figures(args.stages or list(STAGES), args.quick, Path(folder), console)
    show(f"Exponents; named where they are off by more than {TOLERANCE}", found, console)
    if args.json is not None:
        write(found, args.json, {"benchmark": "growth", "quick": args.quick, "tolerance": TOLERANCE})
    return 1 if any(each.agree is False for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
