"""Rows, golds, lengths, verifiers and benchmarks: what is wrong is found for every stage, not for the first one."""

import gzip
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xreasoner.check import judging, rows, sample
from xreasoner.check.judging import wrong_answer
from xreasoner.config import DataSpec
from xreasoner.errors import DataError
from xreasoner.types import Example
from xreasoner.verify.verifiers import VERIFIERS, verify

RESPONSE = "<think> g= 5 : 5 </think> <answer> 5 </answer>"


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(n, **more):
    return {"prompt": f"g= {n} \n ask g", "gold": str(n), "verifier": "exact", "response": RESPONSE, **more}


def own(path, stage="sft"):
    return f"{stage}.data={{name: jsonl, path: {path}, tolerate: [wrong response, duplicate]}}"


def test_drawn_rows(found):
    told = found("rows", "lengths")
    assert [state for _, state, _ in told] == ["ok"] * 6
    assert told[0][2] == "`sft`: micro-math, 40 drawn "
    assert "of 40 rows, " in told[3][2]
    assert " fit into 1,024 positions" in told[4][2]


def test_own_rows_are_audited_as_a_run_does(found, tmp_path):
    path = write(tmp_path / "mine.jsonl", row(1), row(2), row(3), row(3, prompt="Add the numbers in the figure below"))
    told = found("rows", own(path))
    assert told[0] == ("rows", "ok", f"`sft`: jsonl, all 4 rows of {path}: 75% kept (figure: 1) ")


def test_a_wrong_row_of_a_sample_is_named_in_the_file_it_is_from(found, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "_WHOLE_BYTES", 0)
    path = write(tmp_path / "mine.jsonl", row(1), {"promt": "?"})
    assert f"Line 2 of {path} " in found("rows", own(path))[0][2]


def test_a_gold_that_fails_is_a_failure_in_ones_own_rows(found, tmp_path):
    path = write(tmp_path / "mine.jsonl", *map(row, range(30)), row(1, gold="many", verifier="number"))
    told = found("rows", own(path))
    assert [state for _, state, _ in told] == ["ok", "failed", "ok", "ok"]
    assert "1 of 31 golds fail their own verifier" in told[1][2]


def test_a_gold_that_fails_among_many_of_a_dataset_is_a_warning(found, tmp_path):
    good = [{"question": f"What is {n} + 1?", "answer": f"Add. #### {n + 1}"} for n in range(20)]
    path = write(tmp_path / "train.jsonl", *good, {"question": "How many?", "answer": "x #### many"})
    told = found("rows", f"rl.data={{name: gsm8k, path: {path}}}")
    assert [state for _, state, _ in told] == ["ok", "ok", "warning", "ok"]
    path = write(tmp_path / "worse.jsonl", *good[:2], {"question": "How many?", "answer": "x #### many"})
    told = found("rows", f"rl.data={{name: gsm8k, path: {path}}}")
    assert [state for _, state, _ in told] == ["ok", "ok", "failed", "ok"]


def test_all_that_fails_is_told(found, tmp_path):
    path = write(tmp_path / "mine.jsonl", row(1), {"promt": "?"})
    told = found(
        "rows",
        own(path),
        "rl.data={name: gsm8k, path: /nowhere.jsonl, decontaminate: [micro]}",
        "sft-direct.data={name: micro-mathe, rows: 3}",
    )
    assert [state for _, state, _ in told] == ["failed"] * 4
    says = [
        f"Line 2 of {path} ",
        "/nowhere.jsonl, which does not exist",
        "cannot be held against `micro`",
        "did you mean",
    ]
    assert all(part in text for part, (_, _, text) in zip(says, told, strict=True)), told


def test_a_library_that_breaks_off_is_told_of_the_stage(found, tmp_path, monkeypatch):
    def breaks(*rest, **more):
        raise MemoryError("no\nmore")

    monkeypatch.setattr(rows, "prepare", breaks)
    told = found("rows", own(write(tmp_path / "mine.jsonl", row(1))))
    assert [state for _, state, _ in told] == ["failed", "ok", "ok"]
    assert told[0][2] == "`sft`: reading the rows broke off: MemoryError: no "


def test_a_hub_that_does_not_answer_is_one_sentence(found, monkeypatch):
    def unreachable(hub):
        raise ConnectionError("no route to host")
        yield

    monkeypatch.setattr(sample, "_streamed", unreachable)
    told = found("rows", "sft.data={name: gsm8k}")
    assert [state for _, state, _ in told] == ["failed", "ok", "ok"]
    assert "openai/gsm8k could not be fetched from the Hugging Face Hub (ConnectionError)" in told[0][2]


def test_rows_of_the_hub_are_streamed(found, monkeypatch):
    drawn = ({"question": f"What is {n} + 1?", "answer": f"Add. #### {n + 1}"} for n in range(10**9))
    monkeypatch.setattr(sample, "_streamed", lambda hub: drawn)
    told = found("rows", "sft.data={name: gsm8k, decontaminate: [gsm8k]}")
    assert told[0][1:] == ("ok", "`sft`: gsm8k, the first 1,000 rows of openai/gsm8k: 100% kept ")


def test_traces_are_not_there_yet(found):
    stages = (
        "stages=[{distill: {teacher: base, data: {name: micro-math, rows: 4}, samples_per_question: 1, think_budget: 9,"
        " answer_budget: 2}}, {sft: {data: traces, epochs: 1, batch_sequences: 2, micro_batch_sequences: 2,"
        " learning_rate: 1.0, schedule: cosine, max_tokens: 9, overlong: cut, save_every_steps: 1}}]"
    )
    told = found("rows", "lengths", stages, "final=sft", "eval.checkpoints=[base]", "eval.controls=null")
    assert told[1] == ("rows", "ok", "`sft`: made by the stage `traces` ")
    assert [state for _, state, _ in told] == ["ok"] * 3


@pytest.mark.parametrize("kind", [".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet"])
def test_a_sample_is_the_first_rows_in_the_file_s_own_form(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "_WHOLE_BYTES", 0)
    rows = [{"question": f"What is {n}?", "answer": f"It is. #### {n}"} for n in range(1003)]
    path = tmp_path / f"train{kind}"
    if kind == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows) if ".json" in kind and "jsonl" not in kind else "\n".join(map(json.dumps, rows)) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
    spec = DataSpec(name="gsm8k", path=str(path))
    (tmp_path / "aside").mkdir()
    taken = sample.sample(spec, tmp_path / "aside")
    assert (taken.part, taken.source, taken.path.name) == ("the first 1,000", str(path), path.name)
    from xreasoner.data.prepare import prepare

    audit = prepare(spec.model_copy(update={"path": str(taken.path)}), None, purpose="audit")
    assert (audit.rows, audit.kept) == (1000, 1000)


def test_what_is_not_longer_than_a_sample_is_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "_WHOLE_BYTES", 0)
    path = write(tmp_path / "in" / "a.jsonl", *[{"question": "1?", "answer": "#### 1"}] * 1000)
    (tmp_path / "aside").mkdir()
    assert sample.sample(DataSpec(name="gsm8k", path=str(path)), tmp_path / "aside").part == "all"
    shutil.copy(path, path.with_name("b.jsonl"))
    assert sample.sample(DataSpec(name="gsm8k", path=str(path.parent)), tmp_path / "aside").part == "the first file's"


@pytest.mark.parametrize(("name", "bytes_"), [("a.parquet", b"PAR1 no more"), ("a.json", b"[1, 2")])
def test_a_damaged_file(name, bytes_, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "_WHOLE_BYTES", 0)
    (tmp_path / name).write_bytes(bytes_)
    (tmp_path / "aside").mkdir()
    with pytest.raises(DataError, match="fetch it again"):
        sample.sample(DataSpec(name="gsm8k", path=str(tmp_path / name)), tmp_path / "aside")


@pytest.mark.parametrize(
    ("override", "state", "says"),
    [
        ("sft.max_tokens=4000", "failed", "max_tokens is 4,000, the model has 1,024 positions"),
        ("sft.max_tokens=5", "failed", "100% dropped"),
        ("sft.max_tokens=50", "warning", "cut at 50 tokens"),
        ("rl.think_budget=1020", "failed", "budgets of 1,026, in 1,024 positions"),
    ],
)
def test_what_does_not_fit(override, state, says, found):
    assert any(s == state and says in text for _, s, text in found("lengths", override)), found("lengths", override)


def test_a_length_that_cannot_be_is_told_once(found):
    told = [text for _, _, text in found("lengths", "sft.max_tokens=100000") if text.startswith("`sft`")]
    assert told == ["`sft`: max_tokens is 100,000, the model has 1,024 positions lower `max_tokens`"]


def test_verifiers_accept_golds_and_refuse_planted_answers(found):
    told = found("verifier")
    assert [state for _, state, _ in told] == ["ok", "ok"]
    assert told[0][2] == "`exact` accepts 80 of 80 golds and none of as many wrong answers "
    assert "ended where it gives no reply in time" in told[1][2]


def test_a_verifier_that_takes_everything(found, monkeypatch):
    monkeypatch.setitem(VERIFIERS, "exact", type(VERIFIERS["exact"])(lambda answer, gold, options: (True, "always")))
    told = found("verifier")
    assert told[0][1] == "failed"
    assert told[0][2].startswith("`exact` takes '<answer>not ")


def test_verifier_processes_that_do_not_work(monkeypatch):
    monkeypatch.setattr(judging, "run_jobs", lambda *rest: [(False, "the worker crashed")])
    [finding] = judging._pool()
    assert (finding.state, "the worker crashed" in finding.what) == ("failed", True)
    monkeypatch.setattr(judging, "run_jobs", lambda *rest: [(True, [True, "same"])])  # 60 s of sleep in no time
    assert next(judging._pool()).state == "failed"


@pytest.mark.parametrize(
    ("verifier", "gold", "options"),
    [
        ("exact", "5", ()),
        ("number", "5", ()),
        ("number-2dp", "-918.27", ()),
        ("math", r"\frac{1}{2}", ()),
        ("choice", "A", ("yes", "no")),
        ("choice", "B", ("yes", "no", "perhaps")),
        ("choice", "yes", ("yes", "no")),
        ("choice", "A", ()),
    ],
)
def test_planted_answers_are_wrong(verifier, gold, options):
    example = Example("one", (), gold, verifier, options)
    assert verify(example, f"<answer>{gold}</answer>").outcome == "correct"
    assert verify(example, f"<answer>{wrong_answer(example)}</answer>").outcome == "wrong"


def test_the_benchmarks_of_the_suite(found):
    [(_, state, text)] = found("evaluation")
    assert (state, text) == (
        "ok",
        "`micro`: 48 problems drawn, 32 with a picture; golds pass, prompts of up to 44 tokens ",
    )


def test_benchmarks_that_cannot_be_measured(found, tmp_path, monkeypatch):
    assert found("evaluation", "eval.suite=mirco")[0][1:] == (
        "failed",
        "There is no suite or benchmark `mirco`: did you mean micro? Suites are medical, micro, micro-med, multimodal, "
        "paper, quick, text; docs/benchmarks.md lists the benchmarks. ",
    )
    monkeypatch.setenv("XREASONER_DATA", str(tmp_path))
    (tmp_path / "gsm8k").mkdir()
    [(_, state, text)] = found("evaluation", "eval.suite=gsm8k", "eval.controls=null")
    assert (state, "gsm8k/test.jsonl is not there" in text) == ("failed", True)
    bad, good = ({"question": "How many?", "answer": f"x #### {gold}"} for gold in ("many", "4"))
    write(tmp_path / "gsm8k" / "test.jsonl", bad)
    [(_, state, text)] = found("evaluation", "eval.suite=gsm8k", "eval.controls=null")
    assert (state, "has the gold 'many', which fails its own verifier `number`" in text) == ("failed", True)
    write(tmp_path / "gsm8k" / "test.jsonl", bad, good)
    [(_, state, text), (_, sound, told)] = found("evaluation", "eval.suite=gsm8k", "eval.controls=null")
    assert (state, "1 problems, and 1 rows that cannot be asked (gsm8k-1 has the gold" in text) == ("warning", True)
    assert (sound, "`gsm8k`: 1 problems; golds pass" in told) == ("ok", True)
    [(_, state, text)] = found("evaluation", "eval.think_budget=1000")
    assert (state, "budgets of 1,006 in 1,024 positions" in text) == ("failed", True)
