"""Distillation from outside teachers: a real server that misbehaves, kill -9 at any moment, Inspect's own provider."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "rollout"))
from endpoint_server import Answer, EndpointServer, Request, cut, raw, reset, say, stall, status

from own_rows import read_jsonl
from xreasoner.config import DistillSpec, TeacherSpec
from xreasoner.distill import PROBLEMS, SAMPLES, TRACES, ChatTeacher, distill, teacher_of
from xreasoner.errors import ModelError, RunError
from xreasoner.rollout.endpoint import Endpoint, Patience
from xreasoner.rollout.inspect_model import InspectModel
from xreasoner.rollout.reply import NoReply, Reply
from xreasoner.rollout.seeds import derive
from xreasoner.types import Example, Message

KEY_VARIABLE, KEY = "TEST_ENDPOINT_KEY", "sk-test-0123456789abcdef"
AT_ONCE = 4
FIRST_SEED = derive(0, 0, 0) & 0x7FFFFFFF  # of sample 0 of question 0 under the seed 0
QUICK = Patience(tries=4, first_wait_seconds=0.01, longest_wait_seconds=0.1, request_seconds=1.0, tokens_per_second=1e9)


def spec_of(server_url: str, each: int = 2) -> DistillSpec:
    teacher = TeacherSpec(model="teacher", endpoint=server_url, api_key_variable=KEY_VARIABLE, requests_at_once=AT_ONCE)
    return DistillSpec(
        teacher=teacher, data={"name": "jsonl"}, samples_per_question=each, think_budget=60, answer_budget=4, keep="all"
    )


def questions(n: int) -> list[Example]:
    return [Example(f"q{i}", (Message("user", f"{i} + 5?"),), str(i + 5), "number") for i in range(n)]


def teacher(server: EndpointServer) -> ChatTeacher:
    endpoint = Endpoint(server.url, "teacher", KEY_VARIABLE, at_once=AT_ONCE, patience=QUICK)
    return ChatTeacher(endpoint, "teacher", AT_ONCE)


def right(request: Request, wait: float = 0) -> Answer:
    """The right answer, with thoughts as long as the seed says."""
    answer = int(request.question.split()[0]) + 5
    length = 1 + request.body["seed"] % 7
    usage = {"completion_tokens": length, "prompt_tokens": 3}
    return say(f"<answer>{answer}</answer>", usage=usage, wait=wait, reasoning_content="so " * length)


def ids(folder: Path, name: str) -> list[str]:
    return [row.id for row in read_jsonl(folder / name)]


def run(server: EndpointServer, folder: Path, n: int, each: int = 2) -> dict[str, Any]:
    return distill(spec_of(server.url, each), questions(n), teacher(server), folder, 0, lambda event: None)


MISCHIEF: list[Answer] = [
    status(429), status(500), stall, cut, raw(b"<html>busy</html>", "text/html"), reset, raw(b'{"choices": ['),
    status(429, Retry_After="1"), raw(b"{}"), status(529),
]  # fmt: skip


def test_through_everything_that_may_pass_all_samples_come_in(tmp_path: Path) -> None:
    def script(request: Request) -> Answer:
        bad = request.times == 1 and request.number % 2 == 0
        return MISCHIEF[request.number // 2 % len(MISCHIEF)] if bad else right(request, wait=0.01)

    with EndpointServer(script) as server:
        summary = run(server, tmp_path, 20)
    lengths = [1 + seed % 7 for _, seed in server.answered]
    assert summary == {
        "questions": 20,
        "never": 0,
        "always": 20,
        "sampled": 40,
        "failed": 0,
        "kept": 40,
        "malformed": 0,
        "pass_rate": 1.0,
        "forced_rate": 0.0,
        "capped_rate": 0.0,
        "tokens": sum(lengths),
        "prompt_tokens": 120,
        "failures": {},
    }
    assert server.most_at_once <= AT_ONCE + sum(r.times > 1 for r in server.requests)  # a stall stays open
    assert {r.body["max_tokens"] for r in server.requests} == {64}
    assert len(server.answered) == 40
    assert set(server.answered.values()) == {1}
    assert sorted(ids(tmp_path, TRACES)) == sorted(2 * [f"q{i}" for i in range(20)])
    thoughts = "so " * (1 + FIRST_SEED % 7)
    assert read_jsonl(tmp_path / TRACES)[0].response == f"<think>{thoughts}</think> <answer>5</answer>"


def test_requests_at_once(tmp_path: Path) -> None:
    with EndpointServer(lambda request: right(request, wait=0.1)) as server:
        run(server, tmp_path, 6)
    assert server.most_at_once == AT_ONCE


class Crowded:
    """A model that takes any number of questions at a time, and tells how many came."""

    open = most = 0
    closed = False

    async def chat(self, messages: Any, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0.001 * (seed % 5))
        self.open -= 1
        return Reply("<think>a</think> <answer>5</answer>", "natural", "eos")

    async def close(self) -> None:
        self.closed = True


def test_a_model_that_sets_no_limit_is_asked_no_more_at_once(tmp_path: Path) -> None:
    model = Crowded()
    distill(spec_of("http://unused"), questions(20), ChatTeacher(model, "m", 3), tmp_path, 0, lambda event: None)
    assert model.most == 3
    assert model.closed


class Uneven(Crowded):
    """A model that answers the first `n` questions, slowly, and fails at all others, at once."""

    def __init__(self, n: int, refused: bool) -> None:
        self.n, self.refused, self.asked = n, refused, 0

    async def chat(self, messages: Any, *, max_tokens: int, temperature: float, seed: int) -> Reply:
        self.asked += 1
        if self.asked > self.n:
            raise NoReply("none", self.refused)
        await asyncio.sleep(0.3)
        return Reply("<think>a</think> <answer>5</answer>", "natural", "eos")


@pytest.mark.parametrize("refused", [True, False])
def test_slow_answers_are_awaited_before_a_teacher_is_given_up(refused: bool, tmp_path: Path) -> None:
    model = Uneven(3, refused)

    def ask() -> dict[str, Any]:
        return distill(spec_of("http://x"), questions(60), ChatTeacher(model, "m", 4), tmp_path, 0, lambda event: None)

    if refused:
        assert ask()["failed"] == 117
    else:
        with pytest.raises(RunError, match=r"3[2-5] times in a row .*3 samples are kept"):
            ask()
        assert 3 + 64 <= model.asked <= 3 + 70  # 32 while the three were under way, 32 after them
    assert (tmp_path / SAMPLES).read_bytes().count(b"\n") == 3


def test_a_key_that_is_refused_stops_the_run_and_what_was_paid_for_is_kept(tmp_path: Path) -> None:
    def until(n: int) -> Any:
        return lambda request: right(request, wait=0.2) if request.number < n else status(401)

    with EndpointServer(until(7)) as server, pytest.raises(ModelError, match=f"variable {KEY_VARIABLE}"):
        run(server, tmp_path, 10)
    assert len(server.requests) <= 7 + AT_ONCE
    assert (tmp_path / SAMPLES).read_bytes().count(b"\n") == sum(server.answered.values()) == 7
    with EndpointServer(right) as again:
        assert run(again, tmp_path, 10)["sampled"] == 20
    assert len(again.requests) == 13
    assert not set(again.answered) & set(server.answered)


def test_what_fails_for_good_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    def script(request: Request) -> Answer:
        return status(500) if request.question.startswith("3 ") else right(request)

    with EndpointServer(script) as server:
        summary = run(server, tmp_path, 6)
    assert (summary["failed"], summary["failures"]) == (2, {"HTTP 500": 2})
    assert ids(tmp_path, PROBLEMS) == ["q0", "q1", "q2", "q4", "q5"]


def test_the_key_is_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)

    def echo(request: Request) -> Answer:
        header = request.headers["Authorization"]
        assert header == f"Bearer {KEY}"
        if request.question.startswith("1 "):
            return status(400, {"error": {"message": f"not with {header}"}})
        if request.question.startswith("2 "):
            return status(403, f"not with {header}".encode())
        return say(f"{header} <answer>{5}</answer>", reasoning_content=header)

    with EndpointServer(echo) as server:
        distill(spec_of(server.url), questions(2), teacher(server), tmp_path, 0, lambda event: None)
        with pytest.raises(ModelError) as caught:
            distill(spec_of(server.url), questions(3), teacher(server), tmp_path, 0, lambda event: None)
    assert "not with Bearer [key]" in str(caught.value)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {SAMPLES, TRACES, PROBLEMS, "settings.json"}
    written = "".join(path.read_text() for path in files)
    assert "Bearer [key]" in written
    assert "0123456789" not in written + str(caught.value) + "".join(capfd.readouterr())


CHILD = """
import json, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_distill_endpoint import child
child(Path({folder!r}), {url!r}, {n})
"""


def child(folder: Path, url: str, n: int) -> None:
    """What the process does that is killed."""
    endpoint = Endpoint(url, "teacher", KEY_VARIABLE, at_once=AT_ONCE, patience=QUICK)
    teacher = ChatTeacher(endpoint, "teacher", AT_ONCE)
    print(json.dumps(distill(spec_of(url), questions(n), teacher, folder, 0, lambda event: None)))


def test_killed_at_any_moment_no_sample_that_arrived_is_asked_for_again(tmp_path: Path) -> None:
    n, kills = 40, 3
    with EndpointServer(right) as server:
        run(server, tmp_path / "whole", n)
    folder = tmp_path / "killed"
    code = CHILD.format(here=str(Path(__file__).parent), folder=str(folder), url="{url}", n=n)
    with EndpointServer(lambda request: right(request, wait=0.02)) as server:
        command = [sys.executable, "-c", code.replace("{url}", server.url)]
        for kill in range(1, kills + 1):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            deadline = time.monotonic() + 60
            while sum(server.answered.values()) < kill * 19 and time.monotonic() < deadline:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.003)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            lines = (folder / SAMPLES).read_bytes().splitlines(keepends=True)
            there = {(r["id"], r["number"]) for r in map(json.loads, (b for b in lines if b.endswith(b"\n")))}
            asked_before = len(server.requests)
            assert len(there) >= sum(server.answered.values()) - kill * AT_ONCE
            if kill == 2:  # a line that the kill has torn
                with (folder / SAMPLES).open("ab") as file:
                    file.write(b'{"question": "torn')
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["sampled"] == 2 * n
    records = [json.loads(line) for line in (folder / SAMPLES).read_text().splitlines()]
    assert len({(r["id"], r["number"]) for r in records}) == len(records) == 2 * n
    later = {(r.question, r.body["seed"]) for r in server.requests[asked_before:]}
    assert not later & {(f"{id[1:]} + 5?", derive(0, int(id[1:]), number) & 0x7FFFFFFF) for id, number in there}
    assert len(later) == 2 * n - len(there)
    assert len(server.requests) <= 2 * n + kills * AT_ONCE  # what was under way when the process died
    whole = [sorted((tmp_path / run / name).read_text().splitlines()) for run in ("whole", "killed") for name in FILES]
    assert whole[: len(FILES)] == whole[len(FILES) :]


FILES = (TRACES, PROBLEMS)


def mock(*outputs: Any) -> InspectModel:
    return InspectModel("mockllm/model", custom_outputs=outputs[0] if callable(outputs[0]) else list(outputs))


def test_an_inspect_provider_as_teacher(tmp_path: Path) -> None:
    from inspect_ai.model import ChatMessageAssistant, ContentReasoning, ContentText, ModelOutput, ModelUsage
    from inspect_ai.model._model_output import ChatCompletionChoice

    seen: list[Any] = []

    def answer(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        seen.append((messages[0].role, messages[0].text, config.max_tokens, config.temperature, config.seed))
        number = int(messages[0].text.split()[0])
        if number == 2:
            raise ConnectionError("gone for good")
        parts = [ContentReasoning(reasoning="so"), ContentText(text=f"<answer>{number + 5}</answer>")]
        stop = "max_tokens" if number == 1 else "stop"
        message = ChatMessageAssistant(content=parts)
        usage = ModelUsage(input_tokens=3, output_tokens=9)
        return ModelOutput(choices=[ChatCompletionChoice(message=message, stop_reason=stop)], usage=usage)

    model = "inspect/mockllm/model"
    spec = spec_of("http://unused", 1).model_copy(update={"teacher": TeacherSpec(model=model)})
    teacher = ChatTeacher(mock(answer), model, 2)
    summary = distill(spec, questions(4), teacher, tmp_path, 0, lambda event: None)
    assert (summary["kept"], summary["failed"], summary["tokens"], summary["prompt_tokens"]) == (2, 1, 27, 9)
    assert summary["failures"] == {"ConnectionError: gone for good": 1}
    rows = read_jsonl(tmp_path / TRACES)
    assert [(r.id, r.response) for r in rows] == [
        ("q0", "<think>so</think> <answer>5</answer>"),
        ("q3", "<think>so</think> <answer>8</answer>"),  # q1 was cut
    ]
    assert sorted(s[:4] for s in seen) == [("user", f"{i} + 5?", 64, 1.0) for i in range(4)]
    assert len({s[4] for s in seen}) == 4


class Turned(Exception):
    def __init__(self, status_code: int, said: str) -> None:
        super().__init__(said)
        self.status_code = status_code


@pytest.mark.parametrize(("code", "stops"), [(401, True), (404, True), (400, False), (500, False)])
def test_what_an_inspect_provider_turns_down(code: int, stops: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", KEY)

    def answer(*asked: Any) -> Any:
        raise Turned(code, f"not with {KEY}")

    with pytest.raises(ModelError if stops else NoReply, match=r"not with \[key\]") as caught:
        asyncio.run(mock(answer).chat([Message("user", "?")], max_tokens=4, temperature=1, seed=0))
    assert getattr(caught.value, "refused", None) is (None if stops else code == 400)


def test_hidden_thoughts_of_an_inspect_provider_make_no_trace() -> None:
    from inspect_ai.model import ChatMessageAssistant, ContentReasoning, ContentText, ModelOutput, ModelUsage
    from inspect_ai.model._model_output import ChatCompletionChoice

    parts = [ContentReasoning(reasoning="c2VjcmV0", redacted=True), ContentText(text="5")]
    choice = ChatCompletionChoice(message=ChatMessageAssistant(content=parts), stop_reason="stop")
    model = mock(ModelOutput(choices=[choice], usage=ModelUsage(input_tokens=3, output_tokens=9)))
    said = asyncio.run(model.chat([Message("user", "?")], max_tokens=4, temperature=1, seed=0))
    assert said == Reply("5", "none", "eos", 9, 3)


def test_teachers_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert teacher_of(TeacherSpec(model="inspect/mockllm/model")).identity == "inspect/mockllm/model"
    assert teacher_of(TeacherSpec(model="m", endpoint="http://127.0.0.1:1/v1")).identity == "m"
    with pytest.raises(ModelError, match=r"cannot use the model nosuch/m \(.*not recognized"):
        teacher_of(TeacherSpec(model="inspect/nosuch/m"))
    with pytest.raises(ModelError, match="write inspect/PROVIDER/MODEL"):
        teacher_of(TeacherSpec(model="inspect/openai"))
    with pytest.raises(ModelError, match="no/such/folder is not a folder"):
        teacher_of(TeacherSpec(model="no/such/folder"))


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with EndpointServer(right) as server:
        pass
    with pytest.raises(ModelError, match=rf"No model answers at {server.url} \(no connection\)"):
        run(server, tmp_path, 40)
