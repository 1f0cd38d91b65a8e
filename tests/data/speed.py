"""How many rows `prepare` takes a second, and in what memory: `python tests/data/speed.py [ROWS]`.

The rows are drawn, no two alike: a question of 60 words, a response of 120 and a gold that is a number. The line in the
middle is `7`, which is no row.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from xreasoner.config import DataSpec
from xreasoner.data.prepare import prepare

WORDS = ["pears", "trains", "of", "the", "a", "buys", "each", "three", "market", "and", "walks", "home", "costs", "red"]


def write_rows(path: Path, rows: int) -> None:
    rng = random.Random(0)
    with path.open("w") as file:
        for n in range(rows):
            question, thoughts = (" ".join(rng.choices(WORDS, k=k)) for k in (60, 120))
            row = {
                "prompt": f"{question} {n}?",
                "gold": n,
                "verifier": "number",
                "response": f"<think>{thoughts}</think> <answer>{n}</answer>",
            }
            file.write("7\n" if n == rows // 2 else json.dumps(row) + "\n")


def measure(path: Path) -> None:
    start = time.perf_counter()
    audit = prepare(DataSpec(name="jsonl", path=str(path)), path.parent / "prepared", purpose="audit")
    seconds = time.perf_counter() - start
    assert audit.quarantined == {"malformed": 1}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    size = path.stat().st_size // 2**20
    print(f"{audit.rows:,} rows, {size:,} MiB: {seconds:.0f} s, {audit.rows / seconds:,.0f} rows a second, {peak} MiB")


def main(rows: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, rows)
        subprocess.run([sys.executable, __file__, str(path)], check=True)  # whose memory is its own alone


if __name__ == "__main__":
    if sys.argv[1:] and not sys.argv[1].isdecimal():
        measure(Path(sys.argv[1]))
    else:
        main(*map(int, sys.argv[1:]))
