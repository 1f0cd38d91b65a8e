import PIL.Image
import pytest

from xreasoner.errors import DataError
from xreasoner.eval.controls import apply_control
from xreasoner.types import Example, Image, Message


@pytest.fixture
def examples(tmp_path):
    made = [Example("text", (Message("user", "page ask b"),), "1", "exact", tags={"domain": "math", "steps": "3"})]
    for domain in ("math", "clinic"):
        for steps, height in (("3", 40), ("4", 50)):
            for i in range(5):
                path = tmp_path / f"{domain}-{steps}-{i}.png"
                PIL.Image.new("RGB", (30, height), (i, i, i)).save(path)
                message = Message("user", (Image(str(path)), f"ask {i}"))
                tags = {"domain": domain, "steps": steps, "cluster": path.stem}
                made.append(Example(path.stem, (message,), "1", "exact", tags=tags))
    return made


def test_real_changes_nothing(examples, tmp_path):
    assert apply_control(examples, "real", tmp_path) == examples


def test_none_takes_the_picture_out(examples, tmp_path):
    changed = apply_control(examples, "none", tmp_path)
    assert [e.id for e in changed] == [e.id for e in examples[1:]]
    assert changed[0].messages == (Message("user", ("ask 0",)),)
    assert changed[0].tags == examples[1].tags


def test_blank_is_grey_and_of_the_same_size(examples, tmp_path):
    changed = apply_control(examples, "blank", tmp_path / "new")
    assert len(changed) == 20
    for before, after in zip(examples[1:], changed, strict=True):
        blank = PIL.Image.open(after.images[0].path)
        assert blank.size == PIL.Image.open(before.images[0].path).size
        assert blank.getcolors() == [(blank.width * blank.height, (128, 128, 128))]
        assert after.messages[0].content[1] == before.messages[0].content[1]
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_shuffled_is_a_fixed_derangement_within_domain_and_steps(examples, tmp_path):
    changed = apply_control(examples, "shuffled", tmp_path, seed=3)
    assert changed == apply_control(examples, "shuffled", tmp_path, seed=3)
    assert changed != apply_control(examples, "shuffled", tmp_path, seed=4)
    real = {e.id: e.images for e in examples}
    assert all(e.images != real[e.id] for e in changed)
    for prefix in ("math-3", "math-4", "clinic-3", "clinic-4"):
        group = [e for e in changed if e.id.startswith(prefix)]
        assert {e.images for e in group} == {real[e.id] for e in group}


def test_nobody_to_swap_with(examples, tmp_path):
    with pytest.raises(DataError, match="raise the limit"):
        apply_control(examples[:2], "shuffled", tmp_path)


def test_unreadable_picture(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    message = Message("user", (Image(str(tmp_path / "a.png")), "ask"))
    with pytest.raises(DataError, match=r"a\.png"):
        apply_control([Example("a", (message,), "1", "exact")], "blank", tmp_path)
