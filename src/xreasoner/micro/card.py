"""The micro base as a folder that stock transformers loads, with its model card."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from xreasoner.files import write_atomic
from xreasoner.micro.anatomy import PAD_ID
from xreasoner.micro.tokenizer import WORD_ID, save_tokenizer

LAST = "README.md"  # the file that is written last: a folder that has it is whole
CARD = """\
---
license: apache-2.0
pipeline_tag: image-text-to-text
---
# The xreasoner micro base

A `Qwen2_5_VLForConditionalGeneration` of {parameters:,} parameters that lives in the micro world of xreasoner: chained
digit arithmetic in two domains (mathematics, clinic), on pages as text or as pictures, or with the start value in a bar
chart. It is a test object, not a model of medicine. Made from random weights and synthetic data by

    {command}

on {device}, with torch {torch}.

What it has seen, in both domains and all modalities: reading pages and charts, finding lines, single steps, direct
questions, and worked answers of 1 to 4 steps. Answers to problems of one and two steps show every line. Of the longer
ones the share `p_full` does; the others show the first line and then state the answer. So it has seen full chains of
thought everywhere, and by itself rarely writes a long one: text-only post-training can elicit step-by-step work, it
does not have to teach it from nothing. Of a specialist's clinic (`p_specialist`) it has read the pages and never seen
what its drugs do. A second, shorter phase of training (`second_settings`, `second_mix`) shows mostly charts. Chains
of two and more steps of the dev and test splits (by hash of start value and operations) were never shown, in any
domain; the hundred chains of one step are shared by all splits.

Not stock: an auxiliary loss that makes each visual token name its own word and, through maps that are thrown away,
its neighbours'; and a start in which the first text layer looks 1 to 3 tokens back and the last vision block one and
two cells to the left and to the right.

```json
{facts}
```
"""


def save(model: Any, folder: Path, command: str, facts: Mapping[str, Any]) -> None:
    """Writes the model in the stock layout, its tokenizer and processor settings, and a model card that prints the
    `command` that made it and the `facts` of its training."""
    model.generation_config.update(do_sample=False, eos_token_id=WORD_ID["<|im_end|>"], pad_token_id=PAD_ID)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    parameters = sum(p.numel() for p in model.parameters())
    write_atomic(
        folder / LAST,
        CARD.format(
            parameters=parameters,
            command=command,
            device=f"{_cpu()}, one thread",
            torch=torch.__version__,
            facts=json.dumps(facts, indent=2),
        ),
    )


def _cpu() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
