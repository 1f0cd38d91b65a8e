"""What a study writes: one table, one sentence, one figure, on one page of Markdown; and every number as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xreasoner.files import write_atomic, write_json
from xreasoner.report.formats import NOTHING, clean, domain_label, kind_label, listed, number, percent, points
from xreasoner.study.compare import LEVEL, Difference, Found, Mean
from xreasoner.study.figure import draw
from xreasoner.study.matrix import Contrast, Matrix, Study
from xreasoner.study.outcomes import Kind, title_of

_MARKUP = re.compile(r"[\\`*\[\]|]")
_NAMED = 3  # kinds of problems that a sentence names; more are counted


def write_study(
    out: Path, name: str, study: Study, command: str, seeds: Sequence[int], matrix: Matrix, found: Found
) -> None:
    """Writes NAME.md, NAME.svg and NAME.json into `out`; the same numbers give the same bytes."""
    parts = [
        f"# {study.title}",
        f"{study.question} (Paper: {study.paper}.)",
        f"```\n{command}\n```",
        table(matrix, found),
        f"![{study.title}]({name}.svg)",
        f"**{sentence(matrix, found, len(seeds))}**",
        _reading(matrix, found, seeds),
        *([study.caution] if study.caution else []),
    ]
    write_atomic(out / f"{name}.svg", draw(matrix, found))
    write_json(out / f"{name}.json", document(seeds, matrix, found))
    write_atomic(out / f"{name}.md", "\n\n".join(parts) + "\n")


def table(matrix: Matrix, found: Found) -> str:
    """Arms, then contrasts, a column for each kind of problems. What is supported stands in bold."""
    heads = ["", *(_text(title_of(kind, found.kinds)) for kind in found.kinds), "not ended", "cut off", "tokens"]
    rows = [
        [
            _text(arm.name) + (f" ({number(found.asked[arm.name].value, 0)} left)" if arm.unsolved else ""),
            *(_share(found.right[arm.name].get(kind)) for kind in found.kinds),
            _share(found.endless.get(arm.name)),
            _share(found.cut.get(arm.name)),
            number(found.tokens[arm.name].value, 0) if arm.name in found.tokens else NOTHING,
        ]
        for arm in matrix.arms
    ]
    for of in matrix.contrasts:
        got = found.differences[of.name]
        rows.append([_text(formula(of)), *(_difference(got.get(kind)) for kind in found.kinds), "", "", ""])
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def formula(of: Contrast) -> str:
    """A contrast as the table names it.

    >>> formula(Contrast("SFT beats the base", ("SFT",), ("base",)))
    'SFT − base'
    """
    terms = [f"({plus} − {minus})" for plus, minus in zip(of.plus, of.minus, strict=True)]
    if len(terms) == 1:
        terms = [terms[0][1:-1]]
    return " + ".join(terms) + {"right": "", "endless": ", not ended", "cut": ", cut off"}[of.metric]


def sentence(matrix: Matrix, found: Found, seeds: int) -> str:
    """What the data support and what they do not, all contrasts of the study counted."""
    yes, against, no = list[str](), list[str](), list[str]()
    for of in matrix.contrasts:
        got = found.differences[of.name]
        better = [k for k, d in got.items() if d.supported and d.value > 0]
        worse = [k for k, d in got.items() if d.supported and d.value < 0]
        rest = [k for k in got if k not in better + worse]
        if better:
            yes.append(f"{of.name} {_on(better, got, found.kinds)}")
        if worse:
            against.append(f"{of.name} {_on(worse, got, found.kinds)}")
        if not better and not worse:
            no.append(of.name)
        elif rest:
            no.append(f"{of.name} {_on(rest, got, found.kinds)}")
    told = [f"support that {listed(yes)}"] if yes else []
    told += [f"speak against it that {listed(against)}"] if against else []
    told += [f"do not settle whether {listed(no)}"] if no else []
    one = "Of the models of this one seed, and for these problems, the data"
    whose = one if seeds == 1 else f"The data of {seeds} seeds"
    return f"{whose} " + "; they ".join(told) + "."


def document(seeds: Sequence[int], matrix: Matrix, found: Found) -> dict[str, Any]:
    """Every number, for programs; infinite widths are null."""

    def named(values: Mapping[Kind, Any], as_plain: Any) -> dict[str, Any]:
        return {title_of(kind, found.kinds): as_plain(value) for kind, value in values.items()}

    def mean(of: Mean | None) -> dict[str, Any] | None:
        return {"mean": of.value, "seeds": list(of.seeds)} if of else None

    def difference(of: Difference) -> dict[str, Any]:
        plain = {"difference": of.value, "half": of.half if math.isfinite(of.half) else None, "p": of.p}
        return {
            **plain,
            "p_adjusted": of.adjusted,
            "supported": of.supported,
            "seeds": list(of.seeds),
            "problems": of.n,
        }

    return {
        "seeds": list(seeds),
        "problems": named(found.n, int),
        "arms": {
            arm.name: {
                "right": named(found.right[arm.name], mean),
                "asked": mean(found.asked.get(arm.name)),
                "endless": mean(found.endless.get(arm.name)),
                "cut": mean(found.cut.get(arm.name)),
                "tokens": mean(found.tokens.get(arm.name)),
            }
            for arm in matrix.arms
        },
        "contrasts": {of.name: named(found.differences[of.name], difference) for of in matrix.contrasts},
    }


def _reading(matrix: Matrix, found: Found, seeds: Sequence[int]) -> str:
    comparisons = sum(map(len, found.differences.values()))
    sizes = sorted(set(found.n.values()))
    each = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    drawn = " of 3 and 4 steps (the base does shorter ones already)" if any(not kind[2] for kind in found.kinds) else ""
    if len(seeds) > 1:
        how = (
            f"Means of {len(seeds)} seeds ({listed([str(s) for s in seeds])}), in brackets the lowest and the highest. "
            f"Intervals (95%, each by itself): the wider of that over seeds (Student's t, {len(seeds) - 1} degrees of "
            "freedom: the luck of training) and that over problems (clustered)."
        )
    else:
        how = (
            f"**One seed ({seeds[0]}).** Intervals (95%, each by itself) are over problems (clustered) and know "
            "nothing of the luck of training: another seed may differ by more."
        )
    return (
        f"Percent right on up to {each} problems of a kind{drawn}; {_protocol(matrix)}. {how} Differences are taken "
        f"problem by problem; bold ones are supported: with all {comparisons} comparisons of this study counted, about "
        f"{LEVEL:.0%} of such may be false (Benjamini and Hochberg). “Not ended” is the share of answers whose "
        "thoughts were closed by force or cut off, “cut off” that of the latter."
    )


def _protocol(matrix: Matrix) -> str:
    """How the arms were asked: where they differ, each way with its runs."""
    ways: dict[str, list[str]] = {}
    for name in dict.fromkeys(arm.run for arm in matrix.arms):
        of = matrix.runs[name].recipe.eval
        drawn = "greedy" if of.temperature == 0 else f"temperature {of.temperature:g}"
        samples = f", {of.epochs} samples" if of.epochs > 1 else ""
        think = f"{of.think_budget:,} tokens to think and " if of.think_budget else "no forced exit, "
        ways.setdefault(f"{drawn}{samples}, {think}{of.answer_budget:,} to answer", []).append(name)
    suites = listed(list(dict.fromkeys(run.recipe.eval.suite for run in matrix.runs.values())))
    if len(ways) == 1:
        return f"suite {suites}, {next(iter(ways))}"
    return f"suite {suites}, " + "; ".join(f"{way} ({', '.join(names)})" for way, names in ways.items())


def _share(of: Mean | None) -> str:
    if of is None:
        return NOTHING
    low, high = percent(min(of.seeds)), percent(max(of.seeds))
    return percent(of.value) + (f" ({low} to {high})" if low != high else "")


def _difference(of: Difference | None) -> str:
    if of is None:
        return NOTHING
    value = f"**{points(of.value)}**" if of.supported else points(of.value)
    return f"{value} ±{number(100 * of.half)}"


def _on(kinds: Sequence[Kind], got: Mapping[Kind, Difference], among: Sequence[Kind]) -> str:
    """Where, and by how much. `among` are all kinds of the study."""
    values = [points(got[k].value) for k in sorted(kinds, key=lambda k: got[k].value)]
    by = values[0] if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
    if len(kinds) == len(got):
        where = f"on all {len(got)} kinds of problems" if len(got) > 1 else f"on {_inside(kinds[0], among)}"
    else:
        names = _grouped(kinds, got, among)
        where = f"on {listed(names)}" if len(names) <= _NAMED else f"on {len(kinds)} of {len(got)} kinds"
    return f"{where} ({by})"


def _grouped(kinds: Sequence[Kind], got: Mapping[Kind, Difference], among: Sequence[Kind]) -> list[str]:
    """The names of kinds within a sentence; a domain stands for all of its drawn kinds where it is there with them."""
    names = []
    for kind in kinds:
        whole = [k for k in got if k[0] == kind[0]]
        together = not kind[2] and len(whole) > 1 and all(k in kinds for k in whole)
        names.append(f"{_text(domain_label(kind[0]))} in every modality" if together else _inside(kind, among))
    return list(dict.fromkeys(names))


def _inside(kind: Kind, among: Sequence[Kind]) -> str:
    """The name of a kind within a sentence."""
    return _text(title_of(kind, among) if kind[2] else kind_label(kind[:2]))


def _text(name: str) -> str:
    """A name as Markdown that shows it: names of benchmarks come from files, and are text, not markup."""
    return _MARKUP.sub(r"\\\g<0>", clean(name).replace("\n", " ")).replace("<", "&lt;")
