import json

import PIL.Image
import pytest

from xreasoner.errors import DataError
from xreasoner.eval.asking import ask
from xreasoner.eval.cells import make_cells, to_row, written
from xreasoner.eval.controls import apply_control
from xreasoner.prompts import MATHEMATICS, MULTIPLE_CHOICE, TRAINING, render
from xreasoner.report.answers import read_answers
from xreasoner.types import Example, Image, Message
from xreasoner.verify.verifiers import verify


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


def of_benchmark(name, subject, *pictures):
    content = (*(Image(p) for p in pictures), f"ask {name}")
    tags = {"benchmark": "mmmu", "domain": "general", "modality": "image", "subject": subject, "cluster": name}
    return Example(name, (Message("user", content),), "A", "choice", ("x", "y"), tags=tags)


def test_questions_on_one_picture_never_keep_it():
    """As in VQA-RAD: three questions on one picture and one on another."""
    asked = [of_benchmark(f"q{i}", "chest", "a.png") for i in range(3)] + [of_benchmark("q3", "chest", "b.png")]
    changed = {e.id: e.images[0].path for e in apply_control(asked, "shuffled", None)}
    assert changed == {"q0": "b.png", "q1": "b.png", "q2": "b.png", "q3": "a.png"}


def test_alone_of_its_subject_a_question_gets_pictures_of_the_benchmark():
    asked = [
        of_benchmark("q0", "law", "a.png", "b.png"),
        *(of_benchmark(f"q{i}", "art", f"{i}.png") for i in (1, 2)),
    ]
    [first, *others] = apply_control(asked, "shuffled", None)
    assert {i.path for i in first.images} == {"1.png", "2.png"}
    assert [e.images[0].path for e in others] == ["2.png", "1.png"]
    with pytest.raises(DataError, match="raise the limit"):
        apply_control(asked[:1], "shuffled", None)


def pictured(name, pictures, **tags):
    tags = {"benchmark": "x", "subject": "s", **tags}
    return ask(name, "Which?", "B", "choice", domain="math", options=("r", "b"), pictures=pictures, tags=tags)


@pytest.mark.parametrize("seed", range(10))
def test_a_swapped_set_shares_no_picture(seed):
    """In another order, or in part, a set is the same pictures."""
    a, b, c, d, e = (Image(f"{name}.png") for name in "abcde")
    asked = [pictured(f"x{i}", pair) for i, pair in enumerate([(a, b), (b, a), (a, c), (c, d), (e, d)])]
    changed = apply_control(asked, "shuffled", None, seed)
    assert [len(example.images) for example in changed] == [2] * 5
    assert all(set(before.images).isdisjoint(after.images) for before, after in zip(asked, changed, strict=True))
    assert changed == apply_control(asked, "shuffled", None, seed)


@pytest.mark.parametrize("seed", range(10))
def test_a_swapped_picture_is_of_another_problem(seed):
    """As in MathVerse: the versions of a problem are one cluster, with two pictures."""
    asked = [
        pictured(f"x{problem}{i}", [Image(f"{problem}{look}.png")], cluster=f"p{problem}", subject=subject)
        for problem, subject in ((0, "plane"), (1, "plane"), (2, "solid"))
        for i, look in enumerate("aab")
    ]
    for before, after in zip(asked, apply_control(asked, "shuffled", None, seed), strict=True):
        assert before.images[0].path[0] != after.images[0].path[0]
        if before.tags["subject"] == "plane":
            assert after.images[0].path[0] in "01"


def test_a_problem_has_no_other_version_to_swap_with():
    asked = [pictured(f"x{look}", [Image(f"{look}.png")], cluster="p", subject=look) for look in "ab"]
    with pytest.raises(DataError, match="No other problem is like 'xa'"):
        apply_control(asked, "shuffled", None)


MARKED = ask(
    "q",
    "Look at <image1> and <image 2>. Which?",
    "A",
    "choice",
    domain="math",
    options=("<image1>", "x"),
    pictures=[Image("a.png")],
)


@pytest.mark.parametrize("control", ["none", "options-only", "question-only"])
def test_without_pictures_nothing_speaks_of_them(control):
    """As in MathVision: one picture, which the text's marks are parts of."""
    pictures = {1: Image("a.png"), 2: Image("b.png")}
    options = ("yes", "<image 2>")
    in_place = ask("r", "Is <image 1> flat?", "A", "choice", domain="math", options=options, pictures=pictures)
    for shown in apply_control([MARKED, in_place], control, None):
        text = written(shown)
        assert "image" not in text
        assert "picture" not in text
    assert "<image1>" in written(apply_control([MARKED], "real", None)[0])


def choice(options=("Yes", "No"), images=True):
    text = render(MULTIPLE_CHOICE, "Is <image 1> flat?", options).partition("<image 1>")
    content = (text[0], Image("a.png"), text[2]) if images else "".join(text)
    return Example("q", (Message("user", content),), "B", "choice", options)


def test_options_alone():
    [shown] = apply_control([choice()], "options-only", None)
    asked = "(The question is not shown. Choose the most plausible option.)"
    assert shown.messages == (Message("user", render(MULTIPLE_CHOICE, asked, ("Yes", "No"))),)
    assert (shown.id, shown.gold, shown.options) == ("q", "B", ("Yes", "No"))


def test_the_question_alone():
    [shown] = apply_control([choice()], "question-only", None)
    assert shown.messages == (Message("user", render(TRAINING, "Is  flat?")),)
    assert (shown.gold, shown.verifier, shown.options) == ("No", "phrase", ("Yes", "No"))
    assert verify(shown, "<answer>No</answer>").outcome == "correct"


def asked_for(question, options, gold="B", name="q", pictures=(), **more):
    return ask(name, question, gold, "choice", domain="math", options=options, pictures=pictures, **more)


def test_a_blind_letter_is_no_answer_to_the_question_alone():
    [shown] = apply_control([asked_for("Which?", ("red", "blue"))], "question-only", None)
    outcomes = {said: verify(shown, f"<answer>{said}</answer>").outcome for said in ("B", "(B)", "red", "Blue.")}
    assert outcomes == {"B": "wrong", "(B)": "wrong", "red": "wrong", "Blue.": "correct"}
    judged = {"outcome": "correct", "exit": "natural", "stop": "eos", "n_tokens": 1}
    assert make_cells([to_row(shown, 1, "Blue.", "Blue.", judged)], "c", "question-only")[0]["chance"] is None


def test_the_question_alone_is_compared_with_the_whole_question(tmp_path):
    judged = {"outcome": "correct", "exit": "natural", "stop": "eos", "n_tokens": 1}
    example = asked_for("Which?", ("red", "blue"))
    found = []
    for control in ("real", "question-only"):
        [shown] = apply_control([example], control, None)
        (tmp_path / control).write_text(json.dumps(to_row(shown, 1, "blue", "blue", judged)))
        [[answer]] = read_answers(tmp_path / control, (), []).popitem()[1].values()
        found.append(answer)
    assert [answer.options for answer in found] == [2, 0]
    assert found[0].asked == found[1].asked


def test_the_question_alone_asks_for_no_letter():
    """As MathVista's queries begin."""
    hint = "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
    question = "Which?\nHint: both are colours."
    example = asked_for(f"{hint}Question: {question}", ("red", "blue"), template=MATHEMATICS)
    [shown] = apply_control([example], "question-only", None)
    assert shown.messages[0].content == render(TRAINING, question)


@pytest.mark.parametrize("right", ["<image 2>", "C", "(c)", "*"])
def test_a_right_option_that_nobody_can_say_is_not_asked_alone(right):
    pictures = {2: Image("b.png")} if "image" in right else ()
    example = asked_for("Which?", ("red", right), pictures=pictures)
    assert apply_control([example], "question-only", None) == []
    assert len(apply_control([example], "options-only", None)) == 1


def test_options_are_taken_as_they_are_whatever_they_say():
    example = asked_for("Is it so? Options:\n\nread them", ("no", "Options:\n\nnone"))
    [alone] = apply_control([example], "options-only", None)
    assert alone.messages[0].content.endswith("plausible option.) Options:\n\nA: no\nB: Options:\n\nnone")
    [question] = apply_control([example], "question-only", None)
    assert question.messages[0].content == render(TRAINING, "Is it so? Options:\n\nread them")


def test_text_controls_are_about_choices_alone():
    free = Example("q", (Message("user", render(MATHEMATICS, "1 + 1?")),), "2", "number")
    for control in ("options-only", "question-only"):
        assert apply_control([free, choice(images=False)], control, None)[0].options == ("Yes", "No")
