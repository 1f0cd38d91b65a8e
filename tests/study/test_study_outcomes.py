"""Answers as a study counts them, read from files that may hold anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from xreasoner.errors import RunError
from xreasoner.study.matrix import Arm, Matrix
from xreasoner.study.outcomes import in_order, read_arms, read_samples, samples_file, title_of

TEXT = ("math", "text", "")


def row(name: str, outcome: str = "correct", epoch: int = 1, **changes: Any) -> dict[str, Any]:
    """A row of samples.jsonl as an evaluation of the micro world writes it."""
    tags = {"domain": "math", "modality": "text", "steps": "3", "cluster": f"cluster of {name}"}
    plain = {"id": name, "epoch": epoch, "tags": tags, "prompt": "ask c", "completion": "...", "outcome": outcome}
    return {**plain, "exit": "natural", "stop": "eos", "n_tokens": 10, **changes}


def tagged(name: str, outcome: str = "correct", epoch: int = 1, **tags: Any) -> dict[str, Any]:
    return row(name, outcome, epoch, tags=tags)


def written(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
    return path


def test_of_the_micro_world_the_problems_of_three_and_four_steps(tmp_path: Path) -> None:
    kinds = {"domain": "clinic", "modality": "chart", "cluster": "c"}
    rows = [tagged(f"p{steps}", steps=str(steps), **kinds) for steps in (1, 2, 3, 4)]
    got = read_samples(written(tmp_path / "samples.jsonl", *rows))
    assert {kind: set(of) for kind, of in got.items()} == {("clinic", "chart", ""): {"p3", "p4"}}


def test_a_benchmarks_own_steps_leave_nothing_out(tmp_path: Path) -> None:
    one = tagged("p", benchmark="mathverse", domain="math", modality="image", steps="1")
    assert set(read_samples(written(tmp_path / "samples.jsonl", one))) == {("math", "image", "mathverse")}


def test_samples_of_a_problem_are_one_tally(tmp_path: Path) -> None:
    rows = [
        row("p", "correct", 1, n_tokens=10),
        row("p", "no_answer", 2, n_tokens=20, exit="forced", stop="cap"),
        row("p", "verifier_error", 3, n_tokens=1000, exit="forced"),  # says nothing
        row("q", "correct", 1),
        row("r", "verifier_error", 1),
    ]
    got = read_samples(written(tmp_path / "samples.jsonl", *rows))[TEXT]
    assert set(got) == {"p", "q"}
    assert (got["p"].right, got["p"].endless, got["p"].tokens, got["p"].always) == (0.5, 0.5, 15.0, False)
    assert got["p"].cluster == "cluster of p"
    assert got["q"].always


def test_a_sample_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    rows = [row("p", "correct", 1), row("p", "wrong", 1), row("p", "wrong", 2), row("p", "wrong", 2)]
    got = read_samples(written(tmp_path / "samples.jsonl", *rows))[TEXT]["p"]
    assert got.right == 0.5  # the first of each, as in the report


@pytest.mark.parametrize(
    ("exit_", "stop", "endless"),
    [
        ("forced", "eos", 1.0),
        ("forced", "cap", 1.0),
        ("none", "cap", 1.0),  # nothing closes thoughts, and they ran into the limit
        ("none", "eos", 0.0),
        ("natural", "cap", 0.0),  # it had ended its thoughts: the answer was cut
        ("natural", "eos", 0.0),
        (None, "cap", 0.0),
        (["forced"], {"cap": 1}, 0.0),
    ],
)
def test_endless_is_what_was_closed_by_force_or_cut(tmp_path: Path, exit_: Any, stop: Any, endless: float) -> None:
    path = written(tmp_path / "samples.jsonl", row("p", exit=exit_, stop=stop))
    assert read_samples(path)[TEXT]["p"].endless == endless


def test_a_row_with_the_tag_also_counts_for_that_benchmark_too(tmp_path: Path) -> None:
    rows = [tagged("p", benchmark="mmlu-pro", domain="text", modality="text", also="mmlu-pro-health")]
    rows.append(tagged("q", "wrong", benchmark="mmlu-pro", domain="text", modality="text"))
    got = read_samples(written(tmp_path / "samples.jsonl", *rows))
    own, also = ("text", "text", "mmlu-pro"), ("medicine", "text", "mmlu-pro-health")
    assert {kind: {i: t.right for i, t in of.items()} for kind, of in got.items()} == {
        own: {"p": 1.0, "q": 0.0},
        also: {"p": 1.0},
    }


def test_torn_and_odd_lines_are_passed_over(tmp_path: Path) -> None:
    torn = ['{"id": "x", "outc', "[1, 2]", "null", "7", '"text"', "", "[" * 5000, '{"epoch": 1, "outcome": "correct"}']
    path = written(tmp_path / "samples.jsonl", *torn, row("p"))
    with path.open("ab") as file:
        file.write(b'\xff\xfe{"id": "y"')
    got = read_samples(path)
    assert {kind: set(of) for kind, of in got.items()} == {TEXT: {"p"}}


@pytest.mark.parametrize("outcome", [None, "", "Correct", 1, ["correct"], {"correct": 1}])
def test_what_was_not_judged_is_left_out(tmp_path: Path, outcome: Any) -> None:
    path = written(tmp_path / "samples.jsonl", row("p", outcome), row("q"))
    assert set(read_samples(path)[TEXT]) == {"q"}


@pytest.mark.parametrize("tokens", [None, "many", 10**400, float("inf"), float("nan"), [1], True])
def test_hostile_numbers_count_as_none(tmp_path: Path, tokens: Any) -> None:
    got = read_samples(written(tmp_path / "samples.jsonl", row("p", n_tokens=tokens)))
    assert got[TEXT]["p"].tokens == 0.0


@pytest.mark.parametrize("tags", [None, [], "math", 3, {}])
def test_rows_without_tags_are_a_kind_of_their_own(tmp_path: Path, tags: Any) -> None:
    got = read_samples(written(tmp_path / "samples.jsonl", row("p", tags=tags)))
    assert set(got) == {("", "text", "")}
    assert got["", "text", ""]["p"].cluster == "p"


@pytest.mark.parametrize("hostile", [3, None, ["x"], {"y": 1}, "9" * 5000, "³", -1, 2.0])
def test_hostile_tags_are_text(tmp_path: Path, hostile: Any) -> None:
    tags = {"domain": hostile, "modality": hostile, "steps": hostile, "cluster": hostile, "benchmark": hostile}
    tags["also"] = hostile
    got = read_samples(written(tmp_path / "samples.jsonl", row("p", tags=tags)))
    assert all(isinstance(part, str) for kind in got for part in kind)
    for name in ("steps", "cluster", "domain"):
        read_samples(written(tmp_path / "samples.jsonl", row("p", tags={name: hostile})))


@pytest.mark.parametrize("epoch", [None, "one", [], {}, 10**400, float("nan")])
def test_hostile_epochs_and_ids(tmp_path: Path, epoch: Any) -> None:
    rows = [row("p", epoch=epoch), row("q", id=7), row("q", id=["z"]), row("q", id=None)]
    got = read_samples(written(tmp_path / "samples.jsonl", *rows))
    assert set(got[TEXT]) == {"p", "7", "['z']", "None"}


def test_no_evaluation_and_an_empty_one_are_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no evaluation yet"):
        read_samples(tmp_path / "samples.jsonl")
    for rows in ((), ("torn",), (row("p", "verifier_error"),), (tagged("p", domain="math", steps="1"),)):
        with pytest.raises(RunError, match="holds no answers: remove"):
            read_samples(written(tmp_path / "samples.jsonl", *rows))


def test_where_the_answers_of_an_arm_lie() -> None:
    root = Path("study/seed-0")
    assert samples_file(root, Arm("a", "run", "sft")) == root / "run/stages/eval-sft/samples.jsonl"
    under = Arm("a", "run", "sft", "none")
    assert samples_file(root, under) == root / "run/stages/eval-sft-controls/none/samples.jsonl"
    # what is measured without solved problems is the same evaluation
    assert samples_file(root, Arm("a", "run", "sft", unsolved=True)) == root / "run/stages/eval-sft/samples.jsonl"


def test_kinds_stand_in_the_order_of_the_report() -> None:
    kinds = [
        ("specialist", "chart", ""),
        ("x", "odd", ""),
        ("math", "chart", ""),
        ("x", "image", "b"),
        ("x", "image", "a"),
    ]
    kinds += [("clinic", "text", ""), ("math", "text", ""), ("math", "image", ""), ("math", "text", "")]
    assert in_order(kinds) == [
        *(("math", modality, "") for modality in ("text", "image", "chart")),
        ("clinic", "text", ""),
        ("specialist", "chart", ""),
        ("x", "image", "a"),
        ("x", "image", "b"),
        ("x", "odd", ""),
    ]
    assert title_of(("math", "image", "")) == "Mathematics in pictures"
    assert title_of(("math", "image", "mathvista")) == "mathvista"


def samples(kind: dict[str, str], **right: str) -> list[dict[str, Any]]:
    """Rows of problems: "+" for each right sample, "-" for each wrong one."""
    marks = [(name, i, mark) for name, each in right.items() for i, mark in enumerate(each, 1)]
    return [tagged(name, "correct" if mark == "+" else "wrong", i, **kind) for name, i, mark in marks]


def test_what_is_solved_blind_is_left_out_of_the_arms_that_say_so(tmp_path: Path) -> None:
    image = {"domain": "math", "modality": "image", "steps": "3"}
    stages = tmp_path / "all" / "stages"
    written(
        stages / "eval-base" / "samples.jsonl",
        *samples(image, a="+++", b="+--", c="---", d="+++", never_asked_blind="+++"),
        *samples({**image, "modality": "text"}, t="+++"),  # without a picture to leave out
    )
    written(
        stages / "eval-base-controls" / "none" / "samples.jsonl", *samples(image, a="+++", b="++-", c="---", d="---")
    )
    written(stages / "eval-rl-controls" / "none" / "samples.jsonl", *samples(image, a="---", b="--+", c="---", d="+++"))
    arms = (
        Arm("all", "all", "base"),
        Arm("left", "all", "base", unsolved=True),
        Arm("base blind", "all", "base", "none"),
        Arm("rl blind", "all", "rl", "none"),
    )
    got = read_arms(tmp_path, Matrix({}, arms, (), blind_of=("base blind", "rl blind")))
    asked = {name: {kind: set(of) for kind, of in answers.items()} for name, answers in got.items()}
    shown = ("math", "image", "")
    assert asked["all"] == asked["base blind"] == asked["rl blind"] == {shown: {"a", "b", "c", "d"}}
    assert asked["left"] == {shown: {"b", "c"}}  # a: by the base; d: by RL
    without = read_arms(tmp_path, Matrix({}, arms[:1], ()))
    assert set(without["all"]) == {shown, ("math", "text", "")}


def test_all_solved_blind_leaves_an_arm_without_answers(tmp_path: Path) -> None:
    image = {"domain": "math", "modality": "image", "steps": "3"}
    written(tmp_path / "all/stages/eval-base/samples.jsonl", *samples(image, a="+++"))
    written(tmp_path / "all/stages/eval-base-controls/none/samples.jsonl", *samples(image, a="+++"))
    arms = (Arm("left", "all", "base", unsolved=True), Arm("blind", "all", "base", "none"))
    got = read_arms(tmp_path, Matrix({}, arms, (), blind_of=("blind",)))
    assert got["left"] == {}


def test_an_arm_without_evaluation_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="eval-sft holds no evaluation yet"):
        read_arms(tmp_path, Matrix({}, (Arm("a", "run", "sft"),), ()))
