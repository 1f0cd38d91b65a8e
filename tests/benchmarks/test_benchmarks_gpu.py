"""What benchmarks say, by hand; and benchmarks/gpu.py from end to end on a tiny model, on the CPU."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.phases import Bench
from benchmarks.results import Figure, arguments, number, show, write
from rich.console import Console

from benchmarks import gpu, measure, phases, subject
from xreasoner.data.render import prompt_ids, render
from xreasoner.model.load import load_tokenizer
from xreasoner.model.shapes import config_of
from xreasoner.plan.compute import training_flops
from xreasoner.plan.sizes import sizes_of

ROOT = Path(__file__).parents[2]
TWO = ("tokens read", "peak memory")
TINY = subject.LOADS["tiny"]


@pytest.fixture(scope="module")
def vlm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "vlm"
    torch.set_num_threads(1)
    subject.write_vlm("tiny", folder)
    return folder


def test_a_figure_beside_its_peers():
    figure = Figure("sft, MFU", 3.0, "TFLOP/s", {"matmul": 4.0, "other": 1.0}, agree=True)
    assert figure.to_dict() == {
        "name": "sft, MFU",
        "ours": 3.0,
        "unit": "TFLOP/s",
        "peers": {"matmul": 4.0, "other": 1.0},
        "ratio": 0.75,
        "agree": True,
        "note": "",
    }
    assert Figure("a", 3.0).ratio is None
    assert Figure("a", None, peers={"b": 1.0}).ratio is None
    assert Figure("a", 3.0, peers={"b": 0.0}).ratio is None
    assert [number(n) for n in (12345.6, 0.01234, 98.76, 0)] == ["12,346", "0.0123", "98.8", "0"]


@pytest.mark.parametrize("columns", [80, 40])
def test_the_table_fits_and_says_why_nothing_was_measured(columns, capsys):
    figures = [
        Figure("sft, MFU", 3.0, "TFLOP/s", {"matmul": 4.0}, agree=False),
        Figure("x", None, note="failed: [oom]"),
    ]
    show("tiny", figures, Console(width=columns))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    assert "0.75" in text
    assert "NO" in text
    assert "[oom]" in "".join(text.split())


def test_the_file_names_machine_and_versions(tmp_path):
    write([Figure("a", 1.0)], tmp_path / "new" / "figures.json", {"benchmark": "gpu"})
    document = json.loads((tmp_path / "new" / "figures.json").read_text())
    assert document["benchmark"] == "gpu"
    assert [f["name"] for f in document["figures"]] == ["a"]
    assert {"torch", "transformers", "trl", "python"} <= document["machine"]["versions"].keys()
    assert document["machine"]["cores"] == os.cpu_count()
    assert vars(arguments("about").parse_args(["--quick"])) == {"quick": True, "json": None}


def test_flops_of_a_token_by_hand():
    sizes = sizes_of(config_of("Qwen/Qwen2.5-VL-3B-Instruct"))
    matmul = 3_085_938_688  # all of the tied tower
    assert sizes.matmul == matmul
    assert training_flops(sizes, 1, 0, adapters=False) == 6 * matmul
    assert training_flops(sizes, 1, 0, adapters=True) == 4 * matmul
    assert training_flops(sizes, 1, 2048, adapters=False) - 6 * matmul == 6 * 36 * 2048 * 2048


def test_peak_memory_is_that_of_the_block():
    # In a process of its own: memory that another test has freed could be taken again without growing.
    code = (
        "import torch\nfrom benchmarks import measure\n"
        "with measure.peak_memory() as peak:\n    held = torch.ones(32 * 2**20)\n    del held\n"
        "print(peak.nbytes)"
    )
    root = Path(__file__).parents[2]
    got = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert 0.9 * 128 < int(got.stdout) / 2**20 < 1.5 * 128


def test_ceilings_are_positive_and_told_apart():
    torch.set_num_threads(1)
    figures = phases.ceilings(Bench("tiny", True, Path()))
    assert [f.name for f in figures] == ["matmul, float32", "copy"]
    assert all(f.ours > 0 for f in figures)


def test_the_median_of_calls_leaves_out_the_first(monkeypatch):
    clock = iter([0, 100, 0, 1, 0, 3, 0, 2])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    assert measure.seconds(lambda: None, rounds=3) == 2


def test_rows_have_the_lengths_that_were_asked_for(vlm):
    tokenizer = load_tokenizer(vlm)
    examples = subject.rows(vlm, 20, TINY.prompt, TINY.tokens)
    assert examples == subject.rows(vlm, 20, TINY.prompt, TINY.tokens)
    lengths = [len(render(e, tokenizer, 10**6, "drop").input_ids) for e in examples]
    assert max(lengths) <= TINY.tokens + 16
    assert min(lengths) >= 0.4 * TINY.tokens
    prompts = [len(prompt_ids(e.messages, tokenizer)) for e in examples]
    assert all(0.6 * TINY.prompt <= n <= TINY.prompt + 4 for n in prompts), prompts


@pytest.mark.parametrize("model", list(subject.LOADS))
@pytest.mark.parametrize("quick", [False, True])
def test_loads_are_stages_that_can_be_trained(model, quick):
    load = subject.load_of(model, quick)
    assert subject.sft_spec(load).batch_sequences == load.batch
    assert subject.rl_spec(load).think_budget == load.think
    assert load.sft_steps >= 2  # the first is not counted
    assert load.rl_steps >= 2
    assert (subject.sft_spec(load).lora is not None) == (model == "7b")


def test_the_large_loads_fit_by_the_plan():
    from xreasoner.plan.memory import Lengths, stage_peak

    for model, name in subject.IDS.items():
        load, sizes = subject.LOADS[model], sizes_of(config_of(name))
        sft = subject.sft_spec(load).model_copy(update={"bf16": True, "gradient_checkpointing": True})
        rl = subject.rl_spec(load).model_copy(update={"bf16": True, "gradient_checkpointing": True})
        assert stage_peak(sizes, sft, Lengths(load.prompt, load.tokens)).total < 0.92 * 80e9
        lengths = Lengths(load.prompt, load.prompt + load.think + load.answer)
        assert stage_peak(sizes, rl, lengths).total < 0.92 * 80e9


def test_without_a_gpu_nothing_is_sharded(tmp_path):
    [figure] = phases.fsdp(Bench("tiny", True, tmp_path))
    assert (figure.ours, figure.note) == (None, "skipped: accelerate applies FSDP2 on GPUs alone")


def fails(bench):
    raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")


@pytest.mark.slow
def test_a_phase_that_fails_is_told(tmp_path):
    figure = gpu.alone("sft", fails, Bench("tiny", True, tmp_path))
    assert figure == [Figure("sft", None, note="failed: CUDA out of memory.")]


def test_a_failed_phase_is_the_exit_code(monkeypatch, tmp_path, capsys):
    told = [Figure("sft", None, note="failed: CUDA out of memory.")]
    monkeypatch.setattr(gpu, "run", lambda *rest: told)
    assert gpu.main(["--json", str(tmp_path / "a.json")]) == 1
    told[:] = [replace(told[0], note="skipped: no GPU")]
    assert gpu.main([]) == 0


@pytest.mark.slow
def test_the_whole_of_it_on_a_cpu(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--json", str(tmp_path / "figures.json")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "figures.json").read_text())
    figures = {figure["name"]: figure for figure in document["figures"]}
    measured = [name for name, figure in figures.items() if figure["ours"] is not None]
    sft = [f"sft, {what}, beside {peer}" for peer in ("TRL on the VLM", "TRL on the tower") for what in TWO]
    assert measured == [
        *("matmul, float32", "copy", "build", "detach", "sft, tokens read", "sft, MFU", "sft, peak memory", *sft),
        *("grpo, a step", "grpo, sampled", "grpo, update", "grpo, update's MFU", "grpo, peak memory"),
        *("grpo, a step, beside TRL", "grpo, peak memory, beside TRL", "graft", "decode", "decode, peak memory"),
    ]
    assert figures[sft[0]]["ours"] == figures["sft, tokens read"]["ours"]
    assert all(figures[name]["peers"]["TRL on the VLM"] > 0 for name in sft[:2])
    assert figures["grpo, a step, beside TRL"]["peers"]["TRL"] > 0
    assert list(figures["decode"]["peers"]) == ["bandwidth", "generate"]
    assert all(figures[name]["note"].startswith("skipped") for name in ("decode, vLLM", "fsdp2"))
    assert figures["graft"]["agree"] is True
    assert all(figures[name]["ours"] > 0 for name in measured)
    assert 0 < figures["sft, MFU"]["ratio"] < 1.5
    assert 0 < figures["decode"]["ratio"] < 1.5
    assert figures["sft, peak memory"]["agree"] is None
    assert (document["model"], document["quick"]) == ("tiny", True)
