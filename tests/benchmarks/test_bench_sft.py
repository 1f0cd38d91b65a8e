"""benchmarks/sft.py on a tiny model, and what it says of figures given by hand."""

import math
import statistics
import time
from dataclasses import replace

import pytest
import torch
from benchmarks.loops import in_own_process, timed_loop
from benchmarks.pairs import OURS, Rounds
from benchmarks.sft import BF16, GROUPED, STOCK, Run, Task
from transformers import Trainer

from benchmarks import sft


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    torch.set_num_threads(1)
    made = Task(tmp_path_factory.mktemp("sft"), rows=64, hidden=64, layers=1)
    sft.write_models(made)
    return made


def test_lengths_are_log_normal_within_bounds():
    drawn = sft.lengths(20_000)
    assert drawn[:50] == sft.lengths(50)
    assert statistics.median(drawn) == pytest.approx(100, rel=0.03)
    assert (min(drawn), max(drawn)) == (16, 512)
    middle = sorted(map(math.log, drawn))[2_000:18_000]  # the tenth to the ninetieth percentile: 2 x 1.2816 sigma
    assert (middle[-1] - middle[0]) / (2 * 1.2816) == pytest.approx(0.7, rel=0.03)


def test_rows_are_as_long_as_drawn_but_for_a_few_tokens(task):
    rows = sft.tokenised(task)
    for row, length in zip(rows, sft.lengths(task.rows), strict=True):
        assert abs(len(row["input_ids"]) - length) <= 12
        assert len(row["labels"]) == len(row["input_ids"]) <= 512
        trained = sum(label != -100 for label in row["labels"])
        assert 0 < trained < len(row["labels"])


def test_both_sides_train_on_the_same_tokens_and_start_with_the_same_loss(task):
    mine, theirs = sft.ours(task), sft.stock(task)
    assert mine.tokens == theirs.tokens == sum(len(row["input_ids"]) for row in sft.tokenised(task))
    assert len(mine.losses) == len(theirs.losses) == 2
    assert abs(mine.losses[0] - sft.first_loss(task)) < sft.SAME_LOSS
    assert abs(mine.losses[1] - sft.first_loss(task)) > 100 * sft.SAME_LOSS  # another batch, after an update
    assert mine.mean_loss == pytest.approx(theirs.mean_loss, rel=sft.CLOSE_LOSS)
    assert mine.seconds > 0


def test_the_loop_is_timed_and_nothing_else(monkeypatch):
    class Loops(Trainer):
        def __init__(self):
            time.sleep(0.05)

    monkeypatch.setattr(Trainer, "train", lambda self: time.sleep(0.1))
    train = Trainer.train
    with timed_loop() as loop:
        Loops().train()
        time.sleep(0.05)
    assert 0.1 <= loop.seconds < 0.15
    assert Trainer.train is train


@pytest.fixture
def given(monkeypatch):
    """Figures of sides that do as they are told: `runs` and `first` may be changed before they are asked for."""
    runs = {side: Run(1000, 1.0, [4.0, 2.0]) for side in (OURS, STOCK, GROUPED, BF16)}
    told = {"first": 4.0}
    speeds = {OURS: [6000, 7000], STOCK: [2000, 2000], GROUPED: [5000, 7000], BF16: [9000, 9000]}

    def measured(task, quick, ours, *peers):
        return Rounds({OURS: speeds[ours], **{peer: speeds[peer] for peer in peers}}), runs

    monkeypatch.setattr(sft, "speeds", measured)
    monkeypatch.setattr(sft, "first_loss", lambda task: told["first"])
    monkeypatch.setattr(sft, "in_own_process", lambda call, side, few: {OURS: 0.5, STOCK: 1.0, GROUPED: 2.0}[side])
    return runs, told


def test_figures_have_both_peers_and_tell_a_missed_target(given, tmp_path):
    plain, rounded, memory = sft.figures(Task(tmp_path), quick=True, bf16=True)
    assert (plain.ours, plain.ratio, plain.agree, plain.missed) == (6500, 3.25, True, True)
    assert plain.peers == {STOCK: 2000, GROUPED: 6000}
    assert "1.10x TRL by length; target 4x: MISSED with 3.25x" in plain.note
    assert (rounded.ours, rounded.ratio, rounded.agree, rounded.missed) == (9000, 4.5, True, False)
    assert rounded.peers == {STOCK: 2000}
    assert (memory.ours, memory.ratio, memory.peers) == (0.5, 0.5, {STOCK: 1.0, GROUPED: 2.0})
    names = [figure.name for figure in sft.figures(Task(tmp_path), quick=True, bf16=False)]
    assert names == ["sft, real tokens", "sft, peak memory"]


@pytest.mark.parametrize(
    ("first", "mine", "in_bf16", "agree"),
    [
        (4.0, [4.0, 2.2], [4.0, 2.2], [True, True]),  # 3.1 beside 3.0: 3.3%
        (4.00002, [4.0, 2.0], [4.0, 2.0], [False, True]),
        (4.0, [4.0, 2.4], [4.0, 2.4], [False, True]),  # 3.2 beside 3.0: 6.7%
        (4.0, [4.0, 2.0], [4.0, 2.1], [True, False]),  # 3.05 beside 3.0: 1.7%
    ],
)
def test_losses_that_differ_are_told(given, tmp_path, first, mine, in_bf16, agree):
    runs, told = given
    told["first"] = first
    runs[OURS], runs[BF16] = replace(runs[OURS], losses=mine), replace(runs[BF16], losses=in_bf16)
    plain, rounded, _ = sft.figures(Task(tmp_path), quick=True, bf16=True)
    assert [plain.agree, rounded.agree] == agree


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(task):
    few = replace(task, rows=32)
    taken = {side: in_own_process(sft.peak, side, few) for side in (OURS, STOCK)}
    assert all(0.05 < gib < 4 for gib in taken.values()), taken
