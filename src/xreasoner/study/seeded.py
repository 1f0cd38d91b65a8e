"""The studies that are run with three seeds."""

from __future__ import annotations

from collections.abc import Sequence

from xreasoner.config import (
    MANNERS,
    THINK_SUFFIX,
    UNASKED_SUFFIX,
    DataSpec,
    DistillSpec,
    Recipe,
    RlSpec,
    SftSpec,
)
from xreasoner.errors import RecipeError
from xreasoner.study.matrix import Arm, Contrast, Given, Matrix, Run, Stage, Study, over, sampled, sft_and_rl, variant

# The micro world's mathematics and what stands for its clinic; `rehearse` draws from both in equal shares.
_CLINIC = {"micro-math": "micro-clinic"}
_BOTH = {"rehearse": 1.0}


def stages(given: Given) -> Matrix:
    """None, SFT, RL, SFT then RL."""
    sft, rl = sft_and_rl(given.recipe)
    runs = {
        "sft-rl": Run(variant(given.recipe, [sft, rl], ["base", sft.name, rl.name])),
        "rl": Run(variant(given.recipe, [rl], [rl.name])),
    }
    arms = (
        Arm("base", "sft-rl", "base"),
        Arm("SFT", "sft-rl", sft.name),
        Arm("RL", "rl", rl.name),
        Arm("SFT + RL", "sft-rl", rl.name),
    )
    contrasts = (
        over("SFT beats the base", "SFT", "base"),
        over("RL alone beats the base", "RL", "base"),
        over("SFT + RL beats the base", "SFT + RL", "base"),
        over("RL alone beats SFT", "RL", "SFT"),
        over("SFT + RL beats SFT", "SFT + RL", "SFT"),
        over("SFT + RL beats RL alone", "SFT + RL", "RL"),
    )
    return Matrix(runs, arms, contrasts)


def overlong(given: Given) -> Matrix:
    """Traces over the limit are cut, dropped, or kept whole. All three are sampled from with a budget that holds whole
    ones, too."""
    sft, rl = sft_and_rl(given.recipe)
    runs, arms = dict[str, Run](), list[Arm]()
    longer = (given.recipe.eval.think_budget or given.recipe.eval.answer_budget) * _WHOLE
    for name, changes in (
        ("cut", {"overlong": "cut"}),
        ("dropped", {"overlong": "drop"}),
        ("whole", {"overlong": "cut", "max_tokens": sft.max_tokens * _WHOLE}),
    ):
        one = sft.model_copy(update=changes)
        if name != "whole":
            runs[name] = Run(variant(given.recipe, [one, rl], [one.name, rl.name]))
            arms += [Arm(f"SFT, {name}", name, one.name), Arm(f"SFT + RL, {name}", name, rl.name)]
        sampling = {**sampled(given.recipe), "think_budget": longer}
        runs[f"{name}-sampled"] = Run(variant(given.recipe, [one], [one.name], **sampling))
        arms.append(Arm(f"SFT sampled, {name}", f"{name}-sampled", one.name))
    contrasts = [
        over("SFT ends its thoughts more often when long traces are whole", *_SAMPLED, "endless"),
        over("SFT ends its thoughts more often when they are dropped", _SAMPLED[0], "SFT sampled, dropped", "endless"),
    ]
    for what in ("SFT", "SFT + RL"):
        dropped, cut = f"{what}, dropped", f"{what}, cut"
        contrasts.append(over(f"{what} is right more often when they are dropped", dropped, cut))
    return Matrix(runs, tuple(arms), tuple(contrasts))


_WHOLE = 3  # times the limit: what the micro world's longest traces take; the paper's would take more
_SAMPLED = ("SFT sampled, cut", "SFT sampled, whole")


def domain(given: Given) -> Matrix:
    """SFT, and RL alone, on mathematics, on the clinic, on both; each as it is usually asked, and in the other manner:
    made to think in the micro world, which asks without a word, not asked to think where benchmarks ask for it."""
    sft, rl = sft_and_rl(given.recipe)
    suffix = THINK_SUFFIX if sft.data.name in _CLINIC else UNASKED_SUFFIX
    manner = MANNERS[suffix]
    runs: dict[str, Run] = {}
    arms = list[Arm]()
    for kind, of in (("SFT", _sft_domains(given, sft)), ("RL", _rl_domains(given, rl))):
        for where, made in of.items():
            name, last = f"{kind.lower()}-{where}", made[-1].name
            also = [] if runs else ["base", "base" + suffix]
            runs[name] = Run(variant(given.recipe, made, [*also, last, last + suffix]))
            if also:
                arms += [Arm("base", name, "base"), Arm(f"base, {manner}", name, "base" + suffix)]
            arms += [Arm(f"{kind} {where}", name, last), Arm(f"{kind} {where}, {manner}", name, last + suffix)]
    contrasts = list[Contrast]()
    for kind in ("SFT", "RL"):
        contrasts += [
            over(f"{kind} on {_the(where)} beats the base", f"{kind} {where}", "base")
            for where in ("mathematics", "clinic")
        ]
        contrasts.append(
            over(f"{kind} on mathematics beats {kind} on the clinic", f"{kind} mathematics", f"{kind} clinic")
        )
        contrasts.append(over(f"{kind} on both beats {kind} on mathematics", f"{kind} both", f"{kind} mathematics"))
    for name in ("base", "SFT mathematics", "RL mathematics"):
        sides = f"{name}, {manner}", name
        helps = "being made to think" if suffix == THINK_SUFFIX else "being asked to think"
        contrasts.append(over(f"{helps} helps {_the(name)}", *(sides if suffix == THINK_SUFFIX else sides[::-1])))
    return Matrix(runs, tuple(arms), tuple(contrasts))


def _the(name: str) -> str:
    return f"the {name}" if name in ("base", "clinic") else name.replace(" ", " on ")


def _sft_domains(given: Given, sft: SftSpec) -> dict[str, Sequence[Stage]]:
    if sft.data.name in _CLINIC:
        drawn = _drawn(sft.data)
        return {where: [sft.model_copy(update={"data": data})] for where, data in drawn.items()}
    med = _med(given)
    clinic = [s for s in med.stages if isinstance(s, SftSpec | DistillSpec)]
    renamed = [
        s.model_copy(update={"name": "sft-clinic", "start": None}) if isinstance(s, SftSpec) else s for s in clinic
    ]
    return {"mathematics": [sft], "clinic": renamed, "both": [sft, *renamed]}


def _rl_domains(given: Given, rl: RlSpec) -> dict[str, Sequence[Stage]]:
    if rl.data.name in _CLINIC:
        return {where: [rl.model_copy(update={"data": data})] for where, data in _drawn(rl.data).items()}
    med = _med(given)
    clinic = next((s for s in med.stages if isinstance(s, RlSpec)), None)
    if clinic is None:
        raise RecipeError(f"The recipe {med.name} has no RL stage, whose data would be the clinic's: give it one.")
    after = clinic.model_copy(update={"name": "rl-clinic", "start": None})
    return {"mathematics": [rl], "clinic": [after], "both": [rl, after]}


def _drawn(data: DataSpec) -> dict[str, DataSpec]:
    clinic = data.model_copy(update={"name": _CLINIC[data.name]})
    both = data.model_copy(update={"options": {**data.options, **_BOTH}})
    return {"mathematics": data, "clinic": clinic, "both": both}


def med(given: Given) -> Matrix:
    """SFT, RL, SFT then RL on medicine, from the checkpoint that the recipe ends with."""
    sft, rl = sft_and_rl(given.recipe)
    special = _med(given)
    last = special.stages[-1]
    tuned = next((s for s in reversed(special.training) if isinstance(s, SftSpec)), None)
    if not isinstance(last, RlSpec) or tuned is None:
        raise RecipeError(f"The recipe {special.name} does not end in SFT and then RL: write it as micro-med.yaml is.")
    alone = last.model_copy(update={"start": None})
    runs = {
        "x-reasoner": Run(variant(given.recipe, [sft, rl], [rl.name])),
        "sft-rl": Run(variant(special, special.stages, ["base", tuned.name, last.name]), base_of="x-reasoner"),
        "rl": Run(variant(special, [alone], [alone.name]), base_of="x-reasoner"),
    }
    arms = (
        Arm("X-Reasoner", "sft-rl", "base"),
        Arm("+ SFT", "sft-rl", tuned.name),
        Arm("+ RL", "rl", alone.name),
        Arm("+ SFT + RL", "sft-rl", last.name),
    )
    contrasts = (
        over("SFT on medicine beats X-Reasoner", "+ SFT", "X-Reasoner"),
        over("RL alone on medicine beats X-Reasoner", "+ RL", "X-Reasoner"),
        over("SFT + RL on medicine beats X-Reasoner", "+ SFT + RL", "X-Reasoner"),
        over("SFT + RL on medicine beats SFT", "+ SFT + RL", "+ SFT"),
        over("SFT + RL on medicine beats RL alone", "+ SFT + RL", "+ RL"),
    )
    return Matrix(runs, arms, contrasts)


def _med(given: Given) -> Recipe:
    if given.med is None:
        raise RecipeError(
            "This study goes on with a recipe for medicine, and there is none beside the one given: put it beside "
            "NAME.yaml as NAME-med.yaml, as recipes/ has x-reasoner.yaml and x-reasoner-med.yaml."
        )
    return given.med


SEEDED: dict[str, Study] = {
    "stages": Study(
        title="SFT, RL, or both?",
        paper="table 4",
        question="How much of the transfer comes from SFT on text, how much from RL on text, and do they add up?",
        expand=stages,
        seeds=3,
    ),
    "domain": Study(
        title="Which domain's text?",
        paper="tables 1 and 3",
        question="Does text of mathematics carry over to the clinic, and does it do so better than the clinic's own?",
        expand=domain,
        seeds=3,
        medical=True,
        caution="“Made to think” begins every answer with `<think>`; a base that thinks unasked, as the micro world's "
        "does, shows no difference. Benchmarks that are read are asked with the paper's prompts, which ask for "
        "thoughts; there the other rows are “not asked to think”. In the micro world “both” is a mixture of as many "
        "rows; on a recipe whose data are read it is the one after the other, so more training.",
    ),
    "overlong": Study(
        title="Is the cut what makes endless thinking?",
        paper="appendix B.1 cuts traces at the limit",
        question="Long traces are cut at the limit, or dropped: is it the model trained on cut ones that fails to end?",
        expand=overlong,
        seeds=3,
        caution="Dropped traces take their rambling along, not the cut alone, and the rows become fewer (in the micro "
        "world by a fifth), so training is shorter. “Whole” keeps rows and text and cuts nothing, up to three times "
        "the limit. The sampled arms may think three times as long, so that a whole trace has room.",
    ),
    "med": Study(
        title="Medicine from the X-Reasoner checkpoint",
        paper="table 9",
        question="Trained further on text of medicine: what do SFT, RL, and both add?",
        expand=med,
        seeds=3,
        medical=True,
    ),
}
