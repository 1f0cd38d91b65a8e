"""A small recipe on the micro base, broken in the ways that tests ask for."""

import shutil
from pathlib import Path

import pytest
import torch

from xreasoner import config
from xreasoner.check import CHECKS, Context, look
from xreasoner.model.hub import MICRO

RECIPE = Path(__file__).parents[2] / "recipes" / "micro.yaml"
SMALL = ["sft.data.rows=40", "sft-direct.data.rows=20", "rl.data.rows=20"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def found(tmp_path):
    """found("name", ..., *overrides, out=) tries these checks and gives [(name, state, what and mend)]."""

    def run(*words, out=None, estimates=None, checks=CHECKS):
        names = [word for word in words if "=" not in word]
        recipe = config.load(RECIPE, [*SMALL, *(word for word in words if "=" in word)])
        wanted = {name: checks[name] for name in names}
        with Context(recipe, out or tmp_path / "run", estimates) as context:
            return [(name, f.state, f"{f.what} {f.mend}") for name, f in look(context, wanted)]

    return run


@pytest.fixture
def base(tmp_path):
    """A copy of the micro base that may be broken."""
    folder = tmp_path / "base"
    shutil.copytree(MICRO, folder)
    return folder
