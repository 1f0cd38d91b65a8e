import errno
import os

import numpy as np
import pytest
from datasets import Dataset
from grpo_tiny import SEED, make_examples, make_spec, parity_judge

from xreasoner.config import LaunchSpec
from xreasoner.errors import RunError
from xreasoner.train import grpo, kept, rl_trainer
from xreasoner.train.kept import Kept, keep_rollouts
from xreasoner.train.refill import Group
from xreasoner.types import Completion, Example, Message, Prompt, Verdict


def read(path):
    return list(Dataset.from_parquet(str(path), keep_in_memory=True, cache_dir=str(path.parent / "cache")))


def one_group(*texts, number=5, trained=True, verdicts=None, example_id="mine"):
    completions = [
        Completion((7, 8, 9), (True, False, True), (-0.5, 0.0, -2.0), text, "forced", "cap") for text in texts
    ]
    messages = (Message("system", "Be brief."), Message("user", "What is 2 + 3?"))
    example = Example(example_id, messages, "5", "number")
    return Kept(number, example, Group(Prompt(messages), completions, verdicts or [Verdict("wrong")] * 3), trained)


def test_a_row_holds_all_of_a_rollout(tmp_path):
    verdicts = [Verdict("correct", "5", "exact"), Verdict("verifier_error")]
    keep_rollouts(tmp_path, 12, [one_group("a 5", "b", verdicts=verdicts)], [1.5, -0.25])
    first, second = read(tmp_path / "rollouts" / "step-00012.parquet")
    assert first == {
        "step": 12,
        "id": "mine",
        "group": 5,
        "rollout": 0,
        "question": "Be brief.\n\nWhat is 2 + 3?",
        "completion": "a 5",
        "outcome": "correct",
        "extracted": "5",
        "reward": 1.0,
        "advantage": 1.5,
        "exit": "forced",
        "stop": "cap",
        "sampled_tokens": 2,
        "token_ids": [7, 8, 9],
        "sampled": [True, False, True],
        "logprobs": [-0.5, 0.0, -2.0],
    }
    assert (second["rollout"], second["outcome"], second["advantage"]) == (1, "verifier_error", -0.25)
    assert second["extracted"] is None
    assert second["reward"] is None


def test_a_group_that_gave_way_has_no_advantage(tmp_path):
    groups = [one_group("a", "b", number=0), one_group("c", "d", number=1, trained=False)]
    keep_rollouts(tmp_path, 1, groups, [1.0, -1.0, 2.0, -2.0])
    rows = read(tmp_path / "rollouts" / "step-00001.parquet")
    assert [(r["group"], r["rollout"], r["advantage"]) for r in rows] == [
        (0, 0, 1.0),
        (0, 1, -1.0),
        (1, 0, None),
        (1, 1, None),
    ]


def test_half_characters_do_not_matter(tmp_path):
    keep_rollouts(tmp_path, 1, [one_group("bad \ud800 text", example_id="\udfff")], [0.0])
    (row,) = read(tmp_path / "rollouts" / "step-00001.parquet")
    assert (row["completion"], row["id"]) == ("bad ? text", "?")


def test_the_same_step_is_replaced_and_nothing_lies_beside_it(tmp_path):
    for text in ("first", "second"):
        keep_rollouts(tmp_path, 3, [one_group(text)], [0.0])
    assert [path.name for path in (tmp_path / "rollouts").iterdir()] == ["step-00003.parquet"]
    assert read(tmp_path / "rollouts" / "step-00003.parquet")[0]["completion"] == "second"


def test_what_cannot_be_kept_ends_no_training(tmp_path, monkeypatch, capsys):
    keep_rollouts(tmp_path, 1, [one_group("a")], [0.0])
    before = (tmp_path / "rollouts" / "step-00001.parquet").read_bytes()

    def broken(descriptor):
        raise ValueError("no such thing")

    monkeypatch.setattr(kept.os, "fsync", broken)
    keep_rollouts(tmp_path, 1, [one_group("b")], [0.0])
    assert "The rollouts of step 1 could not be kept: ValueError('no such thing')" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "rollouts").iterdir()] == ["step-00001.parquet"]
    assert (tmp_path / "rollouts" / "step-00001.parquet").read_bytes() == before


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kept.os, "fsync", full)
    with pytest.raises(RunError, match="is full"):
        keep_rollouts(tmp_path, 1, [one_group("a")], [0.0])
    assert list((tmp_path / "rollouts").iterdir()) == []


@pytest.fixture(autouse=True)
def _judge(monkeypatch):
    monkeypatch.setattr(rl_trainer, "verify_many", parity_judge)


def train(tower, stage, progress=lambda record: None, keep=3, **changes):
    launch = LaunchSpec(trackers=(), rollouts_kept=keep)
    return grpo.train_rl(make_spec(**changes), make_examples(), tower, stage, SEED, progress, launch)


def test_rl_keeps_the_first_prompts_of_every_step(tower, tmp_path):
    records = []
    train(tower, tmp_path, records.append, keep=9, steps=2)  # more than the 4 that there are
    assert sorted(p.name for p in (tmp_path / "rollouts").iterdir()) == ["step-00001.parquet", "step-00002.parquet"]
    known = {example.id: example for example in make_examples()}
    for record in records:
        rows = read(tmp_path / "rollouts" / f"step-{record['step']:05d}.parquet")
        assert [(r["group"], r["rollout"]) for r in rows] == [(g, i) for g in range(4) for i in range(4)]
        assert np.mean([r["reward"] for r in rows]) == pytest.approx(record["reward"])
        assert sum(r["sampled_tokens"] for r in rows) == record["sampled_tokens"]
        assert max(len(r["token_ids"]) for r in rows) == record["max_length"]
        entropy = -sum(p for r in rows for p, own in zip(r["logprobs"], r["sampled"], strict=True) if own)
        assert entropy / record["sampled_tokens"] == pytest.approx(record["entropy"], rel=1e-5)
        for group in range(4):
            of_group = [r for r in rows if r["group"] == group]
            rewards = np.array([r["reward"] for r in of_group])
            expected = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)  # TRL's scale_rewards="group"
            assert [r["advantage"] for r in of_group] == pytest.approx(expected.tolist(), abs=1e-5)
            (example_id,) = {r["id"] for r in of_group}
            assert of_group[0]["question"] == known[example_id].messages[0].content


class Stop(Exception):
    pass


def test_a_resumed_stage_writes_the_same_again(tower, tmp_path):
    train(tower, tmp_path / "whole", steps=3)

    def stop(record):
        if record["step"] == 3:
            raise Stop

    with pytest.raises(Stop):
        train(tower, tmp_path / "broken", stop, steps=3)
    (tmp_path / "broken" / "rollouts" / "step-00003.parquet").write_bytes(b"torn")
    train(tower, tmp_path / "broken", steps=3)
    for step in (1, 2, 3):
        name = f"rollouts/step-{step:05d}.parquet"
        assert len(read(tmp_path / "whole" / name)) == 3 * 4
        assert read(tmp_path / "whole" / name) == read(tmp_path / "broken" / name)


def test_with_refill_the_prompts_are_the_steps_own(tower, tmp_path, monkeypatch):
    """The first example is never solved, so its group gives way."""
    never = make_examples()[0].id

    def judge(pairs):
        return [Verdict("correct" if i % 2 and e.id != never else "wrong") for i, (e, _) in enumerate(pairs)]

    monkeypatch.setattr(rl_trainer, "verify_many", judge)
    train(tower, tmp_path, keep=4, steps=3, refill_groups=2)
    rows = [row for path in (tmp_path / "rollouts").glob("*.parquet") for row in read(path)]
    assert len(rows) == 3 * 4 * 4
    assert never in {r["id"] for r in rows}
    assert all((r["advantage"] is None) == (r["id"] == never) for r in rows)
