"""Whether golds pass their verifier: `python tests/cases/golds.py FILE.jsonl [VERIFIER ...]`, by default math.

Each row's `answer` is the gold (what follows "####" where that stands, as in GSM8K). It is given as an answer bare,
between dollars, in a box and on an answer line, and the gold of the next row in its stead, which should pass only where
it is the same.
"""

import json
import sys

from xreasoner.types import Example
from xreasoner.verify import verify_many

DRESSES = {
    "bare": "<answer>{}</answer>",
    "between dollars": "<answer>${}$</answer>",
    "in a box": "so \\boxed{{{}}}",
    "on an answer line": "The final answer is {}.",
}


def main(path: str, *kinds: str) -> None:
    with open(path, encoding="utf-8") as f:
        golds = [json.loads(line)["answer"].rpartition("####")[2].strip() for line in f]
    for kind in kinds or ["math"]:
        examples = [Example(str(n), (), gold, kind) for n, gold in enumerate(golds)]
        for name, dress in DRESSES.items():
            verdicts = verify_many([(e, dress.format(e.gold)) for e in examples])
            failed = [e.gold for e, v in zip(examples, verdicts, strict=True) if v.outcome != "correct"]
            print(f"{kind}, {name}: {len(golds) - len(failed)} of {len(golds)}", *failed[:5])
        others = golds[1:] + golds[:1]
        verdicts = verify_many([(e, DRESSES["bare"].format(o)) for e, o in zip(examples, others, strict=True)])
        passed = [(g, o) for g, o, v in zip(golds, others, verdicts, strict=True) if v.outcome == "correct"]
        differ = [(gold, other) for gold, other in passed if gold != other]
        print(
            f"{kind}, the next row's gold: {len(passed)} pass, {len(differ)} of them written differently", *differ[:9]
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
