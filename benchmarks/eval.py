"""An evaluation from end to end, beside lm-evaluation-harness on the same model:

    python -m benchmarks.eval [--quick] [--json FILE]

As many questions as GSM8K's test split has, made to be as long as its own, and answers as long as its solutions (the
logits are bent so, alike for both sides: `arranged.py`), greedily, in batches of 256 rows, on the micro base's tower.
Ours is `evaluate`: asking, logging, judging, counting. The peer is `simple_evaluate` with a task and the model's chat
template, whose `hf` model calls transformers' `generate`. Loading the model is in neither; answers are compared word
for word, and so are the verdicts.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.arranged import arrange
from benchmarks.measure import device
from benchmarks.pairs import OURS, alternate, figure, rounds_of
from benchmarks.results import Figure, arguments, show, write
from xreasoner.config import EvalSpec
from xreasoner.eval import benchmarks
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.task import evaluate
from xreasoner.micro.tokenizer import VOCABULARY
from xreasoner.micro.world import DIGITS
from xreasoner.model.hub import MICRO
from xreasoner.model.load import load_tokenizer, load_tower
from xreasoner.model.tower import detach
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Example, Message

PEER = "lm-evaluation-harness"
TARGET = 2.0
QUESTIONS, FEWER = 1319, 128  # GSM8K's test split; with --quick
# Lengths in words, digits and signs of openai/gsm8k's test split: a question has 56 on average (median 53, 27 to 93 in
# the middle 90%), a solution without its calculator notes 83 (median 77). Both are about log-normal.
QUESTION_MEDIAN, QUESTION_SIGMA = 53, 0.37
ROW_MEDIAN, ROW_SIGMA = 140, 0.36  # question, chat template and solution together
TOKENS, BATCH = 256, 256  # of an answer, what lm-evaluation-harness has where nothing is said; rows
_NAME, _SEED = "made-like-gsm8k", 20261122
_WORDS = VOCABULARY[VOCABULARY.index("wait") :]


def questions(n: int) -> list[Example]:
    """Words in a random order, and a digit that is right one time in ten."""
    draw = random.Random(_SEED)
    made = []
    for i in range(n):
        length = min(200, max(12, round(draw.lognormvariate(math.log(QUESTION_MEDIAN), QUESTION_SIGMA))))
        text = " ".join(draw.choice(_WORDS) for _ in range(length))
        tags = {"domain": "general", "modality": "text", "benchmark": _NAME, "cluster": f"q{i}"}
        made.append(Example(f"q{i}", (Message("user", text),), draw.choice(DIGITS), "exact", tags=tags))
    return made


def chances(positions: int) -> list[float]:
    """The chance that a thought closes at each position, for rows of log-normal length."""
    row = statistics.NormalDist(math.log(ROW_MEDIAN), ROW_SIGMA)
    left = [1.0, *(1 - row.cdf(math.log(p)) for p in range(1, positions + 1))]
    return [1 - after / before if before > 1e-9 else 1.0 for before, after in pairwise(left)]


class Bench:
    """The model, the questions, and what each side said last: (answer in full, whether it is right) by question."""

    def __init__(self, folder: Path, n: int) -> None:
        detach(MICRO, folder / "tower")
        self._folder, self._questions = folder, questions(n)
        self._tokenizer = load_tokenizer(folder / "tower")
        self._model = load_tower(folder / "tower", device=device())
        arrange(self._model, chances(self._model.config.max_position_embeddings))
        self.said: dict[str, Mapping[str, tuple[str, bool]]] = {}

    def ours(self) -> float:
        spec = EvalSpec(suite=_NAME, think_budget=None, answer_budget=TOKENS)
        benchmarks.BENCHMARKS[_NAME] = Benchmark(_NAME, lambda *_: self._questions, "", "")
        with tempfile.TemporaryDirectory(dir=self._folder) as out:
            evaluate(
                LocalSampler(self._model, self._tokenizer, batch_size=BATCH),
                checkpoint="made",
                suite=_NAME,
                spec=spec,
                seed=0,
                weights="none",
                images=self._folder / "pictures",
                out_dir=Path(out),
            )
            lines = (Path(out) / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        self.said[OURS] = {row["id"]: (row["completion"].strip(), row["outcome"] == "correct") for row in rows}
        return len(rows)

    def peer(self) -> float:
        from datasets import Dataset
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

        asked = [{"id": e.id, "question": e.messages[0].content, "gold": e.gold} for e in self._questions]
        task = {
            "task": _NAME,
            "custom_dataset": lambda **_: {"test": Dataset.from_list(asked)},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{gold}}",
            "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": TOKENS},
            "filter_list": [
                {
                    "name": "answer",
                    "filter": [
                        {"function": "regex", "regex_pattern": r"<answer>\s*(.*?)\s*</answer>"},
                        {"function": "take_first"},
                    ],
                }
            ],
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
        with silenced():
            model = HFLM(pretrained=self._model, tokenizer=self._tokenizer, batch_size=BATCH)
            # Without the index of its own tasks, which takes it seconds, and no standard errors from resampling.
            tasks = TaskManager(include_defaults=False)
            found = simple_evaluate(
                model=model, tasks=[task], task_manager=tasks, apply_chat_template=True, bootstrap_iters=0
            )
        samples = found["samples"][_NAME]
        self.said[PEER] = {row["doc"]["id"]: (row["resps"][0][0].strip(), bool(row["exact_match"])) for row in samples}
        return len(samples)

    def tokens(self) -> list[int]:
        """How long each of our last answers is, its end token included."""
        texts = [text for text, _ in self.said[OURS].values()]
        return [len(ids) + 1 for ids in self._tokenizer(texts, add_special_tokens=False)["input_ids"]]


@contextlib.contextmanager
def silenced() -> Any:
    """Keeps the peer's progress bars and notes off the terminal."""
    logging.disable(logging.WARNING)
    try:
        with open("/dev/null", "w") as nowhere, contextlib.redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(logging.NOTSET)


def figures(bench: Bench, quick: bool) -> list[Figure]:
    rounds = alternate({OURS: bench.ours, PEER: bench.peer}, rounds_of(quick))
    ours, theirs = bench.said[OURS], bench.said[PEER]
    same = sum(ours[name] == theirs[name] for name in ours)
    right = statistics.fmean(right for _, right in ours.values())
    note = f"{same:,} of {len(ours):,} answers and verdicts the same, {right:.0%} right"
    lengths = bench.tokens()
    tenths = statistics.quantiles(lengths, n=10)
    spread = f"a tenth below {tenths[0]:.0f}, a tenth above {tenths[-1]:.0f}"
    return [
        figure("evaluation", "samples/s", rounds, TARGET, same == len(ours) == len(theirs), note),
        Figure("length of an answer", statistics.fmean(lengths), "tokens", note=spread),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(str(__doc__)).parse_args(argv)
    n = FEWER if args.quick else QUESTIONS
    with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
        found = figures(Bench(Path(folder), n), args.quick)
    show(f"{n:,} questions, answers of up to {TOKENS} tokens, {BATCH} rows a batch", found, Console())
    if args.json is not None:
        more = {"questions": n, "tokens": TOKENS, "batch": BATCH}
        write(found, args.json, {"benchmark": "eval", "quick": args.quick, **more})
    return 1 if any(each.agree is False for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
