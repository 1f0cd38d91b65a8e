"""The command that compares, and its table in the terminal."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from comparison_folders import row, write_evaluation
from report_run_folder import write_run
from rich.console import Console

from xreasoner.errors import RunError
from xreasoner.report.comparison import compare
from xreasoner.report.terminal import print_comparison


def tiny(folder: Path, model: str, right: int, n: int = 40, **changes) -> Path:
    rows = [row(f"q{i:02d}", i < right) for i in range(n)]
    return write_evaluation(folder, rows, model, **changes)


def test_the_terminal_tells_differences_before_the_table(tmp_path: Path) -> None:
    c = compare([tiny(tmp_path / "a", "m/A", 10), tiny(tmp_path / "b", "m/B", 20, think_budget=64)])
    out = io.StringIO()
    print_comparison(c, Console(file=out, width=100))
    text = out.getvalue()
    assert text.index("Tokens to think: 4,096 (A); 64 (B).") < text.index("tiny")
    # 10 of 40 differ: 1.96 * sqrt(1/4 * 3/4 / 40) = 13.4 points to each side.
    assert "50.0 ± 7.9" in text
    assert "+25.0 [+11.6, +38.4]" in text


def test_eighty_columns_cut_no_name_and_hold_three_models(tmp_path: Path) -> None:
    name = "Mathematics in pictures of many kinds"
    names = [f"A-Reasoner-7B-Instruct-{i}" for i in range(3)]
    rows = [row(f"q{i}", i < 10, tags={"benchmark": name}) for i in range(40)]
    folders = [write_evaluation(tmp_path / m, rows[: 40 - j], f"m/{m}") for j, m in enumerate(names)]
    folders.append(write_evaluation(tmp_path / "none", rows, f"m/{names[0]}", image="none"))
    out = io.StringIO()
    print_comparison(compare(folders), Console(file=out, width=80))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for whole in (*names, name, "25.0 ± 6.8", " 0.0 [?]", "26.3 → 26.3", "No picture"):
        assert whole in text, whole
    assert text.count("[?] the interval is not known") == 1
    assert "interval not known]" not in text


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xreasoner.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_compares_evaluations_and_leaves_micro_runs_as_they_are(tmp_path: Path) -> None:
    a, micro = tiny(tmp_path / "a", "m/A", 10), write_run(tmp_path / "micro", n=2)
    done = command("report", str(a), str(micro))
    assert (done.returncode, "report-of-2-runs.html" in done.stdout) == (0, True), done.stderr
    assert "Comparison" in (a / "report-of-2-runs.html").read_text()
    (tmp_path / "ids.json").write_text('{"ids": {"tiny": ["q00"]}}')
    refused = command("report", str(micro), "--without", str(tmp_path / "ids.json"))
    assert (refused.returncode, "leave it out" in refused.stderr) == (2, True)
    assert "A, without" in _written(
        command("report", str(a), "--without", str(tmp_path / "ids.json")), a / "report.html"
    )


def _written(done: subprocess.CompletedProcess[str], path: Path) -> str:
    assert done.returncode == 0, done.stderr
    return path.read_text()


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither"):
        compare([tmp_path])
    with pytest.raises(RunError, match="missing does not exist: give a folder that `run` or `eval` wrote"):
        compare([tmp_path / "missing"])


def test_the_command_tells_a_missing_folder_from_another(tmp_path: Path) -> None:
    for folder, words in ((tmp_path / "missing", "does not exist"), (tmp_path, "is neither a run folder")):
        refused = command("report", str(folder))
        assert refused.returncode == 2
        assert words in refused.stderr
        assert "`run` or `eval`" in refused.stderr


def test_the_comparison_loads_neither_torch_nor_inspect() -> None:
    code = (
        "import sys, xreasoner.report.compared_page\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'inspect_ai', 'transformers', 'math_verify')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
