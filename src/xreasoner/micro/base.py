"""Trains the micro base: a small Qwen2.5-VL that reads pages and knows single steps, and can but rarely does reason.

    python -m xreasoner.micro.base --out DIR [--steps N] [--seed S] [--hidden H] [--layers L] [--p-worked SHARE]

Everything is made here: weights from a seed, data from world.py and glyphs.py. Two things are not stock and are said
in the model card: an auxiliary loss makes every visual token name its own word (without it pages are not learned to
be read in this budget), and its neighbours' words, and two attention layers start with heads that look at neighbours.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from xreasoner.micro import glyphs
from xreasoner.micro.anatomy import IMAGE_ID, PAD_ID, build
from xreasoner.micro.card import save
from xreasoner.micro.curriculum import IGNORE, Mix, Row, base_row, echo_row
from xreasoner.micro.glyphs import Picture
from xreasoner.micro.muon import Muon
from xreasoner.micro.tokenizer import WORD_ID
from xreasoner.micro.world import COLUMNS, PAGE_WORDS

NEIGHBOURS = (-2, -1, 1, 2)  # columns to the right; one more neighbour is the bar above a chart's name


@dataclass(frozen=True)
class Settings:
    """The base's training run. Measured: below about 2,800 steps one-step skills are still on their plateau."""

    seed: int = 0
    steps: int = 5400
    batch: int = 32
    hidden: int = 128
    layers: int = 4
    vision_hidden: int = 128
    vision_depth: int = 3
    muon_lr: float = 0.01
    adam_lr: float = 3e-3
    naming_weight: float = 0.5
    echo_until: float = 0.05  # share of training that is mostly echo
    text_until: float = 0.15  # share of training before pictures come into the texts; they are only named until then
    rope_theta: float = (
        50.0  # contexts are under 200 tokens; at 10 no frequency is slow enough to match words by content
    )


# What the first phase learns last is to find the right bar of a chart inside a chain.
CHARTS = Mix(modality={"text": 0.15, "image": 0.2, "split": 0.05, "chart": 0.6})


def second_phase(s: Settings) -> Settings:
    """A sixth of the steps more, at half the rates, mostly on charts."""
    return replace(
        s,
        seed=s.seed + 100,
        steps=s.steps // 6,
        muon_lr=s.muon_lr / 2,
        adam_lr=s.adam_lr / 2,
        echo_until=0.0,
        text_until=0.0,
    )


def build_base(s: Settings) -> Any:
    return build(s.seed, s.hidden, s.layers, s.vision_hidden, s.vision_depth, s.rope_theta)


def patches(pixels: np.ndarray) -> torch.Tensor:
    """Painted cells [N, 28, 28, 3] to the image processor's pixel_values [4 N, 1176]: a cell is 2x2 patches of 14x14,
    a still is two equal frames, shades are scaled to -1..1 (image_mean = image_std = 0.5)."""
    n = len(pixels)
    x = torch.from_numpy(pixels).float() / 127.5 - 1
    x = x.view(n, 2, 14, 2, 14, 3).permute(0, 1, 3, 5, 2, 4)
    return x.unsqueeze(4).expand(-1, -1, -1, -1, 2, -1, -1).reshape(n * 4, 1176)


def grid_of(pictures: Sequence[Picture]) -> torch.Tensor:
    """image_grid_thw [P, 3] of pictures, in patches."""
    return torch.tensor([[1, 2 * p.rows, 2 * p.columns] for p in pictures])


def named(pictures: Sequence[Picture]) -> torch.Tensor:
    """What each visual token has to name, ids [1 + len(NEIGHBOURS) + 1, cells]: its own word, those of its neighbours
    in the row, and the bar above. IGNORE where there is none."""
    columns = []
    for picture in pictures:
        own = np.array([WORD_ID.get(w, IGNORE) for w in picture.readings]).reshape(picture.rows, picture.columns)
        around = np.full((len(NEIGHBOURS) + 2, *own.shape), IGNORE)
        around[0] = own
        for i, right in enumerate(NEIGHBOURS, 1):
            if right > 0:
                around[i, :, :-right] = own[:, right:]
            else:
                around[i, :, -right:] = own[:, :right]
        if picture.bars:
            around[-1, -1] = own[-2]
        columns.append(around.reshape(len(around), -1))
    return torch.from_numpy(np.concatenate(columns, 1))


class Probes(torch.nn.Module):
    """Turns what a visual token holds of its neighbours into their words; thrown away after training."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.views = torch.nn.ModuleList(
            torch.nn.Linear(hidden, hidden, bias=False) for _ in range(len(NEIGHBOURS) + 1)
        )

    def losses(self, model: Any, seen: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
        """Cross-entropy [2] of a visual token's own word and of its neighbours' (their mean)."""
        each = []
        for view, target in zip((torch.nn.Identity(), *self.views), names, strict=True):
            kept = target != IGNORE
            if kept.any():
                logits = model.lm_head(model.model.language_model.norm(view(seen[kept])))
                each.append(F.cross_entropy(logits, target[kept]))
        return torch.stack([each[0], torch.stack(each[1:]).mean()])


def losses(
    model: Any,
    probes: Probes,
    rows: list[Row],
    rng: np.random.Generator,
    loose: Sequence[Picture] = (),
    purpose: str = "train",
) -> tuple[torch.Tensor, torch.Tensor]:
    """(next-token loss, naming losses [2]) of a batch. `loose` pictures belong to no row and are only named."""
    width = max(len(r.ids) for r in rows)
    ids_BT, labels_BT = (torch.full((len(rows), width), fill) for fill in (PAD_ID, IGNORE))
    for b, row in enumerate(rows):
        ids_BT[b, : len(row.ids)] = torch.tensor(row.ids)
        labels_BT[b, : len(row.ids)] = torch.tensor(row.labels)
    ours = [r.picture for r in rows if r.picture]
    pictures = [*ours, *loose]
    is_image_BT = ids_BT == IMAGE_ID
    embeds, naming = model.get_input_embeddings()(ids_BT), torch.zeros(2)
    if pictures:
        pixels = patches(glyphs.paint_pictures(pictures, purpose, rng))
        seen = model.model.visual(pixels, grid_thw=grid_of(pictures)).pooler_output
        inside = seen[: sum(len(p.words) for p in ours)]
        embeds = embeds.masked_scatter(is_image_BT.unsqueeze(-1).expand_as(embeds), inside)
        naming = probes.losses(model, seen, named(pictures))
    position_ids, _ = model.model.get_rope_index(
        ids_BT, mm_token_type_ids=is_image_BT.int(), image_grid_thw=grid_of(ours) if ours else None
    )
    hidden = model.model.language_model(
        inputs_embeds=embeds, position_ids=position_ids, attention_mask=(ids_BT != PAD_ID).long(), use_cache=False
    ).last_hidden_state
    target = labels_BT[:, 1:]
    loss = F.cross_entropy(model.lm_head(hidden[:, :-1][target != IGNORE]), target[target != IGNORE])
    return loss, naming


def loose_picture(rng: random.Random) -> Picture:
    """A page of random words, or a chart of random bars."""
    if rng.random() < 0.3:
        return glyphs.chart([(rng.choice(PAGE_WORDS), rng.randrange(10)) for _ in range(rng.choice([3, 4]))])
    return glyphs.page([rng.choices(PAGE_WORDS, k=COLUMNS) for _ in range(rng.randint(1, 5))])


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
    """Muon on the matrices, AdamW on the rest (and on the patch merger, whose matrix is too large to orthogonalise at
    every step); warm-up, constant, linear decay over the last half."""
    probes = Probes(s.hidden)
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "merger" not in n]
    inner += probes.parameters()
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
    draw = random.Random(s.seed + 3)
    model.train()
    for step in range(1, s.steps + 1):
        loose = [loose_picture(draw) for _ in range(s.batch // 2)] if step < s.text_until * s.steps else []
        loss, naming = losses(model, probes, next(stream), rng, loose)
        model.zero_grad(set_to_none=True)
        (loss + s.naming_weight * naming.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
        recent.append((loss.item(), *naming.tolist()))
        if step % 100 == 0 or step == s.steps:
            a, own, around = np.mean(recent, 0)
            seconds = time.process_time() - began
            log(f"step {step} loss {a:.4f} naming {own:.4f} neighbours {around:.4f} {seconds:.0f} CPU-seconds")
            recent.clear()


@torch.no_grad()
def gauge(model: Any, n: int = 512, seed: int = 9) -> dict[str, float]:
    """Is the base past its plateau? Loss on fresh rows, and how often a visual token of an unseen rendering names its
    word (or its bar's value)."""
    model.eval()
    rng, pixel_rng, mix = random.Random(seed), np.random.default_rng(seed), Mix()
    rows = [base_row(rng, mix) for _ in range(n)]
    loss, _ = losses(model, Probes(model.config.text_config.hidden_size), rows, pixel_rng, purpose="eval")
    pictures = [r.picture for r in rows if r.picture]
    pixels = patches(glyphs.paint_pictures(pictures, "eval", pixel_rng))
    seen, names = model.model.visual(pixels, grid_thw=grid_of(pictures)).pooler_output, named(pictures)[0]
    right = model.lm_head(model.model.language_model.norm(seen)).argmax(-1)[names != IGNORE] == names[names != IGNORE]
    return {"loss": loss.item(), "glyph_accuracy": right.float().mean().item()}


def _command(args: argparse.Namespace) -> str:
    """The command that makes this base again; what is not stock is named."""
    given = {"--seed": args.seed, "--steps": args.steps}
    stock = {"hidden": Settings.hidden, "layers": Settings.layers, "p_worked": Mix.p_worked}
    changed = [name for name, value in stock.items() if getattr(args, name) != value]
    given |= {"--" + name.replace("_", "-"): getattr(args, name) for name in changed}
    return " ".join(["python -m xreasoner.micro.base --out DIR", *(f"{k} {v}" for k, v in given.items())])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xreasoner.micro.base", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the new model")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--hidden", type=int, default=Settings.hidden, help="width of the text layers and of the eyes")
    parser.add_argument("--layers", type=int, default=Settings.layers)
    parser.add_argument("--p-worked", type=float, default=Mix.p_worked, help="0: a base that never saw a chain")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # two threads gain nothing at this size, and one makes the run repeatable
    torch.use_deterministic_algorithms(True)
    settings = Settings(args.seed, args.steps, hidden=args.hidden, layers=args.layers, vision_hidden=args.hidden)
    first_mix, charts, began = Mix(p_worked=args.p_worked), replace(CHARTS, p_worked=args.p_worked), time.process_time()
    model = build_base(settings)
    train(model, settings, first_mix, lambda line: print(line, flush=True))
    second = second_phase(settings)
    torch.manual_seed(second.seed)
    train(model, second, charts, lambda line: print(line, flush=True))
    gauges = gauge(model)
    seconds = round(time.process_time() - began)
    facts = {
        "settings": asdict(settings),
        "mix": asdict(first_mix),
        "second_settings": asdict(second),
        "second_mix": asdict(charts),
        "gauges": gauges,
        "cpu_seconds": seconds,
    }
    save(model, args.out, _command(args), facts)
    print(json.dumps(gauges))


if __name__ == "__main__":
    main()
