"""The studies that are run with one seed, and say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xreasoner.config import DataSpec
from xreasoner.config.specs import ControlsSpec, ImageControl, ModelSpec
from xreasoner.errors import RecipeError
from xreasoner.study.matrix import (
    Arm,
    Contrast,
    Given,
    Matrix,
    Run,
    Study,
    TrainingStage,
    over,
    sampled,
    sft_and_rl,
    variant,
)

_CONTROLS: tuple[ImageControl, ...] = ("none", "blank", "shuffled")
_SHOWN = ("no picture", "blank picture", "another's picture")
_PICTURED = {"p_pictured": 0.5}  # the share of rows whose problem stands in a picture
_BLIND_SAMPLES, _BLIND_TEMPERATURE = 3, 0.3  # paper table 6: three samples of each model; section 3: temperature 0.3
# What `anchor` changes of the micro world's mathematics, one thing at a time: stage -> options.
_ANCHORS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "short chains": {"sft": {"steps": [1, 2]}, "rl": {"steps": [1, 2]}},
    "half of the golds wrong": {"rl": {"p_misgold": 0.5}},
    "half of the vocabulary": {"sft": {"narrow": True}, "rl": {"narrow": True}},
}


def forced_exit(given: Given) -> Matrix:
    """The SFT checkpoint, and the base beside it, with thoughts closed by force and left to run, by budget. Left to
    run, a completion may be as long as the two budgets together. A greedy recipe is sampled from instead."""
    sft, _ = sft_and_rl(given.recipe)
    think, answer = given.recipe.eval.think_budget, given.recipe.eval.answer_budget
    if think is None or think < 4:
        raise RecipeError("The study forced-exit varies `eval.think_budget`: give the recipe one of 4 tokens or more.")
    runs, arms = {}, list[Arm]()
    for budget in (think // 4, think // 2, think, 2 * think):
        shown = ("base", sft.name) if budget == think else (sft.name,)
        for name, of in (
            (f"on-{budget}", {"think_budget": budget}),
            (f"off-{budget}", {"think_budget": None, "answer_budget": budget + answer}),
        ):
            runs[name] = Run(variant(given.recipe, [sft], shown, **sampled(given.recipe), **of))
            how = f"{name.partition('-')[0]}, {budget} tokens"
            arms += [Arm(f"{'base' if c == 'base' else 'SFT'}, {how}", name, c) for c in shown]
    arms.sort(key=lambda arm: arm.checkpoint == "base")  # beside each other: one checkpoint by budget
    contrasts = [
        over(f"forced exit after {b} tokens helps SFT", f"SFT, on, {b} tokens", f"SFT, off, {b} tokens")
        for b in (think // 4, think // 2, think, 2 * think)
    ]
    on, off = (f"SFT, {state}, {think} tokens" for state in ("on", "off"))
    contrasts.append(over(f"it leaves fewer answers of SFT cut off at {think} tokens", off, on, "cut"))
    on, off = (f"base, {state}, {think} tokens" for state in ("on", "off"))
    contrasts.append(over(f"forced exit after {think} tokens helps the base", on, off))
    on, more = (f"SFT, on, {budget} tokens" for budget in (think, 2 * think))
    contrasts.append(over(f"{2 * think} tokens are better than {think}", more, on))
    return Matrix(runs, tuple(arms), tuple(contrasts))


def blind(given: Given) -> Matrix:
    """Base and final model with pictures, without the problems that either of them always solves blind, and under the
    controls."""
    sft, rl = sft_and_rl(given.recipe)
    of, last = given.recipe.eval, rl.name
    limit = of.controls.limit if of.controls else None
    controls = ControlsSpec(checkpoints=("base", last), images=_CONTROLS, limit=limit)
    changes = {"controls": controls, "epochs": max(of.epochs, _BLIND_SAMPLES)}
    changes |= {"temperature": of.temperature or _BLIND_TEMPERATURE}
    run = Run(variant(given.recipe, [sft, rl], ["base", last], **changes))
    arms = list[Arm]()
    for name, checkpoint in (("base", "base"), ("SFT + RL", last)):
        arms += [Arm(name, "all", checkpoint), Arm(f"{name}, not solved blind", "all", checkpoint, unsolved=True)]
        arms += [Arm(f"{name}, {told}", "all", checkpoint, c) for c, told in zip(_CONTROLS, _SHOWN, strict=True)]
    contrasts = [
        over("SFT + RL beats the base on all problems", "SFT + RL", "base"),
        over(
            "SFT + RL beats the base without those solved blind", "SFT + RL, not solved blind", "base, not solved blind"
        ),
        *(over(f"SFT + RL needs its picture (against {told})", "SFT + RL", f"SFT + RL, {told}") for told in _SHOWN),
        over("SFT + RL beats the base without pictures", f"SFT + RL, {_SHOWN[0]}", f"base, {_SHOWN[0]}"),
    ]
    return Matrix({"all": run}, tuple(arms), tuple(contrasts), tuple(f"{n}, {_SHOWN[0]}" for n in ("base", "SFT + RL")))


def init(given: Given) -> Matrix:
    """The recipe on its own base, and on one that never saw a chain of thought."""
    said = "the base that knows chains gains more", "the base that knows chains ends better"
    return _two_bases(given, "plain", ("with chains", "without chains"), said)


def scale(given: Given) -> Matrix:
    """The recipe on its own base, and on a smaller one."""
    return _two_bases(
        given, "small", ("larger", "smaller"), ("the larger base gains more", "the larger base ends better")
    )


def _two_bases(given: Given, other: str, called: tuple[str, str], said: tuple[str, str]) -> Matrix:
    """`called` are the two bases in names of arms, `said` what is asked of them: the gain, and where it ends."""
    ours, theirs = called
    sft, rl = sft_and_rl(given.recipe)
    model = ModelSpec(base=given.bases[other], max_pixels=given.recipe.model.max_pixels)
    there = given.recipe.model_copy(update={"model": model})
    runs, arms, contrasts = {}, list[Arm](), list[Contrast]()
    for run, name, recipe in (("own", ours, given.recipe), (other, theirs, there)):
        runs[run] = Run(variant(recipe, [sft, rl], ["base", sft.name, rl.name]))
        measured = (("base", "base"), ("SFT", sft.name), ("SFT + RL", rl.name))
        arms += [Arm(f"{stage}, {name}", run, checkpoint) for stage, checkpoint in measured]
        contrasts += [
            over(f"{stage} beats the base ({name})", f"{stage}, {name}", f"base, {name}")
            for stage in ("SFT", "SFT + RL")
        ]
    plus, minus = (f"SFT + RL, {ours}", f"base, {theirs}"), (f"base, {ours}", f"SFT + RL, {theirs}")
    contrasts += [Contrast(said[0], plus, minus), over(said[1], plus[0], minus[1])]
    return Matrix(runs, tuple(arms), tuple(contrasts))


def anchor(given: Given) -> Matrix:
    """Mathematics as it is, and with one of its properties changed at a time."""
    sft, rl = sft_and_rl(given.recipe)
    _micro_alone("anchor", sft.data)
    runs = {"as-is": Run(variant(given.recipe, [sft, rl], ["base", sft.name, rl.name]))}
    arms = [Arm("base", "as-is", "base"), Arm("SFT", "as-is", sft.name), Arm("SFT + RL", "as-is", rl.name)]
    contrasts = list[Contrast]()
    for name, changes in _ANCHORS.items():
        run = name.replace(" ", "-")
        changed = [_with_options(s, changes.get(kind, {})) for kind, s in (("sft", sft), ("rl", rl))]
        runs[run] = Run(variant(given.recipe, changed, [sft.name, rl.name]))
        arms += [Arm(f"SFT, {name}", run, sft.name)] if "sft" in changes else []
        arms.append(Arm(f"SFT + RL, {name}", run, rl.name))
        changed_arm = (f"SFT + RL, {name}",)
        carried = f"mathematics as it is carries over better than with {name}"
        contrasts.append(Contrast(carried, ("SFT + RL",), changed_arm, domain="clinic"))
        contrasts.append(Contrast(f"with {name} it still carries over", changed_arm, ("base",), domain="clinic"))
    return Matrix(runs, tuple(arms), tuple(contrasts))


def multimodal(given: Given) -> Matrix:
    """SFT on text alone, and on as many rows of which some show their problem in a picture; then RL on text."""
    sft, rl = sft_and_rl(given.recipe)
    _micro_alone("multimodal", sft.data)
    pictured = sft.data.model_copy(update={"name": "micro-math-pictures", "options": {**sft.data.options, **_PICTURED}})
    runs = {
        "text": Run(variant(given.recipe, [sft, rl], ["base", sft.name, rl.name])),
        "pictures": Run(
            variant(given.recipe, [sft.model_copy(update={"data": pictured, "images": True}), rl], [sft.name, rl.name])
        ),
    }
    arms = [Arm("base", "text", "base")]
    for name, run in (("text", "text"), ("text and pictures", "pictures")):
        arms += [Arm(f"SFT on {name}", run, sft.name), Arm(f"SFT on {name}, + RL", run, rl.name)]
    contrasts = (
        over("SFT on text alone beats the base", "SFT on text", "base"),
        over("pictures in SFT help SFT", "SFT on text and pictures", "SFT on text"),
        over("pictures in SFT help SFT + RL", "SFT on text and pictures, + RL", "SFT on text, + RL"),
    )
    return Matrix(runs, tuple(arms), contrasts)


def _with_options(stage: TrainingStage, options: Mapping[str, Any]) -> TrainingStage:
    data = stage.data.model_copy(update={"options": {**stage.data.options, **options}})
    return stage.model_copy(update={"data": data}) if options else stage


def _micro_alone(name: str, data: DataSpec) -> None:
    if data.name != "micro-math":
        raise RecipeError(
            f"The study {name} changes how problems are drawn, which only the micro world can: leave --recipe out, or "
            f"write recipes of your own (the data here is {data.name})."
        )


SINGLE: dict[str, Study] = {
    "forced-exit": Study(
        title="What does the forced exit give?",
        paper="table 2",
        question="Thoughts are closed by force after a budget, or left to run to the same length: what does it change?",
        expand=forced_exit,
        seeds=1,
        caution="Paper, table 2: 17.1% of answers do not end, and none with forced exit; here “cut off” is that share.",
    ),
    "blind": Study(
        title="Does it look at the picture?",
        paper="table 6",
        question="Is the gain there without the problems that are solved blind, and does it need the picture?",
        expand=blind,
        seeds=1,
    ),
    "init": Study(
        title="Must the base know chains of thought?",
        paper="its first open question",
        question="The same text, on a base that has seen chains, and on one that never saw any: does it carry over?",
        expand=init,
        seeds=1,
        caution="The micro base without chains has in their place more of all other exercises, direct questions among "
        "them: it differs in what it practised as well as in what it never saw.",
        bases={"plain": ("--p-worked", "0")},
    ),
    "anchor": Study(
        title="Why mathematics?",
        paper="section 3.1 finds mathematics the better anchor",
        question="Chain length, verifiability and vocabulary of mathematics, changed one at a time: which one matters?",
        expand=anchor,
        seeds=1,
        caution="What carries over is asked of the clinic alone, for the problems of mathematics are those that one "
        "arm was trained on and another was not. Short chains have fewer tokens; wrong golds change RL alone; half of "
        "the vocabulary is half of the operations and five of eight names at once.",
    ),
    "multimodal": Study(
        title="Text alone, or pictures of the domain too?",
        paper="named as future work",
        question="As many rows, half of them with their problem in a picture: what does text alone miss?",
        expand=multimodal,
        seeds=1,
    ),
    "scale": Study(
        title="Two sizes",
        paper="one size, 7B",
        question="Does a smaller base gain as much from the same text?",
        expand=scale,
        seeds=1,
        caution="The smaller micro base has narrower eyes as well as a narrower and shallower language tower.",
        bases={"small": ("--hidden", "96", "--layers", "3")},
    ),
}
