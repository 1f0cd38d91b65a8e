"""The run's folder, disk, devices, launch and teachers."""

import errno
import importlib.util
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
import torch
from small_recipe import RECIPE, SMALL

from xreasoner import cli, config
from xreasoner.check import CHECKS, Estimate, machine
from xreasoner.pipeline import launch
from xreasoner.runs import RunDir

GIB = 2**30
_USAGE = shutil.disk_usage("/")


def test_a_new_folder_is_fit_and_nothing_is_left_in_it(found, tmp_path):
    assert found("out", out=tmp_path / "a" / "run") == [("out", "ok", f"{tmp_path}/a/run can be written ")]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_this_recipe_goes_on_and_a_foreign_one_is_refused(found, tmp_path):
    RunDir.create(tmp_path / "run", config.load(RECIPE, SMALL))
    assert "holds a run of this recipe, which goes on" in found("out")[0][2]
    [(_, state, text)] = found("out", "seed=7")
    assert (state, "holds the run of another recipe" in text, "+seed: 7" in text) == ("failed", True, True)


def test_a_folder_that_is_no_run(found, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    [(_, state, text)] = found("out", out=tmp_path)
    assert (state, "is not a run of xreasoner" in text) == ("failed", True)


def test_a_folder_that_cannot_be_written(found, tmp_path, monkeypatch):
    def closed(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", closed)
    [(_, state, text)] = found("out")
    assert (state, text) == ("failed", f"{tmp_path} cannot be written (Read-only file system) give another --out")


def test_a_full_disk(found, monkeypatch):
    [(_, state, text)] = found("disk")
    assert (state, text.startswith("about 0.1 GiB needed at most")) == ("ok", True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _USAGE._replace(free=GIB // 100))
    [(_, state, text)] = found("disk")
    assert (state, "needs about 0.1 GiB of disk and 0.0 GiB are free" in text) == ("failed", True)


def gpus(monkeypatch, n, bf16=True, memory=80 * GIB):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    properties = SimpleNamespace(name="Card", total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: properties)


def test_devices(found, monkeypatch):
    assert found("devices")[0][2].startswith("no GPU; ")
    assert [state for _, state, _ in found("devices", "rl.bf16=true")] == ["ok", "warning"]
    gpus(monkeypatch, 2)
    assert found("devices", "rl.bf16=true") == [("devices", "ok", "2 GPUs (Card), 80.0 GiB each ")]
    gpus(monkeypatch, 1, bf16=False)
    told = found("devices", "rl.bf16=true")
    assert told[0][2] == "1 GPU (Card), 80.0 GiB each "
    assert told[1][1:] == (
        "failed",
        "Card cannot compute in bf16 set `bf16: false` in every stage, or take a newer GPU",
    )


def test_memory_against_the_plan(found):
    def estimates(recipe, tokenizer):
        assert tokenizer.eos_token == "<|im_end|>"
        return [
            Estimate("sft", 90 * GIB, 80 * GIB),
            Estimate("rl", 40 * GIB, 80 * GIB),
            Estimate("evaluation", 2**20, GIB),
            Estimate("served", 2**20, GIB, vllm_lacks_bytes=2 * GIB),
        ]

    told = found("memory", estimates=estimates)
    assert [(state, text) for _, state, text in told] == [
        ("failed", f"`sft` about 90.0 GiB of 80.0 GiB {machine.SMALLER}"),
        (
            "failed",
            "`served` about 1.0 MiB, but vLLM's share is 2.0 GiB too small for its weights and one row raise "
            "`launch.vllm.memory_share`, or see `xreasoner plan`",
        ),
        ("ok", "`rl` about 40.0 GiB, `evaluation` about 1.0 MiB, which fits "),
    ]
    assert found("memory")[0][1:] == ("warning", "not estimated: see `xreasoner plan` ")


def test_memory_by_the_plan_itself(found, monkeypatch):
    told = found("memory", estimates=cli._memory_estimates)
    assert [state for _, state, _ in told] == ["ok"]
    assert [f"`{name}` about " in told[0][2] for name in ("sft", "rl", "sft-direct", "evaluation")] == [True] * 4
    monkeypatch.setattr("os.sysconf", lambda name: 2**14)  # a machine of 256 MiB
    told = found("memory", "rl.micro_batch_sequences=128", estimates=cli._memory_estimates)
    assert [state for _, state, _ in told] == ["failed", "ok"]
    assert told[0][2].startswith("`rl` about ")


SHARDED = ("rl.think_budget=20", "launch.processes=2", "launch.sharding=fsdp2", "launch.rollout=vllm")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (SHARDED, ["torch finds none here", "vLLM is not installed"]),
        (("launch.nodes=2",), ["no `srun` here"]),
        (("launch.trackers=[tensorbord]",), ["did you mean tensorboard"]),
        (("launch.processes=3",), ["cannot be divided into 2 updates on 3 processes"]),
        (("launch.nodes=3", "launch.trackers=[nothing]"), ["srun", "nothing", "on 3 processes"]),
    ],
)
def test_launch_arguments_that_cannot_be(overrides, says, found, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else object())
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    wrong = [text for _, state, text in found("launch", *overrides) if state == "failed"]
    assert len(wrong) == len(says)
    assert all(any(part in text for text in wrong) for part in says), wrong


def test_more_processes_than_gpus(found, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    (_, state, text), *_ = found("launch", "launch.processes=4", "launch.workers=1")
    assert (state, "`launch.processes` is 4, one a GPU, and this machine has 2" in text) == ("failed", True)


def test_launch_arguments_that_can_be(found, monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 4)
    assert found("launch") == [("launch", "ok", "1 process on 1 machine, local sampler ")]
    assert [state for _, state, _ in found("launch", "launch.processes=2", "launch.threads=2")] == ["ok"]
    told = found("launch", "launch.threads=4", "launch.processes=2", "sft.batch_sequences=1")
    assert [state for _, state, _ in told] == ["warning", "warning", "ok"]
    assert "a batch of 1 leaves some of 2 processes idle" in told[0][2]
    assert "8 threads on 4 cores" in told[1][2]


class Server(BaseHTTPRequestHandler):
    reply = (200, json.dumps({"data": [{"id": "small"}, {"id": "large"}]}))
    seen: list[str]

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        status, text = self.reply
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    made = HTTPServer(("127.0.0.1", 0), Server)
    made.seen = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()


def taught_by(teacher):
    stages = (
        f"stages=[{{distill: {{teacher: {teacher}, data: {{name: micro-math, rows: 4}}, samples_per_question: 1,"
        " think_budget: 9, answer_budget: 2}}, {sft: {data: traces, epochs: 1, batch_sequences: 2,"
        " micro_batch_sequences: 2, learning_rate: 1.0, schedule: cosine, max_tokens: 9, overlong: cut,"
        " save_every_steps: 1}}]"
    )
    return stages, "final=sft", "eval.checkpoints=[base]", "eval.controls=null"


def test_a_server_that_serves_the_teacher(found, server, monkeypatch):
    at = f"http://127.0.0.1:{server.server_port}/v1"
    told = found("teacher", *taught_by(f"{{model: large, endpoint: '{at}'}}"))
    assert told[0][1] == "ok"
    assert f"{at} serves large; the environment variable OPENAI_API_KEY holds no key" in told[0][2]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-12345678")
    told = found("teacher", *taught_by(f"{{model: large, endpoint: '{at}'}}"))
    assert told[0][1:] == ("ok", f"`traces`: {at} serves large ")
    assert server.seen == [("/v1/models", None), ("/v1/models", "Bearer sk-12345678")]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((200, '{"data": [{"id": "a\x1b[2J"}]}'), "something that is no list"),
        ((200, json.dumps({"data": [{"id": "other sk-12345678"}]})), "serves other [key], not large"),
        ((200, "<html>"), "something that is no list of models"),
        ((200, "[" * 100_000), "something that is no list of models"),
        ((401, "no"), "says HTTP 401"),
    ],
)
def test_a_server_that_does_not_is_a_warning(reply, says, found, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-12345678")
    monkeypatch.setattr(Server, "reply", reply)
    at = f"http://127.0.0.1:{server.server_port}/v1"
    [(_, state, text)] = found("teacher", *taught_by(f"{{model: large, endpoint: '{at}'}}"))
    assert (state, says in text, "sk-12345678" in text) == ("warning", True, False), text


def test_no_server_and_teachers_of_other_kinds(found, server):
    port = server.server_port
    server.shutdown()
    server.server_close()
    [(_, state, text)] = found("teacher", *taught_by(f"{{model: large, endpoint: 'http://127.0.0.1:{port}/v1'}}"))
    assert (state, "no server answers" in text) == ("warning", True)
    assert found("teacher", *taught_by("base"))[0][2] == "`traces`: the checkpoint `base` of this run "
    [(_, state, text)] = found("teacher", *taught_by("{model: /nowhere}"))
    assert (state, "/nowhere is not a folder" in text) == ("failed", True)
    [(_, state, text)] = found("teacher", *taught_by("{model: inspect/nobody/x}"))
    assert (state, "Inspect AI cannot use the model nobody/x" in text) == ("failed", True)
    assert found("teacher")[0][2] == "the recipe has none "


def test_every_check_is_in_the_tests():
    assert set(CHECKS) == {
        *("out", "hub", "launch", "devices", "model", "tokenizer", "config", "weights", "disk", "tower", "template"),
        *("memory", "tags", "rows", "lengths", "verifier", "evaluation", "teacher"),
    }
