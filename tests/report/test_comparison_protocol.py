"""What is said of columns that were not measured alike, and of published numbers."""

from pathlib import Path

from comparison_folders import about_of, row, write_evaluation

from xreasoner.report.compared_tables import accuracies
from xreasoner.report.comparison import Comparison, compare
from xreasoner.report.protocol import benchmark_differences, same_way, settings_of, way


def two(tmp_path: Path, n: int = 4, about: dict | None = None, **settings) -> Comparison:
    rows = [row(f"q{i}", True) for i in range(4)]
    a = write_evaluation(tmp_path / "a", rows, "m/A", about=about)
    b = write_evaluation(tmp_path / "b", rows[:n], "m/B", about=about, **settings)
    return compare([a, b])


def test_nothing_is_said_of_columns_asked_alike(tmp_path: Path) -> None:
    assert two(tmp_path).own_differences() == []


def test_every_setting_that_differs_is_named(tmp_path: Path) -> None:
    means = {"max_pixels": 262144, "rollout": "vllm", "dtype": "bfloat16", "preset": "X", "something": "new"}
    c = two(tmp_path, think_budget=64, temperature=0.3, epochs=5, limit=10, split="dev", means=means)
    assert set(c.own_differences()) == {
        "Tokens to think: 4,096 (A); 64 (B).",
        "Temperature: 0 (A); 0.3 (B).",
        "Samples of a question: 1 (A); 5 (B).",
        "Limit of questions a cell: none (A); 10 (B).",
        "Split: test (A); dev (B).",
        "Largest picture in pixels: the model's own (A); 262,144 (B).",
        "Sampler: local (A); vllm (B).",
        "Dtype: not recorded (A); bfloat16 (B).",
        "Preset: none (A); X (B).",
        "Something: none (A); new (B).",
    }


def test_what_a_server_does_with_pictures_is_its_own(tmp_path: Path) -> None:
    said = two(tmp_path, means={"endpoint": "http://x/v1", "protocol": "plain chat", "model": "B"}).own_differences()
    assert said == [
        "Sampler: local (A); a server (B).",
        "Largest picture in pixels: the model's own (A); the server's own (B).",
        "Smallest picture in pixels: the model's own (A); the server's own (B).",
        "Server: none (A); http://x/v1 (B).",
        "Protocol of the server: none (A); plain chat (B).",
    ]


def test_other_questions_and_other_revisions_are_named(tmp_path: Path) -> None:
    assert two(tmp_path, n=3).own_differences() == ["Questions: tiny: 4 (A); 3 (B)."]
    rows = [row("q", True)]
    a = write_evaluation(tmp_path / "c", rows, "m/A", about={"tiny": about_of(1, revision="one")})
    b = write_evaluation(tmp_path / "d", rows, "m/B", about={"tiny": about_of(1, revision="")})
    assert compare([a, b]).own_differences() == ["Revision of the rows: tiny: one (A); not recorded (B)."]


def test_other_words_and_other_golds_are_named(tmp_path: Path) -> None:
    a = write_evaluation(tmp_path / "a", [row("q1", True), row("q2", True), row("q3", True)], "m/A")
    b = write_evaluation(
        tmp_path / "b", [row("q1", True, prompt="Otherwise?"), row("q2", True, gold="A"), row("q3", True)], "m/B"
    )
    assert compare([a, b]).own_differences() == [
        "B against A: questions put in other words: tiny 1 of 2.",
        "B against A: questions of one id with another gold or other options, which are in no difference: tiny 1.",
    ]


def test_a_reply_that_begins_with_think_is_a_setting(tmp_path: Path) -> None:
    a = write_evaluation(tmp_path / "a", [row("q", True)], "m/A")
    b = write_evaluation(tmp_path / "b", [row("q", True, prefix="<think>")], "m/B")
    assert compare([a, b]).own_differences() == ["The reply begins with: nothing given (A); <think> (B)."]


def test_a_long_list_of_benchmarks_is_cut() -> None:
    differing = {f"b{i}": {"A": "1", "B": "2"} for i in range(9)}
    assert benchmark_differences("Questions", differing) == [
        "Questions: b0, b1, b2, b3, b4, b5 and 3 more: 1 (A); 2 (B)."
    ]
    assert benchmark_differences("Questions", {"b": {"A": "1", "B": "1"}}) == []


def test_the_way_of_a_column_in_the_words_of_tables() -> None:
    assert way(settings_of({"epochs": 1, "temperature": 0.0}, {})) == "greedy"
    assert way(settings_of({"epochs": 1, "temperature": 0.3}, {})) == "avg@1"
    assert way(settings_of({"epochs": 5, "temperature": 0.3}, {})) == "avg@5"
    assert way(settings_of({}, {})) == "not recorded"
    assert same_way("Greedy (T=0)", "greedy")
    assert same_way("Avg@5", "avg@5")
    assert not same_way("avg@5", "greedy")
    assert not same_way("avg@1", "avg@10")


def published(how: str = "greedy", source: str = "A paper") -> dict:
    told = {"model": "Base", "percent": 84.9, "how": how, "source": source}
    return {"tiny": about_of(4, published=[told])}


def test_what_published_numbers_did_otherwise(tmp_path: Path) -> None:
    c = two(tmp_path, about=published(), epochs=5, temperature=0.3)
    said = c.published_differences()
    other = "1 of the 1 published numbers are of another way (marked †): 1 greedy."
    assert f"B: ours avg@5 at temperature 0.3; {other}" in said
    assert not any(sentence.startswith("A: ours") for sentence in said)
    assert not any("part of" in sentence for sentence in said)


def test_the_papers_budget_is_held_against_ours(tmp_path: Path) -> None:
    c = two(tmp_path, about=published(source="arXiv 2505.03981, figure 1"), think_budget=64)
    paper = "the paper (arXiv 2505.03981, section 3) gives 4,096."
    said = c.published_differences()
    assert f"B: 64 tokens to think before thoughts are closed by force; {paper}" in said
    assert not any(s.startswith("A: ") for s in said)


def test_a_part_of_a_benchmark_is_not_the_published_whole(tmp_path: Path) -> None:
    assert any("part of" in s for s in two(tmp_path / "1", about=published(), limit=4).published_differences())
    gone = {"tiny": {**published()["tiny"], "left_out": [{"id": "x", "reason": "has no gold."}]}}
    assert any("part of" in s for s in two(tmp_path / "2", about=gone).published_differences())


def test_a_benchmark_of_another_size_is_named(tmp_path: Path) -> None:
    about = {"tiny": {**published()["tiny"], "size": 1319}}
    sentence = "Ours did not ask the benchmark as it was published: tiny 3 or 4 of 1,319 questions."
    assert sentence in two(tmp_path / "1", n=3, about=about).published_differences()
    whole = {"tiny": {**published()["tiny"], "size": 4}}
    assert not any("as it was published" in s for s in two(tmp_path / "2", about=whole).published_differences())


def test_without_published_numbers_nothing_is_said_of_them(tmp_path: Path) -> None:
    assert two(tmp_path).published_differences() == []


def test_of_published_numbers_those_of_our_models_and_ways_stand_first(tmp_path: Path) -> None:
    rows = [
        {"model": "Other-7B", "percent": 1.0, "how": "greedy", "source": ""},
        {"model": "Base", "percent": 2.0, "how": "avg@5", "source": ""},
        {"model": "org/base-Instruct", "percent": 3.0, "how": "greedy", "source": "p. 1"},
        {"model": "Third", "percent": 4.0, "how": "pass@5", "source": ""},
    ]
    c = compare(
        [
            write_evaluation(
                tmp_path / name, [row("q1", True)], f"models/{name}", about={"tiny": about_of(1, published=rows)}
            )
            for name in ("Base", "RL")
        ]
    )
    [grid] = accuracies(c)
    entry = grid.lines[0].entries[-1]
    assert entry.lines == ("3.0 org/base-Instruct, greedy [1]",)
    assert entry.more == ("1.0 Other-7B, greedy", "2.0† Base, avg@5", "4.0† Third, pass@5")
