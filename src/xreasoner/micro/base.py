"""Trains the micro base: a small Qwen2.5-VL that reads pages and knows single steps, and can but rarely does reason.

    python -m xreasoner.micro.base --out DIR [--steps N] [--seed S]

Everything is made here: weights from a seed, data from world.py and glyphs.py. Two things are not stock and are said
in the model card: an auxiliary loss makes every visual token name its own word (without it pages are not learned to
be read in this budget), and the first attention layer starts with heads that look a few tokens back.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from xreasoner.micro import glyphs
from xreasoner.micro.curriculum import IGNORE, Mix, Row, base_row, echo_row
from xreasoner.micro.muon import Muon
from xreasoner.micro.tokenizer import CONTROL, IMAGE, VOCABULARY, WORD_ID, save_tokenizer
from xreasoner.micro.world import COLUMNS

PAD_ID, IMAGE_ID = WORD_ID[CONTROL[0]], WORD_ID[IMAGE]
NAME_OF_CELL = torch.tensor([WORD_ID.get(w, -1) for w in glyphs.CELL_WORDS])  # -1: the blank cell has no name


@dataclass(frozen=True)
class Settings:
    """The base's training run. Measured: below about 2,800 steps one-step skills are still on their plateau."""

    seed: int = 0
    steps: int = 4800
    batch: int = 32
    hidden: int = 128
    layers: int = 4
    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    glyph_weight: float = 0.5
    echo_until: float = 0.05  # share of training that is mostly echo
    text_until: float = 0.19  # share of training before pictures come in
    rope_theta: float = 50.0  # contexts are under 200 tokens


def build(s: Settings) -> Qwen2_5_VLForConditionalGeneration:
    """A random model of the stock class."""
    torch.manual_seed(s.seed)
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(VOCABULARY),
            "hidden_size": s.hidden,
            "intermediate_size": 3 * s.hidden,
            "num_hidden_layers": s.layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "rope_theta": s.rope_theta, "mrope_section": [4, 6, 6]},
            "initializer_range": 0.08,
            "bos_token_id": None,
            "eos_token_id": WORD_ID["<|im_end|>"],
            "pad_token_id": PAD_ID,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": s.hidden,
            "fullatt_block_indexes": [1],
            "window_size": 112,
            "initializer_range": 0.08,
        },
        image_token_id=IMAGE_ID,
        video_token_id=WORD_ID["<|video_pad|>"],
        vision_start_token_id=WORD_ID["<|vision_start|>"],
        vision_end_token_id=WORD_ID["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    _look_back(model.model.language_model.layers[0].self_attn, s.rope_theta)
    _look_left(model.model.visual.blocks[-1].attn)
    return model


@torch.no_grad()
def _look_back(attention: Any, theta: float, strength: float = 3.0, fastest: int = 6) -> None:
    """Starts the heads of a text layer looking 1, 2, 1 and 3 tokens back, by query and key biases on the fastest rotary
    frequencies alone. A random start finds this too, thousands of steps later."""
    dim = attention.head_dim
    angle = theta ** (-2 * torch.arange(fastest) / dim)
    attention.k_proj.bias.view(-1, dim)[:, :fastest] = strength
    for query, back in zip(attention.q_proj.bias.view(-1, dim), (1, 2, 1, 3), strict=True):
        query[:fastest] = strength * torch.cos(angle * back)
        query[dim // 2 : dim // 2 + fastest] = -strength * torch.sin(angle * back)


@torch.no_grad()
def _look_left(attention: Any, strength: float = 4.0, fastest: int = 3) -> None:
    """The same for the last vision block: one head looks one cell (two patches) to the left, the other two cells.
    Rotary pairs are (i, i + dim/2), rows before columns."""
    dim = attention.qkv.bias.numel() // 6
    angle = 10000.0 ** (-4 * torch.arange(fastest) / dim)
    query, key, _ = attention.qkv.bias.view(3, 2, dim)
    for head, patches in enumerate((2, 4)):
        for at, back in ((0, 0), (dim // 4, patches)):
            key[head, at : at + fastest] = strength
            query[head, at : at + fastest] = strength * torch.cos(angle * back)
            query[head, at + dim // 2 : at + dim // 2 + fastest] = -strength * torch.sin(angle * back)


def patches(pixels: np.ndarray) -> torch.Tensor:
    """Painted cells [N, 28, 28, 3] to the image processor's pixel_values [4 N, 1176]: a cell is 2x2 patches of 14x14,
    a still is two equal frames, shades are scaled to -1..1 (image_mean = image_std = 0.5)."""
    n = len(pixels)
    x = torch.from_numpy(pixels).float() / 127.5 - 1
    x = x.view(n, 2, 14, 2, 14, 3).permute(0, 1, 3, 5, 2, 4)
    return x.unsqueeze(4).expand(-1, -1, -1, -1, 2, -1, -1).reshape(n * 4, 1176)


def page_grid(pages: list[np.ndarray]) -> torch.Tensor:
    """image_grid_thw [P, 3] of pages of cells, in patches."""
    return torch.tensor([[1, 2 * len(page) // COLUMNS, 2 * COLUMNS] for page in pages])


def losses(
    model: Any, rows: list[Row], rng: np.random.Generator, train: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """(next-token loss, loss of naming the word of every visual token) of a batch."""
    width = max(len(r.ids) for r in rows)
    ids_BT, labels_BT = (torch.full((len(rows), width), fill) for fill in (PAD_ID, IGNORE))
    for b, row in enumerate(rows):
        ids_BT[b, : len(row.ids)] = torch.tensor(row.ids)
        labels_BT[b, : len(row.ids)] = torch.tensor(row.labels)
    pages = [glyphs.page_cells(r.lines) for r in rows if r.lines]
    is_image_BT = ids_BT == IMAGE_ID
    embeds, naming, grid = model.get_input_embeddings()(ids_BT), torch.zeros(()), None
    if pages:
        cells = np.concatenate(pages)
        grid = page_grid(pages)
        pixels = patches(glyphs.paint(cells, "train" if train else "eval", rng))
        seen = model.model.visual(pixels, grid_thw=grid).pooler_output
        embeds = embeds.masked_scatter(is_image_BT.unsqueeze(-1).expand_as(embeds), seen)
        names = NAME_OF_CELL[torch.from_numpy(cells)]
        naming = F.cross_entropy(model.lm_head(model.model.language_model.norm(seen[names >= 0])), names[names >= 0])
    position_ids, _ = model.model.get_rope_index(ids_BT, mm_token_type_ids=is_image_BT.int(), image_grid_thw=grid)
    hidden = model.model.language_model(
        inputs_embeds=embeds, position_ids=position_ids, attention_mask=(ids_BT != PAD_ID).long(), use_cache=False
    ).last_hidden_state
    target = labels_BT[:, 1:]
    loss = F.cross_entropy(model.lm_head(hidden[:, :-1][target != IGNORE]), target[target != IGNORE])
    return loss, naming


def batches(s: Settings, mix: Mix) -> Iterator[list[Row]]:
    """Batches of rows of similar length. First mostly echo, then text alone, then everything."""
    rng, made = random.Random(s.seed + 1), 0
    while True:
        pool: list[Row] = []
        for _ in range(8 * s.batch):
            done, made = made / (s.steps * s.batch), made + 1
            p_echo = 0.8 if done < s.echo_until else 0.1 if done < s.text_until else 0.0
            pool.append(echo_row(rng) if rng.random() < p_echo else base_row(rng, mix, done < s.text_until))
        pool.sort(key=lambda r: len(r.ids))
        chunks = [pool[i : i + s.batch] for i in range(0, len(pool), s.batch)]
        rng.shuffle(chunks)
        yield from chunks


def train(model: Any, s: Settings, mix: Mix, log: Callable[[str], None]) -> None:
    """Muon on the matrices, AdamW on the rest; warm-up, constant, linear decay over the last half."""
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    chosen = {id(p) for p in inner}
    optimizers = [
        Muon(inner, lr=s.muon_lr),
        torch.optim.AdamW(
            [p for p in model.parameters() if id(p) not in chosen], lr=s.adam_lr, betas=(0.9, 0.98), weight_decay=0.0
        ),
    ]

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / 50, max(0.02, 2 * (1 - step / s.steps)))

    schedulers = [torch.optim.lr_scheduler.LambdaLR(o, rate) for o in optimizers]
    stream, rng, recent, began = batches(s, mix), np.random.default_rng(s.seed + 2), [], time.process_time()
    model.train()
    for step in range(1, s.steps + 1):
        loss, naming = losses(model, next(stream), rng)
        model.zero_grad(set_to_none=True)
        (loss + s.glyph_weight * naming).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
        recent.append((loss.item(), naming.item()))
        if step % 100 == 0 or step == s.steps:
            a, b = np.mean(recent, 0)
            log(f"step {step} loss {a:.4f} naming {b:.4f} {time.process_time() - began:.0f} CPU-seconds")
            recent.clear()


@torch.no_grad()
def gauge(model: Any, n: int = 512, seed: int = 9) -> dict[str, float]:
    """Is the base past its plateau? Losses on fresh rows, and how often a visual token of an unseen rendering names
    its word."""
    model.eval()
    rng, pixel_rng, mix = random.Random(seed), np.random.default_rng(seed), Mix()
    rows = [base_row(rng, mix) for _ in range(n)]
    loss, _ = losses(model, rows, pixel_rng, train=False)
    pages = [glyphs.page_cells(r.lines) for r in rows if r.lines]
    cells, grid = np.concatenate(pages), page_grid(pages)
    seen = model.model.visual(patches(glyphs.paint(cells, "eval", pixel_rng)), grid_thw=grid).pooler_output
    names = NAME_OF_CELL[torch.from_numpy(cells)]
    right = model.lm_head(model.model.language_model.norm(seen)).argmax(-1)[names >= 0] == names[names >= 0]
    return {"loss": loss.item(), "glyph_accuracy": right.float().mean().item()}


def save(model: Any, folder: Path, s: Settings, gauges: dict[str, float], seconds: float) -> None:
    """Writes the model in the stock layout, its tokenizer and processor settings, and a model card."""
    model.generation_config.update(do_sample=False, eos_token_id=WORD_ID["<|im_end|>"], pad_token_id=PAD_ID)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    parameters = sum(p.numel() for p in model.parameters())
    facts = {"settings": asdict(s), "mix": asdict(Mix()), "gauges": gauges, "cpu_seconds": round(seconds)}
    (folder / "README.md").write_text(
        CARD.format(
            parameters=parameters,
            device=f"{platform.machine()} CPU, one thread",
            torch=torch.__version__,
            facts=json.dumps(facts, indent=2),
        )
    )


CARD = """\
---
license: apache-2.0
pipeline_tag: image-text-to-text
---
# The xreasoner micro base

A `Qwen2_5_VLForConditionalGeneration` of {parameters:,} parameters that lives in the micro world of xreasoner: pages of
chained digit arithmetic in two domains (mathematics, clinic), as text or as pictures. Made from random weights and
synthetic data by `python -m xreasoner.micro.base` on: {device}, torch {torch}. It is a test object, not a model of
medicine.

What it has seen, in both domains and both modalities: reading pages, finding lines, single steps, direct questions,
and worked answers of 1 to 4 steps. Of the worked answers the share `p_full` shows every step; the others show the first
lines and then state the answer. So it has seen full chains of thought everywhere, and by itself rarely writes one:
text-only post-training can elicit step-by-step work, it does not have to teach it from nothing. Chains of two and more
steps of the dev and test splits (by hash of start value and operations) were never shown, in either domain; the hundred
chains of one step are shared by all splits.

Not stock: an auxiliary loss that makes each visual token name its own word, and a start in which the first text layer
looks 1 to 3 tokens back and the last vision block one and two cells to the left.

```json
{facts}
```
"""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xreasoner.micro.base", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the new model")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # two threads gain nothing at this size, and one makes the run repeatable
    torch.use_deterministic_algorithms(True)
    settings, began = Settings(seed=args.seed, steps=args.steps), time.process_time()
    model = build(settings)
    train(model, settings, Mix(), lambda line: print(line, flush=True))
    gauges = gauge(model)
    save(model, args.out, settings, gauges, time.process_time() - began)
    print(json.dumps(gauges))


if __name__ == "__main__":
    main()
