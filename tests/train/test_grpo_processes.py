"""RL in processes of its own: killed by the system, and two at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from grpo_tiny import make_tower
from safetensors.torch import load_file

pytestmark = pytest.mark.slow
SCRIPT = str(Path(__file__).with_name("grpo_tiny.py"))
LIMIT_SECONDS = 240


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return make_tower(tmp_path_factory.mktemp("tower"))


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def run(*arguments, launcher=(), **variables):
    command = [sys.executable, *launcher, SCRIPT, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | variables
    # its own session, so that a hanging launcher's children are ended with it
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, [json.loads(line) for line in out.splitlines() if line.startswith("{")], err


def weights(stage_dir):
    return load_file(stage_dir / "tower" / "model.safetensors")


@pytest.fixture(scope="module")
def whole_run(tower, tmp_path_factory):
    stage_dir = tmp_path_factory.mktemp("whole")
    code, records, err = run(tower, stage_dir)
    assert code == 0, err
    return weights(stage_dir), records


def test_the_same_command_after_kill_9_ends_with_the_same_bits(tower, whole_run, tmp_path):
    code, records, _ = run(tower, tmp_path, 4)  # in epoch 2 of the examples
    assert code == -signal.SIGKILL
    assert records[-1]["step"] == 4
    assert not (tmp_path / "tower").exists()
    code, records, err = run(tower, tmp_path)
    assert code == 0, err
    assert [r["step"] for r in records] == [3, 4, 5]
    for name, tensor in whole_run[0].items():
        assert torch.equal(weights(tmp_path)[name], tensor)


def test_two_processes_of_which_one_is_all_flat_do_not_hang(tower, tmp_path):
    code, records, err = run(tower, tmp_path, launcher=TWO, FLAT_RANK="1")
    assert code == 0, err
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5]  # from process 0 alone
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    kept = [Dataset.from_parquet(str(path), cache_dir=str(tmp_path)) for path in (tmp_path / "rollouts").iterdir()]
    assert [sorted(set(rollouts["group"])) for rollouts in kept] == [[0, 2]] * 5  # a prompt of each of two updates
    for record in records:
        assert 0.5 <= record["flat_groups"] < 1
        assert record["sampler_trainer_gap"] < 1e-5
    assert weights(tmp_path)


def test_two_processes_train_what_one_does(tower, whole_run, tmp_path):
    code, records, err = run(tower, tmp_path, launcher=TWO)
    assert code == 0, err
    assert [r["reward"] for r in records] == [r["reward"] for r in whole_run[1]]
    for name, tensor in whole_run[0].items():
        assert torch.allclose(weights(tmp_path)[name], tensor, atol=1e-4)


def test_two_processes_refill_weigh_and_train_adapters(tower, tmp_path):
    """One of them finds no signal anywhere, tries its whole share of further prompts, and keeps step all the same."""
    changes = {"refill_groups": 2, "importance_cap": 2.0, "lora": {"rank": 2, "alpha": 4}, "kl_coef": 0.1}
    variables = {"FLAT_RANK": "1", "CHANGES": json.dumps(changes)}
    code, records, err = run(tower, tmp_path, launcher=TWO, **variables)
    assert code == 0, err
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5]
    for record in records:
        assert record["extra_rollouts"] in (4, 8)  # one further prompt each, the flat process's always
        assert record["refilled"] <= 1
        assert record["importance_weight"] == pytest.approx(1, abs=1e-4)
    assert not any("lora" in name for name in weights(tmp_path))
