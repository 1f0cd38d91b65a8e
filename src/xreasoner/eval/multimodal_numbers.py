"""What others have measured on the benchmarks of multimodal.py and multimodal_math.py, in percent as printed."""

from __future__ import annotations

from xreasoner.eval.benchmark import Published
from xreasoner.eval.medical import MED
from xreasoner.eval.text import BASE, OURS, PAPER

_NO_THOUGHTS = "avg@5, no chain of thought"
_CARD = "the model's own card, as whatmodel.sh quotes it"
_CARD_AND_REVIEWER = f"{_CARD}; a reviewer of the paper names it, too"
_SYNERGY = "arXiv 2507.07562, with VLMEvalKit"
_OVR = "arXiv 2507.05255"
_LABELS = "figure 3, told from where the label stands"


def _in_paper(place: str, how: str, *numbers: tuple[str, float]) -> tuple[Published, ...]:
    return tuple(Published(model, percent, how, f"{PAPER}, {place}") for model, percent in numbers)


def _elsewhere(source: str, *numbers: tuple[str, float]) -> tuple[Published, ...]:
    return tuple(Published(model, percent, "not said", source) for model, percent in numbers)


def _without_solvable(kept: str, base: float, ours: float) -> tuple[Published, ...]:
    """Accuracies on what is left when questions are dropped that are always solved without their picture."""
    how = f"without text-solvable questions, {kept} kept"
    return _in_paper("table 6", how, (BASE, base), (OURS, ours))


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "mmmu": (
        *_in_paper("figure 1", "greedy", (BASE, 53.2), (OURS, 56.4), ("Mulberry-7B", 55.0)),
        *_in_paper("table 5", "greedy", (BASE, 53.0), (OURS, 56.4), ("Mulberry-7B", 55.0)),
        *_in_paper("table 5", "greedy", ("MAmmoTH-VL2-7B", 54.7), ("MM-Eureka-8B", 49.2)),
        *_in_paper(_LABELS, "avg@5", (BASE, 51.3), (OURS, 54.8)),
        *_without_solvable("592 of 900", 39.3, 41.4),
        *_elsewhere(_CARD_AND_REVIEWER, (BASE, 58.6)),
        *_elsewhere(_SYNERGY, (BASE, 53.5)),
    ),
    "mmmu-health": _in_paper("figure 1", "greedy", (BASE, 56.7), (OURS, 60.0), (MED, 64.0), ("GMAI-VL-R1", 57.3)),
    "mmmu-pro": (
        *_in_paper("figure 1 and table 5", "greedy", (BASE, 38.7), (OURS, 43.0), ("MAmmoTH-VL2-7B", 40.7)),
        *_in_paper("table 5", "greedy", ("Mulberry-7B", 36.8)),
        *_in_paper(
            "table 4", "avg@5", (BASE, 38.3), (f"{BASE}, SFT alone", 40.4), (f"{BASE}, RL alone", 40.6), (OURS, 42.5)
        ),
        *_in_paper("table 1", _NO_THOUGHTS, (BASE, 34.6), (f"{BASE}, SFT alone", 36.0)),
        *_without_solvable("1,471 of 1,730", 33.4, 36.4),
        *_elsewhere(_CARD, (BASE, 41.0)),
        *_elsewhere(_OVR, ("Open-Vision-Reasoner", 50.2)),
    ),
    "mmmu-pro-health": (
        *_in_paper("tables 1 and 9", "avg@5", (BASE, 34.3)),
        *_in_paper("table 1", "avg@5", (f"{BASE}, SFT on OpenThoughts", 37.9)),
        *_in_paper("table 1", _NO_THOUGHTS, (BASE, 28.1), (f"{BASE}, SFT on OpenThoughts", 30.2)),
        *_in_paper(
            "table 9",
            "avg@5",
            (f"{BASE}, SFT on MedQA", 39.2),
            (f"{BASE}, RL on MedQA", 35.8),
            (f"{BASE}, SFT and RL on MedQA", 39.7),
        ),
    ),
    "mmstar": (
        *_without_solvable("1,241 of 1,500", 56.6, 59.0),
        *_elsewhere(_SYNERGY, (BASE, 63.2)),
    ),
    "mathvista": (
        *_in_paper("table 5", "greedy", (BASE, 62.8), (OURS, 69.0), ("R1-Onevision-7B", 64.1)),
        *_in_paper("table 5", "greedy", ("MAmmoTH-VL2-7B", 68.1), ("MM-Eureka-8B", 67.1), ("Mulberry-7B", 63.1)),
        *_without_solvable("743 of 1,000", 57.9, 60.6),
        *_elsewhere(_CARD, (BASE, 68.2)),
        *_elsewhere(_SYNERGY, (BASE, 66.4)),
        *_elsewhere(_OVR, ("Open-Vision-Reasoner", 72.1)),
    ),
    "mathvision": (
        *_in_paper("table 5", "greedy", (BASE, 25.0), (OURS, 29.6), ("R1-Onevision-7B", 29.9), ("MM-Eureka-8B", 22.2)),
        *_in_paper(
            "table 3",
            "avg@5",
            (BASE, 24.7),
            (f"{BASE}, RL on Orz-math-57k alone", 28.1),
            (f"{BASE}, RL on MedQA alone", 26.2),
        ),
        *_in_paper(_LABELS, "avg@5", (OURS, 29.4)),
        *_without_solvable("2,592 of 3,040", 18.6, 21.8),
        *_elsewhere(_SYNERGY, (BASE, 26.1)),
        *_elsewhere(_OVR, ("Open-Vision-Reasoner", 51.8)),
    ),
    "mathverse": _elsewhere(_OVR, ("Open-Vision-Reasoner", 54.6)),
}
