"""A small recipe on the micro base, broken in the ways that tests ask for."""

import shutil

import pytest
import torch
from small_recipe import RECIPE, SMALL

from xreasoner import config
from xreasoner.check import CHECKS, Context, look
from xreasoner.model.hub import MICRO


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
