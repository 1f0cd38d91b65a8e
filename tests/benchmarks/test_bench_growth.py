"""benchmarks/growth.py: what an exponent is, what should be, and the table from made points."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.growth import AXES, LEAST, TOLERANCE, along, exponent, judged, sizes_along
from benchmarks.points import STAGES, Cost, Size
from transformers import AutoConfig

from benchmarks import growth, points
from xreasoner.model.hub import MICRO
from xreasoner.plan.sizes import sizes_of

ROOT = Path(__file__).parents[2]
SMALL = Size(4, 64, 128)


@pytest.fixture(scope="module")
def micro():
    return sizes_of(AutoConfig.from_pretrained(MICRO))


def test_an_exponent_is_the_slope_in_logarithms():
    assert exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    assert exponent([10, 20], [7, 7]) == pytest.approx(0)
    assert exponent([1, 2], [10, 20], least=40) == pytest.approx(0)  # both are no more than what nobody can read
    assert exponent([1, 4], [20, 80], least=40) == pytest.approx(0.5)


def test_more_than_it_should_is_told_and_fails_less_is_told():
    more, less, right = (judged("a", "s", [1, 2], slope, 1.0) for slope in (1.5, 0.5, 0.99 + TOLERANCE))
    assert (more.agree, less.agree, right.agree) == (False, True, True)
    assert more.note == "1, 2 s; grows MORE than it should by 0.50"
    assert less.note == "1, 2 s; grows less than it should by 0.50"
    assert right.note == "1, 2 s"
    assert (more.ours, more.peers) == (1.5, {"should": 1.0})


def test_an_axis_has_four_sizes_and_two_where_it_is_quick():
    assert sizes_along("length", False) == [Size(8, n, 192) for n in (64, 128, 256, 512)]
    assert sizes_along("model", True) == [Size(4, 64, 128), Size(4, 64, 320)]
    assert all(len(values) == 4 for values in AXES.values())


def test_what_a_stage_should_take(micro):
    def ratio(stage, other, size=SMALL):
        one, two = (STAGES[stage].should(s, micro) for s in (size, other))
        return two.seconds / one.seconds

    assert ratio("data", Size(4, 128, 128)) == 2
    for stage in ("sft", "rollout", "grpo", "evaluation"):
        assert ratio(stage, Size(8, 64, 128)) == pytest.approx(2), stage  # linear in rows
        assert ratio(stage, Size(4, 128, 128)) > 1.4, stage
    # A token costs 6 operations a weight, and 6 a layer, channel and token of its row.
    short, long = (6 * micro.matmul + 6 * micro.layers * micro.q * n for n in (64, 512))
    assert ratio("sft", Size(4, 512, 128)) == pytest.approx(8 * long / short)
    assert STAGES["sft"].should(Size(8, 64, 128), micro).nbytes > STAGES["sft"].should(SMALL, micro).nbytes


def test_the_recipes_have_the_sizes():
    sft, rl = points.sft_of(Size(16, 256, 128)), points.rl_of(Size(16, 256, 128))
    assert (sft.batch_sequences, sft.micro_batch_sequences, sft.max_tokens) == (16, 16, 256)
    assert (rl.prompts_per_step, rl.rollouts_per_prompt, rl.think_budget) == (4, 8, 256)
    rows = points.examples(Size(2, 50, 128), 3)
    assert all(len(row.response.split()) == 50 for row in rows)
    assert len({row.messages for row in rows}) == 3


def test_figures_of_made_points(micro):
    made = {Size(n, 128, 192): Cost(0.5 * n, 2 * LEAST * n * n) for n in (4, 8, 16, 32)}
    time, memory = along("sft", "batch", made, {192: micro})
    assert (time.name, memory.name) == ("sft by batch, time", "sft by batch, memory")
    assert (time.ours, time.peers["should"], time.agree) == (pytest.approx(1), pytest.approx(1), True)
    assert (memory.ours, memory.agree) == (pytest.approx(2), False)
    assert time.note == "2, 4, 8, 16 s"


def test_points_are_measured_once(monkeypatch, tmp_path, micro, capsys):
    asked = []

    def measured(_, name, size, folder):
        asked.append((name, size))
        return Cost(size.batch * size.length, LEAST)

    monkeypatch.setattr(growth, "in_own_process", measured)
    monkeypatch.setattr(growth, "write_models", lambda folder, sizes: {size.model: micro for size in sizes})
    assert growth.main(["data", "--json", str(tmp_path / "g.json")]) == 0
    assert len(asked) == len(set(asked)) == 7  # four sizes on each of two axes, one of them shared
    document = json.loads((tmp_path / "g.json").read_text())
    assert [(f["name"], round(f["ours"], 3), f["agree"]) for f in document["figures"]] == [
        ("data by batch, time", 1, True),
        ("data by batch, memory", 0, True),
        ("data by length, time", 1, True),
        ("data by length, memory", 0, True),
    ]
    with pytest.raises(SystemExit):
        growth.main(["sleep"])
    assert "there is no stage sleep: choose among data, detach" in capsys.readouterr().err


@pytest.mark.slow
def test_every_stage_can_be_measured(tmp_path):
    models = points.write_models(tmp_path, [SMALL])
    for name, stage in STAGES.items():
        cost = points.point(name, SMALL, tmp_path)
        assert cost.seconds > 0, name
        assert stage.should(SMALL, models[128]).seconds > 0, name
    assert {path.name for path in tmp_path.iterdir()} == {"text.txt", "vlm-128", "tower-128"}


@pytest.mark.slow
def test_the_command(tmp_path):
    command = [sys.executable, "-m", "benchmarks.growth", "--quick", "detach", "--json", str(tmp_path / "g.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads((tmp_path / "g.json").read_text())["figures"]
    assert [f["name"] for f in figures] == ["detach by model, time", "detach by model, memory"]
