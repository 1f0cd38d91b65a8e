"""VllmSampler's own logic, around an engine that replies from a script. `make verify-vllm` has the real one."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import PIL.Image
import pytest
from fake_vllm import FakeLLM
from tiny_models import END, END2, IMG, WORDS, says

from xreasoner.config import VllmSpec
from xreasoner.errors import DataError, ModelError, RecipeError, RunError
from xreasoner.rollout.forced_exit import ForcedExit
from xreasoner.rollout.vllm import VllmSampler, require_vllm
from xreasoner.types import Image, SamplingParams

CLOSE = WORDS.index("</think>")
A, B, C = (WORDS.index(w) for w in ("w1", "w2", "w3"))
ENDS = SimpleNamespace(eos_token_id=[END, END2])


@pytest.fixture(autouse=True)
def package(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=lambda **kwargs: SimpleNamespace(**kwargs)))


@pytest.fixture
def make(tokenizer: Any, processor: Any) -> Any:
    def make(llm: FakeLLM, sees: bool = False) -> VllmSampler:
        return VllmSampler(llm, tokenizer, [ENDS], processor if sees else None, IMG if sees else None)

    return make


def by_length(start: int, *replies: list[int]) -> Any:
    """Replies in the order of the requests of one completion, told by how long the ids have become."""
    turns: dict[int, list[int]] = {}

    def reply(ids: list[int], params: Any) -> list[int]:
        return turns.setdefault(len(ids), replies[len(turns)])

    return reply


def one(make: Any, params: SamplingParams, *replies: list[int], prefix: str = "<think>") -> tuple[Any, FakeLLM]:
    llm = FakeLLM(by_length(0, *replies))
    [[completion]] = make(llm).generate([says("w9", prefix=prefix)], params)
    return completion, llm


def asked(llm: FakeLLM) -> list[int]:
    return [params.max_tokens for call in llm.asked for _, params in call]


def test_the_precision_is_the_engines(make):
    assert make(FakeLLM(by_length(0))).dtype == "bfloat16"


def test_natural_exit_takes_one_request(make):
    c, llm = one(make, SamplingParams(8, 4), [A, B, CLOSE, C, END])
    assert c.token_ids == (A, B, CLOSE, C, END)
    assert c.sampled == (True,) * 5
    assert c.logprobs == tuple(-0.5 - i for i in c.token_ids)
    assert (c.exit, c.stop, c.text) == ("natural", "eos", "w1 w2 </think> w3")
    assert asked(llm) == [8]


def test_forced_exit_asks_again_behind_the_tag(make):
    c, llm = one(make, SamplingParams(3, 4), [A, A, A, A], [B, END2])
    assert c.token_ids == (A, A, A, CLOSE, B, END2)
    assert c.sampled == (True, True, True, False, True, True)
    assert c.logprobs == (-0.5 - A,) * 3 + (0.0, -0.5 - B, -0.5 - END2)
    assert (c.exit, c.stop) == ("forced", "eos")
    assert asked(llm) == [3, 4]
    [(first, _)], [(second, _)] = llm.asked
    assert second["prompt_token_ids"] == first["prompt_token_ids"] + [A, A, A, CLOSE]


def test_an_answer_that_outgrows_its_budget_is_cut_in_the_same_request(make):
    c, llm = one(make, SamplingParams(8, 2), [A, CLOSE, B, B, B, B, B, B])
    assert c.token_ids == (A, CLOSE, B, B)
    assert (c.exit, c.stop) == ("natural", "cap")
    assert asked(llm) == [8]


def test_an_answer_that_has_more_room_goes_on_in_another_request(make):
    c, llm = one(make, SamplingParams(3, 6), [A, CLOSE, B], [B, B, B, END])
    assert c.token_ids == (A, CLOSE, B, B, B, B, END)
    assert (c.exit, c.stop) == ("natural", "eos")
    assert asked(llm) == [3, 5]


def test_without_a_think_budget_nothing_is_inserted(make):
    c, llm = one(make, SamplingParams(None, 3), [A, B, C, A])
    assert (c.token_ids, c.exit, c.stop) == ((A, B, C), "none", "cap")
    assert asked(llm) == [3]
    c, _ = one(make, SamplingParams(5, 3), [A, END])
    assert (c.token_ids, c.exit, c.stop) == ((A, END), "none", "eos")


def test_thoughts_closed_in_the_prefix_leave_the_answer_alone(make):
    c, llm = one(make, SamplingParams(5, 2), [A, B, C], prefix="<think> </think>")
    assert (c.token_ids, c.exit, c.stop) == ((A, B), "natural", "cap")
    assert asked(llm) == [2]


def test_a_reply_shorter_than_asked_for_is_gone_on_from(make):
    c, llm = one(make, SamplingParams(4, 4), [A], [A, A], [A, A], [B, END])
    assert c.token_ids == (A, A, A, A, CLOSE, B, END)
    assert asked(llm) == [4, 3, 1, 4]


def test_every_request_overrides_what_a_generation_config_may_say(make):
    _, llm = one(make, SamplingParams(3, 4, temperature=0.7, top_p=1.0), [A, A, A], [END])
    for _, params in [row for call in llm.asked for row in call]:
        assert (params.temperature, params.top_p, params.top_k, params.min_p, params.n) == (0.7, 1.0, 0, 0.0, 1)
        assert (params.repetition_penalty, params.presence_penalty, params.frequency_penalty) == (1.0, 0.0, 0.0)
        assert params.stop_token_ids == [END, END2]
        assert params.ignore_eos
        assert not params.detokenize
        assert params.logprobs == 0


def test_seeds_are_of_the_completion_and_of_what_it_has(make):
    def seeds(prompts: Any, n: int, run: int = 3, temperature: float = 1.0) -> list[list[int]]:
        llm = FakeLLM(lambda ids, params: [A] * params.max_tokens)
        make(llm).generate(prompts, SamplingParams(2, 2, temperature, seed=run), n)
        return [[params.seed for _, params in call] for call in llm.asked]

    two = [says("w1", seed=7), says("w1 w2", seed=8)]
    first, second = seeds(two, 3)
    assert len({*first, *second}) == 12, "every request has a seed of its own"
    assert all(0 <= seed < 2**63 for seed in first + second)
    assert seeds(two[1:], 2) == [first[3:5], second[3:5]], "whatever else is in the batch"
    assert not set(seeds(two, 3, run=4)[0]) & set(first)
    assert seeds(two, 1, temperature=0.0) == [[None, None]] * 2


def test_with_top_p_there_are_no_logprobs(make):
    c, llm = one(make, SamplingParams(3, 4, temperature=1.0, top_p=0.9), [A, A, A], [END])
    assert c.logprobs is None
    assert {params.logprobs for call in llm.asked for _, params in call} == {None}
    assert {params.top_p for call in llm.asked for _, params in call} == {0.9}


def test_rows_that_are_done_are_not_asked_for_again(make):
    def reply(ids: list[int], params: Any) -> list[int]:
        return [A, CLOSE, END] if WORDS.index("w5") in ids else [A] * 9

    llm = FakeLLM(reply)
    groups = make(llm).generate([says("w5"), says("w6"), says("w5")], SamplingParams(3, 2), n=2)
    assert [len(call) for call in llm.asked] == [6, 2]
    assert [[c.exit for c in group] for group in groups] == [["natural"] * 2, ["forced"] * 2, ["natural"] * 2]


def test_pictures_go_as_one_token_each_and_an_image_token_of_the_model_stays_one(make, pictures):
    llm = FakeLLM(by_length(0, [A, IMG, A], [B, END]), spread=6)
    prompt = says("w1 ", Image(pictures[1]), " w2", prefix="<think>")
    sampler = make(llm, sees=True)
    assert sampler.prompt_ids(prompt).count(IMG) == 6
    [[c]] = sampler.generate([prompt], SamplingParams(3, 2))
    assert c.token_ids == (A, IMG, A, CLOSE, B, END)
    for [(request, _)] in llm.asked:
        [picture] = request["multi_modal_data"]["image"]
        assert picture.size == (84, 56)
        assert picture.mode == "RGB"
    assert [request["prompt_token_ids"].count(IMG) for [(request, _)] in llm.asked] == [1, 2]
    [[c]] = make(FakeLLM(lambda ids, params: [END]), sees=True).generate([says("w1")], SamplingParams(3, 2))
    assert c.stop == "eos", "a VLM without a picture"


def test_a_picture_that_vllm_spreads_otherwise_is_refused(make, pictures):
    llm = FakeLLM(lambda ids, params: [END], spread=4)
    with pytest.raises(
        ModelError, match=r"vLLM reads a prompt of 10 tokens where 12 were meant.*`launch.rollout: local`"
    ):
        make(llm, sees=True).generate([says("w1 ", Image(pictures[1]), " w2")], SamplingParams(3, 2))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n torn", b"GIF89a"])
def test_unreadable_pictures_are_refused_before_anything_is_asked(make, tmp_path, content):
    path = tmp_path / "torn.png"
    path.write_bytes(content)
    llm = FakeLLM(lambda ids, params: [END])
    with pytest.raises(DataError, match=r"torn.png cannot be read .*: restore it"):
        make(llm, sees=True).generate([says("w1 ", Image(str(path)))], SamplingParams(3, 2))
    with pytest.raises(DataError, match="the model is text-only"):
        make(llm).generate([says("w1 ", Image(str(path)))], SamplingParams(3, 2))
    assert llm.asked == []


def test_a_picture_beyond_all_bounds_is_refused(make, tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    PIL.Image.new("RGB", (20, 20)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match="cannot be read"):
        make(FakeLLM(lambda ids, params: [END]), sees=True).generate(
            [says(Image(str(tmp_path / "bomb.png")))], SamplingParams(3, 2)
        )


def test_prompts_without_room_for_the_budgets_are_refused(make):
    prompt = says("w1 w2 w3")
    length = len(make(FakeLLM(lambda ids, params: [])).prompt_ids(prompt))
    exact = FakeLLM(lambda ids, params: [END], positions=length + 8 + 1 + 4)
    make(exact).generate([prompt], SamplingParams(8, 4))
    small = FakeLLM(lambda ids, params: [END], positions=length + 8 + 1 + 3)
    with pytest.raises(
        DataError, match=f"A prompt of {length} tokens and up to 13 behind it exceed the {length + 12} "
    ):
        make(small).generate([prompt], SamplingParams(8, 4))
    make(exact).check_room([prompt], SamplingParams(8, 4))
    with pytest.raises(DataError, match=f"A prompt of {length} tokens"):
        make(small).check_room([says("w1"), prompt], SamplingParams(8, 4))
    assert small.asked == []


def test_temperatures_that_vllm_would_raise_are_refused(make):
    with pytest.raises(RecipeError, match=r"temperature is 0.005: vLLM samples at 0.01 or above"):
        make(FakeLLM(lambda ids, params: [END])).generate([says("w1")], SamplingParams(8, 4, temperature=0.005))
    with pytest.raises(RecipeError, match="think_budget is 0"):
        make(FakeLLM(lambda ids, params: [END])).generate([says("w1")], SamplingParams(0, 4))


class Hostile(FakeLLM):
    def __init__(self, change: Any) -> None:
        super().__init__(lambda ids, params: [A] * params.max_tokens)
        self._change = change

    def output(self, read: list[int], ids: list[int], logprobs: Any) -> Any:
        return super().output(*self._change(read, ids, logprobs))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r, i, p: (r, [], []), RunError, "vLLM gave 0 tokens where up to 3 were asked for"),
        (lambda r, i, p: (r, [A] * 4, p + p[:1]), RunError, "vLLM gave 4 tokens where up to 3"),
        (lambda r, i, p: (r, i, None), RunError, "no log-probabilities of its 3 tokens"),
        (lambda r, i, p: (r, i, p[:2]), RunError, "no log-probabilities of its 3 tokens"),
        (lambda r, i, p: (r, [A, A, B], p), RunError, "no log-probabilities of its 3 tokens"),
        (lambda r, i, p: (r[:-1], i, p), ModelError, "vLLM reads a prompt of"),
        (lambda r, i, p: ([B, *r[1:]], i, p), ModelError, "vLLM reads a prompt of"),
    ],
)
def test_replies_that_are_not_what_was_asked_for_stop_it(make, change, error, message):
    with pytest.raises(error, match=message):
        make(Hostile(change)).generate([says("w1")], SamplingParams(3, 2))


def test_caches_are_all_reset_and_one_that_is_held_stops_it(make):
    llm = FakeLLM(lambda ids, params: [END])
    make(llm).reset_caches()
    assert llm.resets == ["prefix", "mm", "encoder"]
    llm.lets_go = False
    with pytest.raises(RunError, match="older weights"):
        make(llm).reset_caches()


def test_rows_are_forced_exits_own(make, tokenizer):
    """What the scripted rows of forced_exit give for the same tokens."""
    params, script = SamplingParams(4, 3), [A, B, A, C, B, B, B]
    rule = ForcedExit(tokenizer, [END, END2])
    row, tokens = rule.start(params, "<think>"), iter(script)
    while not row.done:
        row.push(next(tokens) if row.insert is None else row.insert)
    c, _ = one(make, params, script[:4], script[4:])
    assert c.token_ids == row.completion().token_ids
    assert (c.text, c.exit, c.stop) == (row.completion().text, "forced", "cap")


def test_a_missing_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vllm", None)
    for call in (require_vllm, lambda: VllmSampler.from_dir(tmp_path, VllmSpec())):
        with pytest.raises(RecipeError, match=r"pip install 'xreasoner\[vllm\]'"):
            call()


def test_the_engine_lives_in_this_process_whatever_the_machine_says(monkeypatch):
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    require_vllm()
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
