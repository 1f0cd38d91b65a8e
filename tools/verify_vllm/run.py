"""Runs the checks, each in a process of its own, and prints one table: `python tools/verify_vllm/run.py [CHECK ...]`,
with the Python of the environment that build.py makes. Exits with 1 where any check fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
MARK = "verify-vllm:"  # begins a row of the table; the checks print it
CHECKS = ("tower", "pictures", "training", "run", "served")
# An engine on one CPU, offline and untold of: 1 GB for keys and values, no compilation, the engine in the process.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "TORCHDYNAMO_DISABLE": "1",
}
LIMIT_SECONDS = 1800


def check(name: str, folder: Path) -> list[dict[str, Any]]:
    """The rows of one check, and one more where it breaks; what else it prints goes to a log."""
    folder.mkdir()
    log = folder.with_suffix(".log")
    command = [sys.executable, HERE / f"check_{name}.py", folder]
    settings = SETTINGS | ({"VLLM_ENABLE_V1_MULTIPROCESSING": "1"} if name == "served" else {})  # a server has two
    with log.open("wb") as out:
        code = _run(command, os.environ | settings, out)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [json.loads(line.split(MARK, 1)[1]) for line in lines if MARK in line]
    if code != 0 or not rows:
        rows.append({"check": name, "figure": "it breaks", "value": f"exit code {code}", "wanted": "0", "ok": False})
        print("\n".join(lines[-25:]), file=sys.stderr)
    return rows


def _run(command: list[Any], settings: dict[str, str], out: IO[bytes]) -> int:
    """The exit code of a check; -1 where it took too long. Nothing that it started, a server above all, outlives it."""
    process = subprocess.Popen(command, env=settings, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        return -1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(names: list[str]) -> int:
    began, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="verify-vllm-") as folder:
        for name in names or CHECKS:
            found = check(name, Path(folder) / name)
            rows += found
            print(*map(_line, found), sep="\n", flush=True)
    failed = [row for row in rows if not row["ok"]]
    judged = sum(bool(row["wanted"]) for row in rows)  # the others tell a figure alone
    print(f"\n{judged - len(failed)} of {judged} hold, in {time.monotonic() - began:.0f} s")
    if failed:
        print("These do not:", *map(_line, failed), sep="\n")
    return 1 if failed else 0


def _line(row: dict[str, Any]) -> str:
    wanted = f"   ({row['wanted']})" if row["wanted"] else ""
    state = "FAIL" if not row["ok"] else "ok  " if row["wanted"] else "    "
    return f"{state} {row['check']:<46} {row['figure']:<48} {row['value']}{wanted}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
