"""docs/studies keeps a page and a figure of every study, with the command that made them."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from xreasoner.study import STUDIES

DOCS = Path(__file__).parents[2] / "docs" / "studies"


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_page_and_figure(name: str) -> None:
    page, study = (DOCS / f"{name}.md").read_text(), STUDIES[name]
    assert page.startswith(f"# {study.title}\n\n{study.question}")
    assert f"```\nxreasoner study {name}\n```" in page  # as written, on the micro recipe
    assert ("**One seed (0).**" in page) == (study.seeds == 1)
    assert study.caution in page
    assert f"({name}.svg)" in page
    ElementTree.parse(DOCS / f"{name}.svg")
    assert f"| [{name}]({name}.md) |" in (DOCS / "README.md").read_text()
