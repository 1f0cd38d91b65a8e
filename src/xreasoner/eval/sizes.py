"""How many questions a benchmark has, by those who made it: to plan with, and to tell what is missing.

The paper's are in its table 7 (arXiv 2505.03981); the others stand on their datasets' pages or were counted in their
files (docs/benchmarks.md).
"""

from __future__ import annotations

TEXT_SIZES = {
    "gsm8k": 1319,
    "mmlu-pro": 12032,
    "mmlu-pro-health": 818,
    "math500": 500,
    "aime24": 30,
    "aime25": 30,
    "gpqa-diamond": 198,
    "supergpqa": 26529,
    "medqa": 1273,
    "medqa-5": 1273,
    "medxpertqa-text": 2450,
    "medmcqa": 4183,
    "pubmedqa": 500,
    "mathverse-text-only": 788,
}

PICTURE_SIZES = {
    "mmmu": 900,
    "mmmu-health": 150,
    "mmmu-pro": 1730,
    "mmmu-pro-health": 286,
    "mmmu-pro-4": 1730,
    "mmmu-pro-vision": 1730,
    "mmstar": 1500,
    "mathvista": 1000,
    "mathvision": 3040,
    "mathverse": 3940,
    "medxpertqa-mm": 2000,
    "omnimedvqa": 1000,
    "omnimedvqa-all": 88996,
    "nejm": 947,
    "slake": 416,
    "slake-open": 645,
    "pmc-vqa": 2000,
}

# Of VQA-RAD's 451 and PathVQA's 6,719 questions nobody tells how many are closed.
SIZES = TEXT_SIZES | PICTURE_SIZES
