"""The paper's tables as studies: a matrix of recipes is run, what runs have in common once, and told on one page.

    runs/studies/NAME/study.yaml                 what the study is made from
                      seed-0/RUN/                a run folder for each recipe of the matrix
                      NAME.md  NAME.svg  NAME.json
    runs/studies/bases/                          bases of the micro world that were made for a study

The page is written from study.yaml and the run folders alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xreasoner import config
from xreasoner.config import Recipe
from xreasoner.errors import RecipeError, RunError, UserError
from xreasoner.files import disk_guard, write_atomic
from xreasoner.runs import without_means
from xreasoner.study.compare import compare
from xreasoner.study.matrix import Given, Matrix, Study
from xreasoner.study.outcomes import read_arms
from xreasoner.study.seeded import SEEDED
from xreasoner.study.single import SINGLE
from xreasoner.study.write import write_study

STUDIES: dict[str, Study] = {**SEEDED, **SINGLE}
RECIPE = Path("recipes/micro.yaml")
FILE = "study.yaml"


@dataclass(frozen=True, slots=True)
class Asked:
    """A study as it was asked for: all that its runs depend on."""

    name: str
    command: str
    seeds: tuple[int, ...]
    recipe: Recipe
    med: Recipe | None
    bases: Mapping[str, str]

    @property
    def study(self) -> Study:
        return STUDIES[self.name]

    def matrix(self, seed: int) -> Matrix:
        med = self.med.model_copy(update={"seed": seed}) if self.med else None
        return self.study.expand(Given(self.recipe.model_copy(update={"seed": seed}), med, self.bases))


def run_study(
    name: str,
    recipe: Path,
    overrides: Sequence[str],
    seeds: Sequence[int] | None,
    out: Path | None,
    base: str | None,
    command: str,
    on_tick: Callable[..., None],
    tell: Callable[[str], None],
) -> Path:
    """Runs what is missing of a study and writes its page, whose path is returned. `base` is the other model of a study
    that compares two. `tell` gets sentences for a person.

    Raises:
        UserError: an unknown study, a recipe that it cannot be made of, a folder of another study; and as a run does.
        StageFailed: a stage died.
    """
    asked = ask(name, recipe, overrides, seeds, base, out)
    folder = out or default_folder(name)
    # what cannot be made is told before anything is written
    matrices = {seed: asked.matrix(seed) for seed in asked.seeds}
    _claim(folder, asked)
    from xreasoner.study.run import run_matrices  # brings what a run needs; a page alone needs none of it

    ours = asked.bases if base is None else {}
    run_matrices(folder, asked.study, ours, matrices, command, on_tick, tell)
    write_atomic(folder / FILE, _written(asked))
    return write_page(folder, asked)


def rebuild_study(name: str, out: Path | None) -> Path:
    """Writes the page of a study again from its folder; no model is asked, nor any library that could load one.

    Raises RunError where the folder holds no such study, or not all of it.
    """
    _known(name)
    folder = out or default_folder(name)
    if not (folder / FILE).is_file():
        raise RunError(f"{folder} holds no study (it has no {FILE}): run it first, or give its folder with --out.")
    asked = _read(folder)
    if asked.name != name:
        raise RunError(f"{folder} holds the study {asked.name}, not {name}: give another --out.")
    return write_page(folder, asked)


def write_page(folder: Path, asked: Asked) -> Path:
    """The page, figure and numbers of a study from its run folders. Raises RunError where an evaluation is missing."""
    matrix = asked.matrix(asked.seeds[0])
    found = compare(matrix, [read_arms(seed_folder(folder, seed), matrix) for seed in asked.seeds])
    with disk_guard(folder):
        write_study(folder, asked.name, asked.study, asked.command, asked.seeds, matrix, found)
    return folder / f"{asked.name}.md"


def seed_folder(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed}"


def default_folder(name: str) -> Path:
    return Path("runs/studies") / name


def ask(
    name: str, path: Path, overrides: Sequence[str], seeds: Sequence[int] | None, base: str | None, out: Path | None
) -> Asked:
    """The study `name` of a recipe. Overrides of its launch go for the medical recipe beside it, too, and so do those
    of its evaluation but for what names checkpoints."""
    study = _known(name)
    if any(o.partition("=")[0] == "seed" for o in overrides):
        raise RecipeError("A study runs several seeds: name them with --seeds, as in --seeds 0,1,2.")
    recipe = config.load(path, overrides)
    beside = path.with_name(f"{path.stem}-med{path.suffix}")
    wanted = study.medical and beside.is_file()
    med = config.load(beside, list(filter(_is_common, overrides))) if wanted else None
    if base is not None and not study.bases:
        raise RecipeError(f"The study {name} compares no bases: leave --base out.")
    bases = {of: base or made_base(out or default_folder(name), of) for of in study.bases}
    if bases and base is None and recipe.model.base != "micro":
        raise RecipeError(f"The study {name} compares the recipe's base with another model: name that with --base.")
    chosen = tuple(seeds) if seeds is not None else tuple(range(study.seeds))
    words = ["xreasoner", "study", name]
    words += ["--recipe", str(path)] if path != RECIPE else []
    words += [*overrides, *(["--base", base] if base else [])]
    words += ["--seeds", ",".join(map(str, chosen))] if seeds is not None else []
    return Asked(name, shlex.join(words), chosen, recipe, med, bases)


def _is_common(override: str) -> bool:
    first, second, *_ = [*override.partition("=")[0].split("."), ""]
    return first == "launch" or (first == "eval" and second not in ("", "checkpoints", "controls"))


def made_base(folder: Path, name: str) -> str:
    """Where a base of the micro world lies that was made for a study."""
    return str(folder.parent / "bases" / name)


def _known(name: str) -> Study:
    if name not in STUDIES:
        raise RecipeError(f"There is no study `{name}`: choose one of {', '.join(STUDIES)}.")
    return STUDIES[name]


def _claim(folder: Path, asked: Asked) -> None:
    """Makes the folder this study's: a new one gets its study.yaml, one that is there keeps what it says until the runs
    are there, too. Raises RunError where it belongs to another study, or is none of one."""
    path = folder / FILE
    if path.is_file():
        left = set(_read(folder).seeds) - set(asked.seeds)
        if left:
            named = ",".join(map(str, sorted(left | set(asked.seeds))))
            raise RunError(
                f"{folder} has more seeds than these: name them all (--seeds {named}), or give another --out."
            )
        if _identity(_plain(path)) != _identity(_document(asked)):
            raise RunError(
                f"{folder} holds a study of another recipe or another base: give another --out, or remove that folder."
            )
    elif folder.exists() and (not folder.is_dir() or any(not p.name.startswith(".") for p in folder.iterdir())):
        raise RunError(f"{folder} exists and holds no study: give another --out.")
    else:
        with disk_guard(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, _written(asked))


def _written(asked: Asked) -> str:
    return yaml.safe_dump(_document(asked), sort_keys=False)


def _document(asked: Asked) -> dict[str, Any]:
    return {
        "study": asked.name,
        "command": asked.command,
        "seeds": list(asked.seeds),
        "bases": dict(asked.bases),
        "recipe": asked.recipe.to_document(),
        "med": asked.med.to_document() if asked.med else None,
    }


def _identity(document: dict[str, Any]) -> Any:
    """What two studies of one folder must have in common: all but their means, how they were asked for, and their
    seeds, for a study may be given more of them."""
    return without_means({key: value for key, value in document.items() if key not in ("command", "seeds")})


def _plain(path: Path) -> dict[str, Any]:
    """What study.yaml holds. Raises RunError where it is damaged."""
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict):
            raise TypeError
        return plain
    except (OSError, ValueError, TypeError, yaml.YAMLError) as e:
        raise _unreadable(path, e) from None


def _unreadable(path: Path, e: Exception) -> RunError:
    return RunError(f"{path} cannot be read ({type(e).__name__}): give another --out, or remove that folder.")


def _read(folder: Path) -> Asked:
    path = folder / FILE
    plain = _plain(path)
    try:
        name, bases = str(plain["study"]), dict(plain["bases"])
        recipe = config.from_document(plain["recipe"], str(path))
        med = config.from_document(plain["med"], str(path)) if plain["med"] else None
        seeds = tuple(int(seed) for seed in plain["seeds"])
        sound = bool(seeds) and all(isinstance(base, str) for base in bases.values())
        if not sound or (name in STUDIES and set(bases) != set(STUDIES[name].bases)):
            raise ValueError
        return Asked(name, str(plain["command"]), seeds, recipe, med, bases)
    except UserError:
        raise
    except (ValueError, TypeError, KeyError) as e:
        raise _unreadable(path, e) from None
