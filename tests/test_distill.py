"""Rejection sampling: what is asked, what is kept, and what a broken run leaves. Teachers are scripted; those behind
HTTP are in test_distill_endpoint.py."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from own_rows import read_jsonl
from xreasoner.config import DistillSpec
from xreasoner.distill import PROBLEMS, SAMPLES, TRACES, Sample, SamplerTeacher, distill, keep
from xreasoner.errors import DataError, RunError
from xreasoner.rollout.reply import NoReply, Reply
from xreasoner.rollout.scripted import ScriptedSampler
from xreasoner.types import Completion, Example, Message, Prompt, SamplingParams, Verdict

SPEC = DistillSpec(
    teacher="base", data={"name": "micro-math"}, samples_per_question=2, think_budget=6, answer_budget=4, keep="all"
)
RIGHT, WRONG = "<think> a </think> <answer>5</answer>", "<think> a </think> <answer>6</answer>"
ENDLESS = "<think> a b c d e f g <answer>5</answer>"


def question(i: int) -> Example:
    return Example(f"q{i}", (Message("user", f"q{i}"),), "5", "number", tags={"domain": "math"})


def questions(n: int) -> list[Example]:
    return [question(i) for i in range(n)]


def silent(event: dict[str, Any]) -> None:
    pass


def scripted(reply: Any) -> SamplerTeacher:
    return SamplerTeacher(ScriptedSampler(reply))


class Told:
    """A teacher whose sample of each place is told: a text, or a reason why there is none."""

    identity = "told"

    def __init__(self, say: Any) -> None:
        self.say, self.asked = say, list[tuple[int, int]]()

    def samples(
        self,
        questions: Sequence[Example],
        missing: Iterable[tuple[int, int]],
        params: SamplingParams,
        hold: Callable[[], bool],
    ) -> Iterator[list[Sample]]:
        for place in missing:
            if hold():
                return
            self.asked.append(place)
            said = self.say(*place)
            yield [Sample(place, said if isinstance(said, NoReply) else Reply(said, "natural", "eos"))]


def test_only_right_answers_in_natural_completions_are_kept(tmp_path: Path) -> None:
    teacher = scripted({"q0": RIGHT, "q1": WRONG, "q2": ENDLESS})
    events: list[dict[str, Any]] = []
    summary = distill(SPEC, questions(3), teacher, tmp_path, 0, events.append)
    assert summary == {
        "questions": 3,
        "never": 1,
        "always": 2,
        "sampled": 6,
        "failed": 0,
        "kept": 2,
        "malformed": 0,
        "pass_rate": 4 / 6,  # the endless one is right by force
        "forced_rate": 2 / 6,
        "capped_rate": 0.0,
        "tokens": 2 * (5 + 5 + 10),  # words and an end token; the endless one has six, and four behind the inserted tag
        "prompt_tokens": 0,
        "failures": {},
    }
    rows = read_jsonl(tmp_path / TRACES)
    assert [(r.id, r.response, r.tags["pass_rate"]) for r in rows] == [("q0", RIGHT, "1")] * 2
    problems = read_jsonl(tmp_path / PROBLEMS)
    assert [(r.id, r.response, r.tags) for r in problems] == [
        (f"q{i}", None, {"domain": "math", "pass_rate": rate}) for i, rate in enumerate(["1", "0", "1"])
    ]
    assert events[-1] == {"step": 3, "of": 3, "kept": 2}


@pytest.mark.parametrize(("said", "rate"), [(WRONG, "0"), (ENDLESS, "1")])
def test_pass_rates_are_measured_where_no_trace_is_kept(said: str, rate: str, tmp_path: Path) -> None:
    summary = distill(SPEC, questions(1), scripted({"q0": said}), tmp_path, 0, silent)
    assert (summary["kept"], summary["pass_rate"]) == (0, float(rate))
    assert [r.tags["pass_rate"] for r in read_jsonl(tmp_path / PROBLEMS)] == [rate]
    assert (tmp_path / TRACES).read_bytes() == b""


def test_where_nothing_can_be_judged_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = lambda pairs: [Verdict("verifier_error") for _ in pairs]  # noqa: E731
    monkeypatch.setattr("xreasoner.distill.outcome.verify_many", broken)
    summary = distill(SPEC, questions(1), scripted({"q0": RIGHT}), tmp_path, 0, silent)
    assert (summary["kept"], summary["pass_rate"], summary["sampled"]) == (0, 0.0, 2)
    assert (tmp_path / PROBLEMS).read_bytes() == b""


MALFORMED = [
    "<think>so</think> The answer is 5",
    "<think>so</think> \\boxed{5}",
    "<think>so</think> or </think> <answer>5</answer>",
    "<think>so</think> <think>or</think> <answer>5</answer>",
    "<think>so <think>or</think> <answer>5</answer>",
    "<think>so <answer>5</answer></think> 5",
    "<think> </think> <answer>5</answer>",
    "Well. <think>so</think> <answer>5</answer>",
    "<think>so</think> <answer>4</answer> <answer>5</answer>",
    "<think>so</think> <answer>5</answer> I hope",
    "<think>so</think> <answer>5",
]


def test_traces_have_the_form_that_they_teach(tmp_path: Path) -> None:
    good = [
        " <think>so</think>\n<answer>5</answer>\n",
        "<think>in <answer> I write 5</think> As said: <answer>5</answer>",
    ]
    said = MALFORMED + good
    assert [reply.text for reply in keep("all", [Reply(text, "natural", "eos") for text in said], 0)] == good
    spec = SPEC.model_copy(update={"samples_per_question": 5})
    teacher = Told(lambda i, j: (*MALFORMED[:4], RIGHT)[j])
    summary = distill(spec, questions(2), teacher, tmp_path, 0, silent)
    assert (summary["pass_rate"], summary["kept"], summary["malformed"]) == (1.0, 2, 8)


def test_what_has_arrived_is_not_sampled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xreasoner.distill.teachers._CHUNK", 2)
    asked: list[str] = []

    def reply(prompt: Prompt) -> str:
        asked.append(str(prompt.messages[-1].content))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return RIGHT

    with pytest.raises(KeyboardInterrupt):
        distill(SPEC, questions(4), scripted(reply), tmp_path, 0, silent)
    distill(SPEC, questions(4), scripted(reply), tmp_path, 0, silent)
    assert asked == ["q0", "q1", "q2", "q2", "q3"]
    ids = [json.loads(line)["id"] for line in (tmp_path / TRACES).read_text().splitlines()]
    assert ids == ["q0", "q0", "q1", "q1", "q2", "q2", "q3", "q3"]


def test_every_sample_is_on_the_disk_before_the_next_is_awaited(tmp_path: Path) -> None:
    lines: list[int] = []

    def say(i: int, j: int) -> str:
        lines.append((tmp_path / SAMPLES).read_bytes().count(b"\n"))
        return RIGHT

    distill(SPEC, questions(2), Told(say), tmp_path, 0, silent)
    assert lines == [0, 1, 2, 3]


def test_a_torn_last_line_is_cut_and_asked_again_and_a_damaged_one_too(tmp_path: Path) -> None:
    distill(SPEC, questions(3), Told(lambda i, j: RIGHT), tmp_path, 0, silent)
    whole = (tmp_path / SAMPLES).read_bytes()
    lines = whole.splitlines(keepends=True)
    (tmp_path / SAMPLES).write_bytes(lines[0] + b"\0\0\n" + b"".join(lines[2:5]) + lines[5][:20])
    teacher = Told(lambda i, j: RIGHT)
    assert distill(SPEC, questions(3), teacher, tmp_path, 0, silent)["kept"] == 6
    assert teacher.asked == [(0, 1), (2, 1)]
    after = (tmp_path / SAMPLES).read_bytes()
    assert after == lines[0] + b"\0\0\n" + b"".join(lines[2:5]) + lines[1] + lines[5]


def test_more_rows_other_rows_and_more_samples_cost_only_what_is_not_there(tmp_path: Path) -> None:
    def asked(rows: list[int], each: int, **settings: Any) -> list[tuple[int, int]]:
        teacher = Told(lambda i, j: RIGHT)
        spec = SPEC.model_copy(update={"samples_per_question": each, **settings})
        summary = distill(spec, [question(i) for i in rows], teacher, tmp_path, 0, silent)
        assert summary["sampled"] == len(rows) * each
        return teacher.asked

    assert asked([0, 1], 1) == [(0, 0), (1, 0)]
    assert asked([1, 0, 2], 1) == [(2, 0)]
    assert asked([0, 1, 2], 2) == [(0, 1), (1, 1), (2, 1)]
    assert asked([0, 1, 2], 1, keep="shortest") == []
    assert len(read_jsonl(tmp_path / TRACES)) == 3
    assert asked([1, 1], 1) == [(1, 0)]  # an equal question is one of its own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 0.5}, "temperature is 1.0 there and 0.5 here"),
        ({"think_budget": 7}, "think_budget is 6 there and 7 here"),
        ({"data": {"name": "gsm8k"}}, "data is micro-math there and gsm8k here"),
    ],
)
def test_a_folder_of_other_settings_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    distill(SPEC, questions(1), Told(lambda i, j: RIGHT), tmp_path, 0, silent)
    other = DistillSpec.model_validate({**SPEC.model_dump(), **change})
    with pytest.raises(RunError, match=rf"other settings \({said}\): give another folder"):
        distill(other, questions(1), Told(lambda i, j: RIGHT), tmp_path, 0, silent)
    with pytest.raises(RunError, match="seed is 0 there and 1 here"):
        distill(SPEC, questions(1), Told(lambda i, j: RIGHT), tmp_path, 1, silent)


def test_samples_of_other_settings_are_not_taken_for_ours_where_the_settings_are_lost(tmp_path: Path) -> None:
    distill(SPEC, questions(1), Told(lambda i, j: WRONG), tmp_path, 0, silent)
    settings = tmp_path / "settings.json"
    settings.write_text(settings.read_text()[:20])
    with pytest.raises(RunError, match=r"settings.json is damaged: remove .*settings.json and run the same"):
        distill(SPEC, questions(1), Told(lambda i, j: RIGHT), tmp_path, 0, silent)
    settings.unlink()
    other = Told(lambda i, j: RIGHT)
    assert distill(SPEC, questions(1), other, tmp_path, 1, silent)["pass_rate"] == 1
    assert other.asked == [(0, 0), (0, 1)]
    settings.unlink()
    ours = Told(lambda i, j: RIGHT)
    assert distill(SPEC, questions(1), ours, tmp_path, 0, silent)["pass_rate"] == 0
    assert ours.asked == []


def test_what_fails_for_good_is_counted_and_asked_again_by_the_next_call(tmp_path: Path) -> None:
    first = Told(lambda i, j: NoReply("HTTP 500") if i == 1 or (i, j) == (2, 0) else WRONG if j else RIGHT)
    summary = distill(SPEC, questions(4), first, tmp_path, 0, silent)
    assert (summary["sampled"], summary["failed"], summary["failures"]) == (5, 3, {"HTTP 500": 3})
    assert summary["pass_rate"] == 2 / 5
    rates = {r.id: r.tags["pass_rate"] for r in read_jsonl(tmp_path / PROBLEMS)}
    assert rates == {"q0": "0.5", "q2": "0", "q3": "0.5"}  # nothing is known of q1
    second = Told(lambda i, j: RIGHT)
    assert distill(SPEC, questions(4), second, tmp_path, 0, silent)["failed"] == 0
    assert second.asked == [(1, 0), (1, 1), (2, 0)]


def test_a_teacher_that_is_gone_stops_the_run_and_one_that_refuses_some_does_not(tmp_path: Path) -> None:
    def fail_after(n: int, refused: bool) -> Told:
        return Told(lambda i, j: RIGHT if 2 * i + j < n else NoReply("no connection", refused))

    with pytest.raises(RunError, match=r"32 times in a row \(no connection: 32 times\).*3 samples are kept"):
        distill(SPEC, questions(40), fail_after(3, False), tmp_path / "gone", 0, silent)
    summary = distill(SPEC, questions(40), fail_after(3, True), tmp_path / "some", 0, silent)
    assert (summary["failed"], summary["kept"]) == (77, 3)
    never = fail_after(0, True)
    with pytest.raises(RunError, match="32 times in a row"):
        distill(SPEC, questions(40), never, tmp_path / "never", 0, silent)
    assert len(never.asked) == 32
    with pytest.raises(RunError, match=r"answered none of the 2 questions \(no connection: 4 times\)"):
        distill(SPEC, questions(2), fail_after(0, False), tmp_path / "few", 0, silent)


def test_failures_between_answers_do_not_stop_the_run(tmp_path: Path) -> None:
    teacher = Told(lambda i, j: NoReply("HTTP 500") if j else RIGHT)
    assert distill(SPEC, questions(40), teacher, tmp_path, 0, silent)["failed"] == 40


def test_a_broken_verifier_is_not_a_wrong_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {"q0": ["correct", "verifier_error"], "q1": ["verifier_error"] * 2, "q2": ["wrong", "correct"]}

    def judge(pairs: Sequence[tuple[Example, str]]) -> list[Verdict]:
        return [Verdict(outcomes[example.id].pop(0)) for example, _ in pairs]  # type: ignore[arg-type]

    monkeypatch.setattr("xreasoner.distill.outcome.verify_many", judge)
    summary = distill(SPEC, questions(3), Told(lambda i, j: RIGHT), tmp_path, 0, silent)
    assert {r.id: r.tags["pass_rate"] for r in read_jsonl(tmp_path / PROBLEMS)} == {"q0": "1", "q2": "0.5"}
    assert (summary["pass_rate"], summary["sampled"], summary["always"]) == (2 / 3, 6, 1)


def test_what_no_verifier_can_judge_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    teacher = Told(lambda i, j: RIGHT)
    with pytest.raises(DataError, match="Row q9 has no gold answer"):
        distill(SPEC, [question(0), Example("q9", (Message("user", "?"),), "", "")], teacher, tmp_path, 0, silent)
    assert teacher.asked == []


def reply(n: int, exit: str = "natural", stop: str = "eos", counted: bool = True) -> Reply:
    text = f"<think>{'x' * (20 - n)}</think> <answer>5</answer>"
    return Reply(text, exit, stop, n if counted else None)  # type: ignore[arg-type]


def test_what_is_kept() -> None:
    right = [reply(9), reply(4), reply(2, exit="forced"), reply(3, stop="cap"), reply(1, exit="none")]
    assert keep("shortest", right, 0) == [reply(4)]
    assert keep("all", right, 0) == [reply(9), reply(4)]
    assert {keep("random", right, seed)[0].tokens for seed in range(4)} == {9, 4}
    assert keep("shortest", right[2:], 0) == []
    unknown = reply(5, counted=False)  # thoughts of 15 characters; the others have 11 and 16
    assert keep("shortest", [*right, unknown], 0) == [reply(9)]


class Sixteen:
    """A sampler whose sixteen samples differ; of those of the question "q0" only the first `right` are right."""

    def __init__(self, right: int) -> None:
        self.right = right

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        return [[self.sample(str(p.messages[-1].content), j) for j in range(n)] for p in prompts]

    def sample(self, question: str, j: int) -> Completion:
        gold = 6 if question == "q0" and j >= self.right else 5
        text = f"<think> {j} </think> <answer>{gold}</answer>"
        return Completion((1, 2), (True, True), None, text, "natural", "eos")


def test_what_is_kept_of_a_question_depends_on_that_question_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(right: int, chunk: int) -> list[str | None]:
        monkeypatch.setattr("xreasoner.distill.teachers._CHUNK", chunk)
        monkeypatch.setattr("xreasoner.distill.outcome._CHUNK", chunk)
        folder = tmp_path / f"{right}-{chunk}"
        spec = SPEC.model_copy(update={"keep": "random", "samples_per_question": 16})
        distill(spec, questions(6), SamplerTeacher(Sixteen(right)), folder, 0, silent)
        return [r.response for r in read_jsonl(folder / TRACES) if r.id != "q0"]

    assert kept(16, 64) == kept(0, 64) == kept(3, 2)
    assert len(set(kept(16, 64))) > 2  # five questions, each with a choice of its own


def test_of_a_half_sampled_question_a_sampler_gives_what_is_missing(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"samples_per_question": 3})
    distill(spec, questions(1), SamplerTeacher(Sixteen(16)), tmp_path, 0, silent)
    lines = (tmp_path / SAMPLES).read_bytes().splitlines(keepends=True)
    (tmp_path / SAMPLES).write_bytes(lines[0] + lines[2])
    distill(spec, questions(1), SamplerTeacher(Sixteen(16)), tmp_path, 0, silent)
    assert (tmp_path / SAMPLES).read_bytes() == lines[0] + lines[2] + lines[1]
