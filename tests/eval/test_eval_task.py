import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from xreasoner.config import ControlsSpec, EvalSpec
from xreasoner.errors import DataError, RecipeError
from xreasoner.eval import benchmarks, task
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.task import evaluate, request_seed
from xreasoner.rollout.scripted import ScriptedSampler
from xreasoner.types import Completion, Example, Image, Message
from xreasoner.verify.verifiers import VERIFIERS, Verifier

SPEC = EvalSpec(suite="made", think_budget=4, answer_budget=4)


def made(n):
    """A suite of n text problems: "q<i>", whose answer is the last digit of i."""

    def load(split, images, limit):
        tags = {"domain": "math", "modality": "text", "steps": "3"}
        return [
            Example(f"e{i}", (Message("user", f"q{i}"),), str(i % 10), "exact", tags={**tags, "cluster": f"c{i}"})
            for i in range(n)
        ]

    return Benchmark("made", load, "", "")


@pytest.fixture
def suite(monkeypatch):
    def use(benchmark):
        monkeypatch.setitem(benchmarks.BENCHMARKS, "made", benchmark)
        monkeypatch.setitem(benchmarks.SUITES, "made", ("made",))

    return use


def run(sampler, out_dir, **changes):
    settings = {"checkpoint": "rl", "suite": "made", "spec": SPEC, "seed": 100, "images": out_dir / "images"}
    return evaluate(sampler, **{**settings, "weights": "w", "out_dir": out_dir, **changes})


def rows_of(out_dir):
    return [json.loads(line) for line in (out_dir / "samples.jsonl").read_text().splitlines()]


class Seeded:
    """Answers that depend on the prompt's seed alone; remembers what it was asked."""

    def __init__(self, before_batch=lambda batches: None):
        self.batches, self.prompts = [], []
        self._before_batch = before_batch

    def generate(self, prompts, params, n=1):
        self._before_batch(self.batches)
        self.batches.append(len(prompts))
        self.prompts += prompts
        texts = [f"<answer>{random.Random(p.seed + params.seed).randrange(10)}</answer>" for p in prompts]
        return [[Completion((1, 2), (True, False), None, text, "none", "eos")] for text in texts]


def test_mean_batch_is_large(suite, tmp_path):
    suite(made(1000))
    sampler, events = Seeded(), []
    cells = run(sampler, tmp_path, progress=events.append)
    assert sum(sampler.batches) == 1000
    assert 1000 / len(sampler.batches) >= 64
    assert events[-1] == {"checkpoint": "rl", "control": "real", "done": 1000, "total": 1000}
    [cell] = cells
    assert cell["n"] == 1000
    assert cell["mean_tokens"] == 1
    assert json.loads((tmp_path / "cells.json").read_text()) == cells
    log = next((tmp_path / "inspect").glob("*.eval"))
    assert log.stat().st_size < 1000 * 4000

    # The same call again reads what is there: nothing is asked, the files are the same.
    lines = (tmp_path / "samples.jsonl").read_bytes()
    (tmp_path / "samples.jsonl").unlink()
    idle = Seeded()
    assert run(idle, tmp_path) == cells
    assert idle.batches == []
    assert (tmp_path / "samples.jsonl").read_bytes() == lines


def test_seeds_come_from_id_and_epoch_alone(suite, tmp_path):
    suite(made(5))
    spec = SPEC.model_copy(update={"epochs": 3})
    sampler = Seeded()
    [cell] = run(sampler, tmp_path / "a", spec=spec)
    assert cell["n"] == 5
    rows = rows_of(tmp_path / "a")
    assert len({p.seed for p in sampler.prompts}) == 15
    assert {p.seed for p in sampler.prompts} == {request_seed(r["id"], r["epoch"]) for r in rows}
    assert [(r["id"], r["epoch"]) for r in rows][:4] == [("e0", 1), ("e0", 2), ("e0", 3), ("e1", 1)]
    suite(made(2))  # other company, the same completions
    run(Seeded(), tmp_path / "b", spec=spec)
    assert rows_of(tmp_path / "b") == rows[:6]
    run(Seeded(), tmp_path / "c", spec=spec, seed=101)
    assert rows_of(tmp_path / "c") != rows[:6]


def test_exits_stops_and_outcomes_are_counted(suite, tmp_path):
    suite(made(4))
    script = {
        "q0": "a </think> <answer>0</answer>",
        "q1": "a a a a <answer>7</answer>",  # forced
        "q2": "a </think> b b b b b b",  # cut, no answer
        "q3": "a </think> <answer>3</answer>",
    }
    [cell] = run(ScriptedSampler(script), tmp_path, checkpoint="base-think", think=True)
    assert (cell["checkpoint"], cell["n"], cell["accuracy"]) == ("base-think", 4, 0.5)
    assert (cell["forced_rate"], cell["capped_rate"], cell["no_answer_rate"]) == (0.25, 0.25, 0.25)
    wrong = next(r for r in rows_of(tmp_path) if r["id"] == "e1")
    assert (wrong["outcome"], wrong["extracted"], wrong["gold"], wrong["exit"]) == ("wrong", "7", "1", "forced")


def test_other_weights_are_asked_anew(suite, tmp_path):
    suite(made(3))
    first, second, again = Seeded(), Seeded(), Seeded()
    run(first, tmp_path, weights="one")
    run(second, tmp_path, weights="two")
    run(again, tmp_path, weights="two")
    assert [sum(s.batches) for s in (first, second, again)] == [3, 3, 0]


def test_other_means_are_asked_anew(suite, tmp_path):
    suite(made(3))
    local, vllm, again = Seeded(), Seeded(), Seeded()
    for sampler, rollout in ((local, "local"), (vllm, "vllm"), (again, "local")):
        run(sampler, tmp_path, means={"rollout": rollout, "dtype": "bfloat16"})
    assert [sum(s.batches) for s in (local, vllm, again)] == [3, 3, 0]


def test_a_thinking_checkpoint_starts_with_the_tag(suite, tmp_path):
    suite(made(1))
    thinking, plain = Seeded(), Seeded()
    run(thinking, tmp_path / "a", checkpoint="base-think", think=True)
    run(plain, tmp_path / "b", checkpoint="base")
    assert [p.prefix for p in thinking.prompts + plain.prompts] == ["<think>", ""]


HOSTILE = [
    "<script>alert(1)</script>",
    "\x00\x01\x1b[31m\r\n\u2028\u202e",
    "x" * 100_000,
    "a\ud800b",
    "",
    "<answer>" * 1000,
    '{"id": "e0"}\n{"id": "e1"}',
    "[image]\U0001f600",
]


def test_hostile_completions_pass_through(suite, tmp_path):
    suite(made(len(HOSTILE)))

    class Hostile:
        def generate(self, prompts, params, n=1):
            texts = [HOSTILE[int(str(p.messages[0].content)[1:])] for p in prompts]
            return [[Completion((), (), None, text, "none", "cap")] for text in texts]

    [cell] = run(Hostile(), tmp_path)
    assert cell["no_answer_rate"] >= 6 / 8
    completions = {r["id"]: r["completion"] for r in rows_of(tmp_path)}
    expected = [text.replace("\ud800", "\\ud800") for text in HOSTILE]
    assert [completions[f"e{i}"] for i in range(len(HOSTILE))] == expected
    run(Hostile(), tmp_path)  # and out of the log again
    assert {r["id"]: r["completion"] for r in rows_of(tmp_path)} == completions


def test_a_broken_verifier_is_a_verdict(suite, tmp_path, monkeypatch):
    calls = []

    def judge(answer, gold, options):
        calls.append(answer)
        assert len(calls) == 1, "broken"  # it has judged the gold, and nothing after that
        return True, "same"

    def load(split, images, limit):
        return [Example("e0", (Message("user", "q"),), "7", "fragile", tags={"domain": "math"})]

    monkeypatch.setitem(VERIFIERS, "fragile", Verifier(judge))

    suite(Benchmark("made", load, "", ""))
    [cell] = run(ScriptedSampler(lambda prompt: "</think> <answer>3</answer>"), tmp_path)
    assert (cell["verifier_error_rate"], cell["accuracy"], cell["stderr"]) == (1.0, 0.0, None)


def test_a_gold_that_fails_its_verifier_stops_the_evaluation(suite, tmp_path):
    suite(Benchmark("made", lambda *_: [Example("e0", (Message("user", "q"),), "no number", "number")], "", ""))
    with pytest.raises(DataError, match="gold 'no number' of e0 fails its own verifier `number`"):
        run(Seeded(), tmp_path)


def test_a_broken_sampler_stops_the_run_and_the_next_call_goes_on(suite, tmp_path):
    suite(made(300))

    def break_down(batches):
        if batches:
            raise MemoryError("no memory left")

    with pytest.raises(MemoryError, match="no memory left"):
        run(Seeded(break_down), tmp_path)
    assert not (tmp_path / "cells.json").exists()
    rest = Seeded()
    run(rest, tmp_path)
    assert sum(rest.batches) < 300
    assert len(rows_of(tmp_path)) == 300


def test_controls_reach_the_sampler(suite, tmp_path):
    import PIL.Image

    def load(split, images, limit):
        images.mkdir(exist_ok=True)
        examples = made(2).load(split, images, limit)
        for i in range(6):
            PIL.Image.new("RGB", (28, 28), (i, 0, 0)).save(images / f"{i}.png")
            message = Message("user", (Image(str(images / f"{i}.png")), f"ask {i}"))
            tags = {"domain": "clinic", "modality": "image", "steps": "3", "cluster": str(i)}
            examples.append(Example(f"p{i}", (message,), "1", "exact", tags=tags))
        return examples

    suite(Benchmark("made", load, "", ""))
    spec = SPEC.model_copy(update={"controls": ControlsSpec(checkpoints=("rl",), images=("shuffled",), limit=4)})
    images = tmp_path / "images"
    sampler = Seeded()
    [cell] = run(sampler, tmp_path / "shuffled", spec=spec, control="shuffled", images=images)
    assert (cell["domain"], cell["modality"], cell["control"], cell["n"]) == ("clinic", "image", "shuffled", 4)
    for prompt in sampler.prompts:
        image, question = prompt.messages[0].content
        assert Path(image.path).stem != question.removeprefix("ask ")
    rows = rows_of(tmp_path / "shuffled")
    assert all((tmp_path / "shuffled" / row["image"]).resolve().parent == images.resolve() for row in rows)
    suite(made(2))
    with pytest.raises(RecipeError, match="no pictures"):
        run(Seeded(), tmp_path, control="none")


@pytest.mark.parametrize("damage", ["cut", "torn"])
def test_a_damaged_log_is_left_aside_and_its_samples_are_asked_again(suite, tmp_path, damage, caplog):
    suite(made(40))
    cells = run(Seeded(), tmp_path)
    before = rows_of(tmp_path)
    [log] = (tmp_path / "inspect").glob("*.eval")
    whole = log.read_bytes()
    middle = len(whole) // 3
    log.write_bytes(whole[: len(whole) // 2] if damage == "cut" else whole[:middle] + bytes(64) + whole[middle + 64 :])
    again = Seeded()
    assert run(again, tmp_path) == cells
    assert sum(again.batches) == 40
    assert rows_of(tmp_path) == before
    assert "is damaged and is left aside" in caplog.text
    idle = Seeded()
    assert run(idle, tmp_path) == cells
    assert idle.batches == []


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_eval_task import Seeded, made, run
from xreasoner.eval import benchmarks, task
benchmarks.BENCHMARKS["made"], benchmarks.SUITES["made"] = made(1500), ("made",)
def die(batches):
    if len(batches) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
run(Seeded(die), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_resume_after_kill(suite, tmp_path):
    here = str(Path(__file__).parent)
    killed = subprocess.run([sys.executable, "-c", KILLED, here, str(tmp_path / "a")], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "a" / "samples.jsonl").exists()
    suite(made(1500))
    rest = Seeded()
    cells = run(rest, tmp_path / "a")
    assert 0 < sum(rest.batches) < 1500
    assert run(Seeded(), tmp_path / "b") == cells
    assert (tmp_path / "a" / "samples.jsonl").read_bytes() == (tmp_path / "b" / "samples.jsonl").read_bytes()


def pictured(n):
    """Questions with a picture each, which lie in the folder of pictures."""

    def load(split, images, limit):
        tags = {"domain": "math", "modality": "image"}
        return [
            Example(f"e{i}", (Message("user", (Image(str(images / f"{i}.png")), f"q{i}")),), "1", "exact", tags=tags)
            for i in range(n)
        ]

    return Benchmark("made", load, "", "")


def test_a_folder_that_was_moved_asks_nothing_anew(suite, tmp_path):
    suite(pictured(8))
    run(Seeded(), tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    sampler = Seeded()
    run(sampler, tmp_path / "there")
    assert sampler.batches == []
    assert rows_of(tmp_path / "there")[0]["image"] == "images/0.png"


def test_a_broken_evaluation_leaves_no_results_of_another(suite, tmp_path):
    suite(made(20))
    run(Seeded(), tmp_path)
    suite(made(30))

    def fails(batches):
        raise MemoryError("no memory left")

    with pytest.raises(MemoryError):
        run(Seeded(fails), tmp_path)
    assert not (tmp_path / "samples.jsonl").exists()
    assert not (tmp_path / "cells.json").exists()


def test_the_log_is_written_every_few_samples(suite, tmp_path, monkeypatch):
    """A kill loses what was not written yet: Inspect by itself would write every twentieth of all samples."""
    told = []
    monkeypatch.setattr(task, "_run", lambda *args: told.append(args[-1]) or real(*args))
    kept = []
    evaluate_once = task.inspect_ai.eval
    monkeypatch.setattr(task.inspect_ai, "eval", lambda *a, **k: kept.append(k["log_buffer"]) or evaluate_once(*a, **k))
    suite(made(40))
    run(Seeded(), tmp_path)
    assert (told, kept) == ([40], [32])


real = task._run
