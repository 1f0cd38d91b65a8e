import json
from collections import Counter

import pytest

from xreasoner.data.sources import open_local
from xreasoner.errors import DataError, RecipeError
from xreasoner.eval import benchmarks, questions
from xreasoner.eval.benchmark import Benchmark, first_of_each
from xreasoner.eval.benchmarks import BENCHMARKS, SUITES, at_hand, suite_benchmarks, suite_limit, suite_names
from xreasoner.eval.questions import DATA_VARIABLE
from xreasoner.types import Example, Image, Message

PARTS = [b for b in BENCHMARKS.values() if b.part_of]


def made(split, images, limit=None):
    """Two domains, steps 2 to 4 (few of 4), as text and as pictures."""
    examples = []
    for domain in ("math", "clinic"):
        for steps, n in ((2, 6), (3, 6), (4, 2)):
            for i in range(n):
                name, tags = f"{domain}-{steps}-{i}", {"domain": domain, "steps": str(steps)}
                text, picture = (Message("user", "?"),), (Message("user", (Image("p.png"), "?")),)
                examples.append(Example(f"{name}-t", text, "1", "exact", tags={**tags, "modality": "text"}))
                examples.append(Example(f"{name}-i", picture, "1", "exact", tags={**tags, "modality": "image"}))
    return examples


def test_limit_is_per_cell_and_takes_the_first(tmp_path):
    bench = Benchmark("made", made, "", "")
    chosen = bench.examples("test", tmp_path, limit=3).examples
    sizes = Counter((e.tags["domain"], e.tags["modality"], e.tags["steps"]) for e in chosen)
    assert set(sizes.values()) == {3, 2}
    assert len(sizes) == 12
    assert [e.id for e in chosen if e.id.startswith("math-3") and e.images] == [f"math-3-{i}-i" for i in range(3)]
    assert bench.examples("test", tmp_path).examples == made("test", tmp_path)


def test_control_examples_share_the_limit_among_the_steps_of_a_domain(tmp_path):
    bench = Benchmark("made", made, "", "", control_steps=("3", "4"))
    chosen = bench.control_examples("test", tmp_path, limit=7).examples
    assert all(e.images for e in chosen)
    sizes = Counter((e.tags["domain"], e.tags["steps"]) for e in chosen)
    assert sizes == {("math", "3"): 5, ("math", "4"): 2, ("clinic", "3"): 5, ("clinic", "4"): 2}
    even = Counter(e.tags["steps"] for e in bench.control_examples("test", tmp_path, limit=4).examples)
    assert even == {"3": 4, "4": 4}


def test_first_of_each_keeps_order():
    examples = made("test", None)
    assert first_of_each(examples, None, ("domain",)) == examples
    assert [e.id for e in first_of_each(examples, 1, ("domain",))] == ["math-2-0-t", "clinic-2-0-t"]


def test_unknown_suite_names_the_known():
    with pytest.raises(RecipeError, match="Suites are medical, micro"):
        suite_benchmarks("mikro")
    assert all(name in BENCHMARKS for suite in SUITES.values() for name in suite)
    assert all(BENCHMARKS[b.part_of].questions.to_example is b.questions.to_example for b in PARTS)


def test_the_papers_suite_is_its_table_of_sizes():
    assert len(SUITES["paper"]) == 15  # of which two are MedQA
    asked = [benchmark.name for benchmark in suite_benchmarks("paper")]
    assert len(asked) == 12  # three are parts of others, and asked with them
    assert "mmmu-health" not in asked
    assert [benchmark.name for benchmark in suite_benchmarks("mmmu-health")] == ["mmmu-health"]


def test_a_list_of_benchmarks_is_a_suite():
    assert suite_names("mmmu, gsm8k,mmmu") == ("mmmu", "gsm8k")
    assert suite_limit("quick") == 100
    assert suite_limit("gsm8k") is None
    with pytest.raises(RecipeError, match="no suite or benchmark `mikro`"):
        suite_names("gsm8k,mikro")


def test_one_that_everybody_has_to_bring_may_be_missing_among_others(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    found, missing = at_hand("gsm8k,nejm", "test")
    assert [b.name for b in found] == ["gsm8k"]  # from the Hub, since there is no folder of it
    assert list(missing) == ["nejm"]
    assert "nejm/test.jsonl is not there" in missing["nejm"]
    with pytest.raises(DataError, match=r"nejm/test\.jsonl is not there"):
        at_hand("nejm", "test")
    with pytest.raises(DataError, match=r"nejm/test\.jsonl is not there"):
        at_hand("nejm,omnimedvqa", "test")
    (tmp_path / "gsm8k").mkdir()
    with pytest.raises(DataError, match=r"gsm8k/test\.jsonl is not there.*or remove .*gsm8k to take the Hub"):
        at_hand("gsm8k,nejm", "test")


def test_micro_has_the_sizes_of_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks, "_MICRO_PER_STEPS", {1: 2, 2: 2, 3: 3, 4: 3})
    examples = BENCHMARKS["micro"].examples("dev", tmp_path).examples
    sizes = Counter((e.tags["domain"], e.tags["modality"], e.tags["steps"]) for e in examples)
    assert len(sizes) == 24
    assert sizes["clinic", "image", "3"] == sizes["clinic", "chart", "3"] == 3
    assert sizes["math", "text", "1"] == 2
    control = BENCHMARKS["micro"].control_examples("dev", tmp_path, 4).examples
    assert Counter((e.tags["domain"], e.tags["modality"], e.tags["steps"]) for e in control) == {
        (d, m, steps): 2 for d in ("math", "clinic") for m in ("image", "chart") for steps in ("3", "4")
    }


def test_a_benchmark_says_what_file_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError) as caught:
        BENCHMARKS["gsm8k"].check("dev")
    message = str(caught.value)
    assert "$XREASONER_DATA/gsm8k/dev.jsonl is not there" in message
    assert f"({tmp_path}/gsm8k/dev.jsonl)" in message
    assert "fetch it from https://github.com/openai/grade-school-math" in message
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "dev.jsonl").write_text("")
    BENCHMARKS["gsm8k"].check("dev")
    BENCHMARKS["micro"].check("test")


def test_gsm8k_examples(tmp_path, monkeypatch):
    (tmp_path / "gsm8k").mkdir()
    row = {"question": "Two and two?", "answer": "It is <<2+2=4>>4.\n#### 1,004"}
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (example,) = BENCHMARKS["gsm8k"].examples("test", tmp_path).examples
    assert (example.id, example.gold, example.verifier, example.tags["steps"]) == ("gsm8k-1", "1004", "number", "1")
    assert str(example.messages[0].content).endswith("Here is the question: Two and two?")


def test_math500_examples_and_their_bare_questions(tmp_path, monkeypatch):
    (tmp_path / "math500").mkdir()
    row = {
        "problem": "What is $1+1$?",
        "solution": r"It is $\boxed{2}$.",
        "answer": "2",
        "subject": "Algebra",
        "level": 1,
    }
    (tmp_path / "math500" / "test.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (example,) = BENCHMARKS["math500"].examples("test", tmp_path).examples
    assert (example.gold, example.verifier, example.tags["subject"]) == ("2", "math", "Algebra")
    assert BENCHMARKS["math500"].questions.texts() == ["What is $1+1$?"]


def test_without_a_folder_of_ones_own_the_hub_is_asked_for_the_test_split(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(questions, "open_hub", lambda hub, aside: asked.append(hub) or open_local(rows, aside))
    monkeypatch.setattr(questions, "revision_of", lambda hub: "c0ffee")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "2 + 2?", "answer": "#### 4"}) + "\n")
    with pytest.raises(DataError, match=r"Not one row of the benchmark gsm8k .*is no solution with ####"):
        BENCHMARKS["gsm8k"].examples("test", tmp_path)
    rows.write_text(json.dumps({"question": "2 + 2?", "answer": "Two and two. #### 4"}) + "\n")
    assert [e.gold for e in BENCHMARKS["gsm8k"].examples("test", tmp_path).examples] == ["4"]
    assert [(hub.repo, hub.split) for hub in asked] == [("openai/gsm8k", "test")] * 2
    with pytest.raises(DataError, match=r"gsm8k/dev\.jsonl is not there"):
        BENCHMARKS["gsm8k"].check("dev")
