"""benchmarks/rollout.py: a model with arranged lengths, the two stages of the peer by hand, and all of it in small."""

import json
from types import SimpleNamespace

import pytest
import torch
from benchmarks.pairs import OURS, Rounds
from benchmarks.rollout import ANSWER, GENERATE, THINK, TWO_STAGE, Bench, Peer, best_first

from benchmarks import rollout
from xreasoner.micro.tokenizer import WORD_ID
from xreasoner.types import SamplingParams

CLOSE, END, WAIT = WORD_ID["</think>"], WORD_ID["<|im_end|>"], WORD_ID["wait"]
TAIL = [WORD_ID[word] for word in ("<answer>", "3", "</answer>", "<|im_end|>")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    torch.set_num_threads(1)
    return Bench(tmp_path_factory.mktemp("rollout"))


def test_lengths_are_arranged(bench):
    params = SamplingParams(THINK, ANSWER, temperature=1.0, seed=3)
    done = [group[0] for group in bench._sampler.generate(bench.prompts, params)]
    forced = [c for c in done if c.exit == "forced"]
    assert 0.04 < len(forced) / len(done) < 0.18
    assert all(c.n_sampled == THINK + len(TAIL) for c in forced)
    assert all(c.stop == "eos" for c in done)
    assert all(c.token_ids[-5] == CLOSE and c.token_ids[-1] == END for c in done)
    thoughts = [len(c.token_ids) - 5 for c in done]
    assert 33 < sum(thoughts) / len(thoughts) < 50  # 41 is due
    assert len(set(thoughts)) > 40


def test_both_sides_say_the_same_greedily(bench):
    few = [bench._sampler.prompt_ids(prompt) for prompt in bench.prompts[:12]]
    ours = [list(g[0].token_ids) for g in bench._sampler.generate(bench.prompts[:12], SamplingParams(THINK, ANSWER))]
    assert bench._peer.two_stage(few, greedy=True) == ours
    assert len({tuple(row) for row in ours}) > 6


def scripted(bench, first, then=()):
    """A Peer whose generate says these rows, and what it was asked."""
    peer, asked, said = Peer(bench._model, bench._tokenizer), [], iter([first, then])

    def generate(prompts, tokens, greedy):
        asked.append(([list(p) for p in prompts], tokens))
        return [list(row) for row in next(said)]

    peer._generate = generate
    return peer, asked


def test_two_stages_by_hand(bench):
    ended = [WAIT, CLOSE, *TAIL]
    silent = [WAIT, END]  # ends without closing
    still = [WAIT] * THINK
    late = [*[WAIT] * (THINK - 1), CLOSE]
    long = [CLOSE, *[WAIT] * (THINK - 1)]  # closed at once, then speaks for longer than its answer's budget
    peer, asked = scripted(bench, [ended, silent, still, late, long], [TAIL, [WAIT] * ANSWER])
    rows = peer.two_stage([[7]] * 5, greedy=True)
    assert rows == [ended, silent, [*still, CLOSE, *TAIL], [*late, *[WAIT] * ANSWER], long[: 1 + ANSWER]]
    assert asked == [([[7]] * 5, THINK), ([[7, *still, CLOSE], [7, *late]], ANSWER)]
    assert [bench._sampled(row) for row in rows] == [6, 2, THINK + 4, THINK + ANSWER, 1 + ANSWER]


def test_without_open_rows_there_is_one_stage(bench):
    peer, asked = scripted(bench, [[CLOSE, *TAIL]])
    assert peer.two_stage([[7]], greedy=True) == [[CLOSE, *TAIL]]
    assert len(asked) == 1


def test_rows_end_at_their_end_token(bench):
    peer = Peer(SimpleNamespace(device="cpu", generate=said), bench._tokenizer)
    assert peer.generate([[5], [6, 7]], greedy=False) == [[8, END], [8, 9, 9]]


def said(input_ids, attention_mask, generation_config):
    assert input_ids.tolist() == [[0, 5], [6, 7]]  # padded on the left
    assert attention_mask.tolist() == [[0, 1], [1, 1]]
    assert generation_config.max_new_tokens == THINK + 1 + ANSWER
    assert (generation_config.do_sample, generation_config.temperature, generation_config.top_k) == (True, 1.0, 0)
    return torch.tensor([[0, 5, 8, END, 0], [6, 7, 8, 9, 9]])


def test_the_best_peer_is_the_first():
    rounds = best_first(Rounds({OURS: [9.0], TWO_STAGE: [2.0], GENERATE: [3.0]}))
    assert list(rounds.speeds) == [OURS, GENERATE, TWO_STAGE]
    assert rounds.ratio(GENERATE) == 3


def test_the_figures(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rollout, "PROMPTS", 2)
    monkeypatch.setattr(rollout, "GROUP", 2)
    assert rollout.main(["--quick", "--json", str(tmp_path / "r.json")]) == 0
    document = json.loads((tmp_path / "r.json").read_text())
    speed, length = document["figures"]
    assert (speed["name"], speed["unit"], speed["target"], speed["agree"]) == (
        *("rollout, sampled tokens", "tokens/s", 3.0, True),
    )
    assert set(speed["peers"]) == {TWO_STAGE, GENERATE}
    assert "4 of 4 greedy rows the same" in speed["note"]
    assert "target 3x" in speed["note"]
    assert 5 < length["ours"] <= THINK + ANSWER
    assert (document["think_budget"], document["rollouts"]) == (THINK, 2)
    assert "2 prompts x 2" in capsys.readouterr().out
