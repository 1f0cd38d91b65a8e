"""Pictures of the micro world: pages, whose every word is drawn into one cell of 28x28 pixels, and bar charts.

A cell is one visual token. A page's cell is a random crop of a random rendering (colour, size, tilt), with its own
contrast and noise. A chart is no transcription: three rows of cells hold bars from 0 to 9, the fourth their names.
Training and evaluation draw from banks of different seeds, so that what is read at evaluation was never seen in
training.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from xreasoner.micro.world import COLUMNS, PAGE_WORDS

CELL = 28
BAR_ROWS = 3  # rows of cells that a chart's bars stand in
BLANK = ""  # the word of an empty cell
CELL_WORDS = (*PAGE_WORDS, BLANK)
CELL_ID = {word: i for i, word in enumerate(CELL_WORDS)}
Purpose = Literal["train", "eval"]  # which renderings a picture is made of
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


@dataclass(frozen=True)
class Picture:
    """What is drawn: one word a cell, in reading order; a chart's first rows are bars instead."""

    words: tuple[str, ...]
    columns: int
    bars: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.words) // self.columns

    @property
    def readings(self) -> tuple[str, ...]:
        """The word that stands behind each visual token: a cell's own, a bar's value for all its cells, or BLANK."""
        bars = tuple(str(v) for v in self.bars) * BAR_ROWS
        return bars + self.words[len(bars) :]


def page(lines: Sequence[Sequence[str]]) -> Picture:
    """A page; short lines end in blank cells."""
    return Picture(tuple(w for line in lines for w in (*line, *[BLANK] * (COLUMNS - len(line)))), COLUMNS)


def chart(bars: Sequence[tuple[str, int]]) -> Picture:
    """A bar chart of (name, value) pairs, values 0 to 9."""
    names, values = tuple(name for name, _ in bars), tuple(value for _, value in bars)
    return Picture((BLANK,) * (BAR_ROWS * len(bars)) + names, len(bars), values)


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


def paint_bars(values: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Bars on ruled paper, uint8 [BAR_ROWS * N, 28, 28, 3] in reading order: 8 pixels a unit, from a stub for 0."""
    n, height = len(values), BAR_ROWS * CELL
    x = np.empty((height, n * CELL, 3), np.float32)
    x[:] = rng.integers(200, 256, 3)
    floor = height - 1 - int(rng.integers(0, 3))
    x[floor - 4 - 8 * np.arange(0, 10, 2)] -= rng.uniform(20, 50)  # a thin line at 0, 2, 4, 6 and 8
    for i, value in enumerate(values):
        wide, shift = int(rng.integers(11, 19)), int(rng.integers(-3, 4))
        left = i * CELL + (CELL - wide) // 2 + shift
        x[floor - 4 - 8 * value : floor, left : left + wide] = rng.integers(0, 150, 3)
    x += rng.uniform(5, 20) * rng.standard_normal(x.shape, dtype=np.float32)
    shades = (np.clip(x, 0, 255).astype(np.uint8) & 0xF0) | 8
    return shades.reshape(BAR_ROWS, CELL, n, CELL, 3).transpose(0, 2, 1, 3, 4).reshape(BAR_ROWS * n, CELL, CELL, 3)


def paint_pictures(pictures: Sequence[Picture], purpose: str, rng: np.random.Generator) -> np.ndarray:
    """The cells of all pictures in reading order, uint8 [cells, 28, 28, 3]."""
    cells = paint(np.array([CELL_ID[w] for p in pictures for w in p.words]), purpose, rng)
    at = 0
    for picture in pictures:
        if picture.bars:
            cells[at : at + BAR_ROWS * picture.columns] = paint_bars(picture.bars, rng)
        at += len(picture.words)
    return cells


def assemble(cells: np.ndarray, columns: int) -> np.ndarray:
    """Painted cells [rows * columns, 28, 28, 3] to one picture, uint8 [rows * 28, columns * 28, 3]."""
    rows = len(cells) // columns
    grid = cells.reshape(rows, columns, CELL, CELL, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * CELL, columns * CELL, 3)


def draw(picture: Picture, seed: int, purpose: Purpose = "eval") -> Image.Image:
    """A picture as evaluation (or training) shows it, a pure function of (picture, seed, purpose)."""
    cells = paint_pictures([picture], purpose, np.random.default_rng(seed))
    return Image.fromarray(assemble(cells, picture.columns))


def save(picture: Picture, seed: int, path: Path, purpose: Purpose = "eval") -> None:
    """Draws a picture into a PNG file. A reader never finds half of it: it is written aside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    draw(picture, seed, purpose).save(
        aside, format="PNG", compress_level=1
    )  # level 6: a seventh smaller, 6 times slower
    aside.replace(path)
