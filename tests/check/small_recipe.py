"""The micro recipe with few rows."""

from pathlib import Path

RECIPE = Path(__file__).parents[2] / "recipes" / "micro.yaml"
SMALL = ["sft.data.rows=40", "sft-direct.data.rows=20", "rl.data.rows=20"]
