"""Pages as pictures: every word of a page is drawn into one cell of 28x28 pixels, which is one visual token.

Each cell is a random crop of a random rendering (colour, size, tilt), with its own contrast and noise. Training and
evaluation draw from banks of different seeds, so that what is read at evaluation was never seen in training.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from xreasoner.micro.world import COLUMNS, PAGE_WORDS

CELL = 28
BLANK = ""  # the word of an empty cell
CELL_WORDS = (*PAGE_WORDS, BLANK)
CELL_ID = {word: i for i, word in enumerate(CELL_WORDS)}
_MARGIN = 4  # a rendering is larger than a cell, so that crops jitter
_TRAIN_SEED, _EVAL_SEED = 1, 2


def _render(word: str, rng: np.random.Generator) -> np.ndarray:
    """One rendering, uint8 [32, 32, 3]: dark on light, random size and tilt."""
    side = CELL + _MARGIN
    paper = tuple(int(c) for c in rng.integers(184, 256, 3))
    ink = tuple(int(c) for c in rng.integers(0, 110, 3))
    low, high = {1: (17.0, 22.0), 2: (11.5, 14.0), 3: (11.5, 14.0)}.get(len(word), (9.0, 10.5))
    font = ImageFont.load_default(size=rng.uniform(low, high))
    picture = Image.new("RGB", (side, side), paper)
    pen = ImageDraw.Draw(picture)
    left, top, right, bottom = pen.textbbox((0, 0), word, font=font)
    pen.text(((side - left - right) / 2, (side - top - bottom) / 2), word, fill=ink, font=font)
    return np.asarray(picture.rotate(rng.uniform(-6, 6), resample=Image.Resampling.BILINEAR, fillcolor=paper))


@lru_cache(maxsize=2)
def bank(purpose: str) -> np.ndarray:
    """All renderings of a purpose ("train" or "eval"), uint8 [words, renderings, 32, 32, 3]."""
    seed, n = {"train": (_TRAIN_SEED, 256), "eval": (_EVAL_SEED, 64)}[purpose]
    rng = np.random.default_rng(seed)
    return np.stack([np.stack([_render(word, rng) for _ in range(n)]) for word in CELL_WORDS])


def paint(cells: np.ndarray, purpose: str, rng: np.random.Generator) -> np.ndarray:
    """Cell ids [N] to pixels, uint8 [N, 28, 28, 3]. Shades are rounded to 16 a channel: small files, nothing lost."""
    n, span, glyphs = len(cells), np.arange(CELL), bank(purpose)
    row, column = rng.integers(0, _MARGIN + 1, (2, n, 1)) + span
    which = rng.integers(0, glyphs.shape[1], n)
    x = glyphs[cells[:, None, None], which[:, None, None], row[:, :, None], column[:, None, :]].astype(np.float32)
    wide = 2.0 if purpose == "train" else 1.0  # training sees a wider range of light than evaluation
    contrast = rng.uniform(1 - 0.08 * wide, 1 + 0.08 * wide, (n, 1, 1, 1)).astype(np.float32)
    light = rng.normal(0, 10 * wide, (n, 1, 1, 1)).astype(np.float32)
    grain = rng.uniform(8, 30, (n, 1, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    x = 128 + (x - 128) * contrast + light + grain * noise
    return (np.clip(x, 0, 255).astype(np.uint8) & 0xF0) | 8


def page_cells(lines: Sequence[Sequence[str]]) -> np.ndarray:
    """The cells of a page in reading order, [rows * 3]; short lines end in blank cells."""
    return np.array([CELL_ID[w] for line in lines for w in (*line, *[BLANK] * (COLUMNS - len(line)))])


def assemble(cells: np.ndarray) -> np.ndarray:
    """Painted cells [rows * 3, 28, 28, 3] to one picture, uint8 [rows * 28, 84, 3]."""
    rows = len(cells) // COLUMNS
    grid = cells.reshape(rows, COLUMNS, CELL, CELL, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * CELL, COLUMNS * CELL, 3)


def draw_page(lines: Sequence[Sequence[str]], seed: int) -> Image.Image:
    """The picture of a page as evaluation shows it, a pure function of (lines, seed)."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(assemble(paint(page_cells(lines), "eval", rng)))


def save_page(lines: Sequence[Sequence[str]], seed: int, path: Path) -> None:
    """Draws a page into a PNG file. A reader never finds half of it: it is written aside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    draw_page(lines, seed).save(aside, format="PNG", compress_level=1)  # level 6: a seventh smaller, 6 times slower
    aside.replace(path)
