"""What the README shows has to work: its recipe, its row, its links."""

import json
import re
from pathlib import Path

import pytest
import yaml

from xreasoner import config
from xreasoner.data.jsonl import to_example

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_recipe_is_one() -> None:
    (block,) = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    recipe = config.from_document(yaml.safe_load(block), "README")
    assert [s.name for s in recipe.training] == ["sft", "rl"]


def test_the_row_is_one() -> None:
    (row,) = re.findall(r'`(\{"prompt".*?\})`', (ROOT / "README.md").read_text(), re.DOTALL)
    assert to_example(json.loads(row), "row").gold == "5"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text())
    assert all((page.parent / link).exists() for link in links)
