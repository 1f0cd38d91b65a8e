"""How models were asked, and in what the ways differ: in words, for no two numbers stand side by side in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xreasoner.report.formats import listed, sentence_case
from xreasoner.report.rundata import finite, mapping

UNKNOWN = "not recorded"
EXAMPLES = 6  # of a long list that are named
_PAPER, _PAPER_TEMPERATURE, _PAPER_THINK = (
    "arXiv 2505.03981",
    "0.3",
    4096,
)  # section 3: 4,096 tokens of thought, then forced exit
# What an evaluation records besides: its words, and what its absence means.
_MEANS = {
    "rollout": ("sampler", "local"),
    "dtype": ("dtype", UNKNOWN),
    "max_pixels": ("largest picture in pixels", "the model's own"),
    "min_pixels": ("smallest picture in pixels", "the model's own"),
    "preset": ("preset", "none"),
    "endpoint": ("server", "none"),
    "provider": ("provider", "none"),
    "protocol": ("protocol of the server", "none"),
    "tokenizer": ("tokenizer at the server", "none"),
}
_AT_A_SERVER = {"rollout": "a server", "max_pixels": "the server's own", "min_pixels": "the server's own"}
_SPEC = {
    "think_budget": "tokens to think",
    "answer_budget": "tokens to answer",
    "temperature": "temperature",
    "epochs": "samples of a question",
    "split": "split",
    "limit": "limit of questions a cell",
}
TEMPERATURE, EPOCHS, THINK, LIMIT, SPLIT = (
    _SPEC[k] for k in ("temperature", "epochs", "think_budget", "limit", "split")
)


def settings_of(spec: Mapping[str, Any], means: Mapping[str, Any]) -> dict[str, str]:
    """All that answers depend on besides the model, in words. `spec` holds the fields of an evaluation's
    specification, `means` what was recorded besides."""
    found = {words: _written(spec[key]) if spec.get(key) is not None else UNKNOWN for key, words in _SPEC.items()}
    if spec and spec.get("limit") is None:
        found[LIMIT] = "none"
    for key, (words, absent) in _MEANS.items():
        found[words] = absent if means.get(key) is None else _written(means[key])
    if means.get("endpoint") is not None or means.get("provider") is not None:  # nobody here sees what it does
        for key, words in _AT_A_SERVER.items():
            if means.get(key) is None:
                found[_MEANS[key][0]] = words
    if not spec and not means:
        found = dict.fromkeys(found, UNKNOWN)
    others = {k: v for k, v in means.items() if k not in _MEANS and k != "model" and v is not None}
    return found | {str(key): _written(value) for key, value in others.items()}


def _written(value: Any) -> str:
    number = finite(value)
    if number is None:
        return str(value)[:200]
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def way(settings: Mapping[str, str]) -> str:
    """How the answers of a column come to an accuracy, in the words of published tables: greedy, avg@5.

    >>> way({"temperature": "0.3", "samples of a question": "5"})  # the paper's, section 3
    'avg@5'
    >>> way({"temperature": "1", "samples of a question": "5"})
    'avg@5 at temperature 1'
    """
    epochs, temperature = settings.get(EPOCHS, UNKNOWN), settings.get(TEMPERATURE, UNKNOWN)
    if UNKNOWN in (epochs, temperature):
        return UNKNOWN
    if temperature == "0":
        return "greedy" if epochs == "1" else f"greedy, {epochs} times"
    return f"avg@{epochs}" + ("" if temperature == _PAPER_TEMPERATURE else f" at temperature {temperature}")


def same_way(how: str, ours: str) -> bool:
    """Whether a published number says that it was measured in our way."""
    plain = [re.sub(r"[^a-z0-9@]", "", text.lower()) for text in (how, ours)]
    return plain[0] == plain[1] or (ours == "greedy" and plain[0].startswith("greedy"))


def _kind(how: str) -> str:
    """The way of a published number without its particulars.

    >>> _kind("avg@5, no chain of thought"), _kind("greedy"), _kind("")
    ('avg@5 with a difference', 'greedy', 'not recorded')
    """
    first, _, more = how.partition(",")
    return (first.strip() or UNKNOWN) + (" with a difference" if more.strip() else "")


def setting_differences(settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A sentence for every setting in which columns (label: settings) differ."""
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    said = []
    for key in keys:
        by_value = _grouped({label: one.get(key, "none") for label, one in settings.items()})
        if len(by_value) > 1:
            parts = [f"{value} ({listed(labels)})" for value, labels in by_value.items()]
            said.append(f"{sentence_case(key)}: {'; '.join(parts)}.")
    return said


def benchmark_differences(what: str, by_benchmark: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A sentence on the benchmarks in which `what` (n, revision) differs between columns, those alike together and the
    first of them named."""
    alike: dict[str, list[str]] = {}
    for name, values in by_benchmark.items():
        groups = _grouped(values)
        if len(groups) > 1:
            words = "; ".join(f"{value} ({listed(labels)})" for value, labels in groups.items())
            alike.setdefault(words, []).append(name)
    said = []
    for words, names in alike.items():
        rest = len(names) - EXAMPLES
        told = listed([*names[:EXAMPLES], f"{rest} more"] if rest > 0 else names)
        said.append(f"{told}: {words}")
    more = f", and {len(said) - EXAMPLES} more ways" if len(said) > EXAMPLES else ""
    return [f"{what}: {' · '.join(said[:EXAMPLES])}{more}."] if said else []


def _grouped(values: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label, value in values.items():
        found.setdefault(value, []).append(label)
    return found


def published_differences(
    published: Mapping[str, Sequence[Mapping[str, Any]]],
    settings: Mapping[str, Mapping[str, str]],
    parts: Mapping[str, str],
    partial: bool,
) -> list[str]:
    """In what the published numbers (by benchmark) were measured otherwise than ours, as far as anybody wrote it down.
    `parts` says how much of a benchmark ours took, where that is known not to be its size; `partial`: whether
    they leave out questions, or have a limit."""
    rows = [mapping(row) for some in published.values() for row in some]
    if not rows or not settings:
        return []
    said = ["They are other people's, printed as they stand, without an error of their own."]
    for ours, labels in _grouped({label: way(one) for label, one in settings.items()}).items():
        others = Counter(_kind(str(r.get("how", ""))) for r in rows if not same_way(str(r.get("how", "")), ours))
        if others:
            heat = {settings[label].get(TEMPERATURE, UNKNOWN) for label in labels}
            said.append(
                f"{listed(labels)}: ours {ours} at temperature {listed(sorted(heat))}; {others.total()} of the "
                f"{len(rows)} published numbers are of another way (marked †): "
                f"{listed([f'{n} {kind}' for kind, n in others.most_common()])}."
            )
    if any(_PAPER in str(row.get("source", "")) for row in rows):
        for budget, labels in _grouped({label: one.get(THINK, UNKNOWN) for label, one in settings.items()}).items():
            if budget != f"{_PAPER_THINK:,}":
                said.append(
                    f"{listed(labels)}: {budget} tokens to think before thoughts are closed by force; the paper "
                    f"({_PAPER}, section 3) gives {_PAPER_THINK:,}."
                )
    for split, labels in _grouped({label: one.get(SPLIT, UNKNOWN) for label, one in settings.items()}).items():
        if split not in ("test", UNKNOWN):
            said.append(f"{listed(labels)}: the split {split}, not the one that is published on.")
    told = [f"{name} {words}" for name, words in parts.items() if published.get(name)]
    if told:
        rest = f" and {len(told) - EXAMPLES} more" if len(told) > EXAMPLES else ""
        said.append(
            f"Ours did not ask the benchmark as it was published: {', '.join(told[:EXAMPLES])}{rest} questions."
        )
    elif partial:
        said.append(
            "Ours stand on a part of some benchmarks (see n, and rows left out); theirs on all, as far as told."
        )
    said.append("Of the published ones nobody recorded here: sizes of pictures, sampler, dtype, revision of the rows.")
    return said
