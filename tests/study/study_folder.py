"""A study's folder as its runs leave it, without any run: study.yaml and the answers of every arm."""

import json
import random
from pathlib import Path

from xreasoner.study import Asked, _claim, ask, seed_folder
from xreasoner.study.outcomes import samples_file

RECIPE = Path(__file__).parents[2] / "recipes" / "micro.yaml"


def made_study(folder: Path, name: str = "stages", seeds: tuple[int, ...] = (0, 1), problems: int = 6) -> Asked:
    """The study with answers drawn by the names of the files: right and wrong, endless and not."""
    asked = ask(name, RECIPE, ["eval.limit=6"], seeds, None, folder)
    _claim(folder, asked)
    for seed in seeds:
        for arm in asked.matrix(seed).arms:
            path = samples_file(seed_folder(folder, seed), arm)
            draw = random.Random(str(path.relative_to(folder)))
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = []
            for modality in ("text", "image"):
                for i in range(problems):
                    tags = {"domain": "math", "modality": modality, "steps": "3", "cluster": f"math-3-{i}"}
                    outcome, closed = draw.choice(["correct", "wrong"]), draw.choice(["natural", "forced"])
                    row = {"id": f"math-3-{i}-{modality}", "epoch": 1, "tags": tags, "outcome": outcome}
                    rows.append({**row, "exit": closed, "stop": "eos", "n_tokens": draw.randrange(90)})
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return asked
