"""A problem to play with: what is printed is what was drawn, and both belong to no training."""

from pathlib import Path

import PIL.Image
import pytest

from xreasoner.errors import DataError
from xreasoner.micro import world
from xreasoner.micro.draw import draw_problem


def messages(text: str) -> list[str]:
    """The indented blocks, as a talk reads them."""
    blocks = [block for block in text.split("\n\n") if "\n    " in block]
    return [
        "\n".join(line.strip() for line in block.split("\n")[1:]).replace("\\\n", "\n").replace(" \n", "\n")
        for block in blocks
    ]


def solve(page: str) -> tuple[str, tuple[int, list[str]]]:
    """(answer, (start, operations)) of a page with its question, by hand."""
    lines = [line.split() for line in page.split("\n")]
    value = int(lines[0][1])
    start, operations = value, [line[1] for line in lines[1:-1]]
    for operation in operations:
        value = world.apply(value, operation)
    return str(value), (start, operations)


@pytest.mark.parametrize(("domain", "steps"), [("math", 3), ("clinic", 2), ("math", 4)])
def test_a_page_with_its_words_and_answer(domain: str, steps: int, tmp_path: Path) -> None:
    out = tmp_path / "new" / "p.png"
    text = draw_problem(domain, steps, "page", 7, out)
    about_picture, in_words = messages(text)
    answer, (start, operations) = solve(in_words)
    assert f"right answer: {answer}\n" in text
    assert len(operations) == steps
    assert world.split_of(start, operations) == "dev"
    assert about_picture == in_words.split("\n")[-1]
    assert f"--image {out}" in text
    with PIL.Image.open(out) as picture:
        assert picture.size == (84, 28 * (steps + 1))


def test_a_chart_holds_the_start_and_the_rest_is_asked(tmp_path: Path) -> None:
    text = draw_problem("math", 2, "chart", 0, tmp_path / "c.png")
    about_picture, in_words = messages(text)
    assert about_picture.split("\n")[1:] == in_words.split("\n")[1:]
    assert about_picture.split("\n")[0].split()[0] == in_words.split("\n")[0].split()[0]
    assert about_picture.split("\n")[0] != in_words.split("\n")[0]


def test_the_same_seed_is_the_same_picture_whatever_its_file(tmp_path: Path) -> None:
    texts = [draw_problem("math", 3, "page", seed, tmp_path / f"{k}.png") for k, seed in enumerate([1, 1, 2])]
    a, b, c = (PIL.Image.open(tmp_path / f"{k}.png").tobytes() for k in range(3))
    assert a == b != c
    assert texts[0].replace("0.png", "1.png") == texts[1]
    # a file that is there is drawn anew
    draw_problem("math", 3, "page", 2, tmp_path / "0.png")
    assert PIL.Image.open(tmp_path / "0.png").tobytes() == c


@pytest.mark.parametrize(
    ("domain", "steps", "kind", "word"),
    [("law", 2, "page", "math, clinic"), ("math", 0, "page", "1 to 4"), ("math", 2, "film", "page, chart")],
)
def test_what_there_is_not(domain: str, steps: int, kind: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=word):
        draw_problem(domain, steps, kind, 0, tmp_path / "x.png")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file" / "x.png"):
        with pytest.raises(DataError, match="--out"):
            draw_problem("math", 2, "page", 0, out)
