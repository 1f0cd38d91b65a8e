"""Every training set by name. To add one, write a function from a row to an Example and a value in DATASETS."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from xreasoner import prompts
from xreasoner.config import DataSpec
from xreasoner.data import gsm8k, jsonl, mathematics, medqa, openthoughts
from xreasoner.data.fates import Unfit, holds_image, marks_image
from xreasoner.data.hub import Hub, open_hub
from xreasoner.data.sources import Raw, Unreadable, open_local
from xreasoner.errors import DataError, RecipeError
from xreasoner.micro.examples import training_examples
from xreasoner.types import Example
from xreasoner.verify.verifiers import check_golds

_MATH_CONFIGS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A set that is made and not read: `draw(rows, seed, **options)`. One that `shows_pictures` takes the share of rows
    that have one (`p_pictured`), and the folder that they are drawn into (`pictures`), which is no option."""

    draw: Callable[..., list[Example]]
    shows_pictures: bool = False

    @property
    def options(self) -> set[str]:
        fixed = {"rows", "seed", "direct", "domain", "pictures"} | (set() if self.shows_pictures else {"p_pictured"})
        return set(inspect.signature(self.draw).parameters) - fixed


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set that is read. `to_example(row, id, options, template)` gives a row's Example or raises Unfit; `fields` are
    what a row must have, in words, `options` the values that each option takes, its default first. `hub(options)` is
    where it lies on the Hub (None: there is only your own path). A wrong row of a `strict` set is an error that names
    it, since you can mend it; of any other it is quarantined."""

    licence: str
    source: str
    to_example: Callable[[Any, str, Mapping[str, Any], str], Example]
    fields: str
    hub: Callable[[Mapping[str, Any]], Hub] | None
    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    strict: bool = False


def _medqa_hub(options: Mapping[str, Any]) -> Hub:
    if options["choices"] == 4:
        return Hub("GBaker/MedQA-USMLE-4-options")
    # The repository itself is a loading script, which nothing runs any more; this is the Hub's own conversion of it.
    return Hub("bigbio/med_qa", raw="med_qa_en_source/train", revision="refs/convert/parquet")


DATASETS: dict[str, Dataset | Drawn] = {
    "micro-math": Drawn(partial(training_examples, domain="math")),
    "micro-math-direct": Drawn(partial(training_examples, domain="math", direct=True)),
    "micro-math-pictures": Drawn(partial(training_examples, domain="math", p_pictured=0.5), shows_pictures=True),
    "micro-clinic": Drawn(partial(training_examples, domain="clinic")),
    "micro-specialist": Drawn(partial(training_examples, domain="specialist")),
    "jsonl": Dataset(
        licence="yours",
        source="docs/data.md",
        to_example=jsonl.to_example,
        fields="prompt, gold, verifier, response",
        hub=None,
        strict=True,
    ),
    "gsm8k": Dataset(
        licence="MIT",
        source="https://github.com/openai/grade-school-math",
        to_example=gsm8k.to_example,
        fields="question, answer",
        hub=lambda options: Hub("openai/gsm8k", ("main",)),
    ),
    "math": Dataset(
        licence="MIT",
        source="https://github.com/hendrycks/math",
        to_example=mathematics.math_example,
        fields="problem, solution",
        hub=lambda options: Hub("EleutherAI/hendrycks_math", _MATH_CONFIGS),
    ),
    "openthoughts-114k": Dataset(
        licence="Apache-2.0",
        source="https://huggingface.co/datasets/open-thoughts/OpenThoughts-114k",
        to_example=openthoughts.to_example,
        fields="conversations (config default), or problem, deepseek_reasoning, deepseek_solution, domain (metadata)",
        hub=lambda options: Hub("open-thoughts/OpenThoughts-114k", (options["config"],)),
        options={"config": ("default", "metadata")},
    ),
    "orz-math-57k": Dataset(
        licence="MIT",
        source="https://huggingface.co/datasets/Open-Reasoner-Zero/orz_math_57k_collection",
        to_example=mathematics.orz_example,
        fields="pairs of {value} and {ground_truth: {value}}",
        hub=lambda options: Hub("Open-Reasoner-Zero/orz_math_57k_collection", raw="orz_math_57k_collection.json"),
    ),
    "medqa": Dataset(
        licence="CC-BY-4.0 (4 options); not stated (5 options)",
        source="https://github.com/jind11/MedQA",
        to_example=medqa.to_example,
        fields="question, options, answer_idx",
        hub=_medqa_hub,
        options={"choices": (4, 5)},
    ),
}


def check_spec(spec: DataSpec) -> None:
    """Finds an unknown dataset, path, option or value without opening anything.

    Raises:
        RecipeError: with those that are known.
    """
    of = DATASETS.get(spec.name)
    if of is None:
        raise RecipeError(f"There is no dataset `{spec.name}`: choose one of {', '.join(sorted(DATASETS))}.")
    if spec.path is not None and not Path(spec.path).exists():
        raise RecipeError(f"The dataset {spec.name} has the path {spec.path}, which does not exist: mend `path`.")
    if isinstance(of, Drawn):
        unwanted = [k for k in ("path", "tolerate", "decontaminate", "pass_rate") if getattr(spec, k)]
        if unwanted:
            raise RecipeError(f"The dataset {spec.name} is drawn, not read: remove its `{'`, `'.join(unwanted)}`.")
        if spec.rows is None:
            raise RecipeError(f"The dataset {spec.name} is drawn, not read: say how many `rows`.")
    elif of.hub is None and spec.path is None:
        raise RecipeError(f"The dataset {spec.name} is read from a file: give its `path`.")
    unknown = set(spec.options) - set(of.options)
    if unknown and not of.options:
        raise RecipeError(f"The dataset {spec.name} takes no options: remove {', '.join(sorted(unknown))}.")
    if unknown:
        raise RecipeError(
            f"The dataset {spec.name} has no option {', '.join(sorted(unknown))}: it has "
            f"{', '.join(sorted(of.options))}."
        )
    if isinstance(of, Dataset):
        for option, value in spec.options.items():
            if value not in of.options[option]:
                known = ", ".join(map(str, of.options[option]))
                raise RecipeError(f"The dataset {spec.name} has no {option} {value!r}: choose one of {known}.")


def options_of(spec: DataSpec) -> dict[str, Any]:
    """The options of a set that is read, with the defaults of those that are not given."""
    of = DATASETS[spec.name]
    assert isinstance(of, Dataset)
    return {**{option: values[0] for option, values in of.options.items()}, **spec.options}


def open_rows(spec: DataSpec, folder: Path) -> Raw:
    """The raw rows of a set that is read; what has to be written to map them goes into `folder`.

    Raises:
        RecipeError, DataError: the set is drawn; the file is damaged; the Hub does not answer.
    """
    check_spec(spec)
    of = DATASETS[spec.name]
    if isinstance(of, Drawn):
        raise RecipeError(f"The dataset {spec.name} is drawn, not read: there are no rows to look at.")
    if spec.path is not None:
        return open_local(Path(spec.path), folder / "raw.arrow")
    assert of.hub is not None
    return open_hub(of.hub(options_of(spec)), folder / "raw.arrow")


def example_of_row(spec: DataSpec, number: int, row: Any, template: str = prompts.TRAINING) -> Example:
    """The example of the row with this number. Raises Unfit where it gives none."""
    of = DATASETS[spec.name]
    assert isinstance(of, Dataset)
    stem = Path(spec.path).name.partition(".")[0] if spec.path is not None and of.strict else spec.name
    if isinstance(row, Unreadable):
        raise Unfit("malformed", row.detail)
    try:
        if holds_image(row):
            raise Unfit("image", "holds an image, but training sees text only: remove the row.")
        example = of.to_example(row, f"{stem}-{number}", options_of(spec), template)
        _all_text(example).encode()
    except RecursionError:
        raise Unfit("malformed", "nests too deep: mend or remove the row.") from None
    except UnicodeEncodeError:
        raise Unfit("malformed", "holds half of a surrogate pair, which is no text: mend or remove the row.") from None
    if any(marks_image(m.content) for m in example.messages if isinstance(m.content, str)):
        raise Unfit("image", "keeps a place for an image, but training sees text only: remove the row.")
    return example


def _all_text(example: Example) -> str:
    contents = [m.content for m in example.messages if isinstance(m.content, str)]
    tags = [*example.tags, *example.tags.values()]
    return "".join([example.id, *contents, example.gold, *example.options, example.response or "", *tags])


def shows_pictures(name: str) -> bool:
    """Whether rows of this dataset may hold pictures: some drawn ones do, of one that is read such rows go."""
    of = DATASETS.get(name)
    return isinstance(of, Drawn) and of.shows_pictures


def load_training(spec: DataSpec, seed: int, pictures: Path | None = None) -> Sequence[Example]:
    """The training examples of a set that is drawn; the pictures of one that has some are drawn into the folder
    `pictures` (None: they are named, and not drawn).

    Raises:
        RecipeError, DataError: unknown names or options, a gold that fails, or an image in a set that has none.
    """
    check_spec(spec)
    of = DATASETS[spec.name]
    assert isinstance(of, Drawn), "rows that are read are prepared (data/prepare.py)"
    folder = {"pictures": pictures} if of.shows_pictures else {}
    try:
        examples = of.draw(spec.rows, seed, **spec.options, **folder)
    except TypeError as e:
        raise RecipeError(
            f"An option of the dataset {spec.name} has a value of the wrong kind ({e}): mend it."
        ) from None
    for example in examples:
        if example.images and not of.shows_pictures:
            raise DataError(f"Row {example.id} of {spec.name} holds an image: training sees text only; remove the row.")
    check_golds(examples)
    return examples
