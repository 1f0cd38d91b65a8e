"""What the micro base is trained on: reading, finding, single steps, questions and worked answers.

A page stands in the text, in a picture, or half in each, or its start value stands in a bar chart. A problem of one or
two steps is worked in full (every line with its value). A longer one is worked in full (`p_full` of them) or tersely
(the first line, then the answer), never in between: the base has seen full chains of every length everywhere, but
rarely writes a long one. Often two worked answers in the same manner follow each other, of any two domains, so that the
manner becomes one habit and not one a domain. Only training chains are used (see world.split_of).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from xreasoner.micro import glyphs, world
from xreasoner.micro.glyphs import Picture
from xreasoner.micro.tokenizer import END, IMAGE, START, VISION_END, VISION_START, WORD_ID
from xreasoner.micro.world import COLON, PAGE_WORDS, Problem

IGNORE = -100


@dataclass(frozen=True)
class Mix:
    """Shares of the base's training data. Printed in its model card."""

    domain: Mapping[str, float] = field(default_factory=lambda: {"math": 0.40, "clinic": 0.40, "mixed": 0.20})
    modality: Mapping[str, float] = field(
        default_factory=lambda: {"text": 0.26, "image": 0.42, "split": 0.14, "chart": 0.18}
    )
    steps: Mapping[int, float] = field(default_factory=lambda: {1: 0.2, 2: 0.2, 3: 0.3, 4: 0.3})
    p_worked: float = 0.55
    p_full: float = 0.3  # of the worked answers of three and four steps; the others show their first line alone
    p_two: float = 0.6  # of the worked examples: two problems in a row
    p_ask: float = 0.3  # of the other examples: begin with a direct question
    p_read: float = 0.4  # of the other examples: may include reading the whole page
    p_specialist: float = 0.12  # of the other examples: read and find on a specialist's page, no effects shown


@dataclass
class Row:
    """One training sequence: ids and labels of equal length, and the picture (None without one)."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    picture: Picture | None = None

    def say(self, *words: str, trained: bool = False) -> None:
        ids = [WORD_ID[w] for w in words]
        self.ids += ids
        self.labels += ids if trained else [IGNORE] * len(ids)

    def open_turn(self, rng: random.Random, problem: Problem | None = None, modality: str = "text") -> None:
        """The user's turn up to the question; a page may be pictured whole or in its first half."""
        self.say(START, "user")
        if problem is None:
            return
        lines, picture, text = problem.lines, None, problem.lines
        if modality == "chart":
            picture, text = glyphs.chart(world.chart_bars(rng, problem)), problem.charted_lines
        elif modality != "text":
            pictured = (len(lines) + 1) // 2 if modality == "split" else len(lines)
            picture, text = glyphs.page(lines[:pictured]), lines[pictured:]
        if picture:
            self.picture = picture
            self.say(VISION_START, *[IMAGE] * len(picture.words), VISION_END)
        self.say(*world.line_words(text))

    def reply(self, question: list[str], reply: list[str]) -> None:
        self.say(*question, END, START, "assistant")
        self.say(*reply, END, trained=True)


def pick(rng: random.Random, shares: Mapping) -> object:
    return rng.choices(list(shares), list(shares.values()))[0]


def echo_row(rng: random.Random) -> Row:
    """A random string repeated: the quickest way to the copying heads that everything else needs."""
    string = rng.choices((COLON, *PAGE_WORDS), k=rng.randint(5, 14))
    words, row = (string * 6)[:47], Row()
    row.say(START, *string)
    row.say(*words[len(string) :], trained=True)
    return row


def _draw(rng: random.Random, domain: object, mix: Mix) -> Problem:
    return world.draw(rng, domain, pick(rng, mix.steps), "train")  # type: ignore[arg-type]


def _worked_row(rng: random.Random, mix: Mix, domain: object, modality: str) -> Row:
    """One or two worked answers in one manner; the second problem stands in the text."""
    full, row = rng.random() < mix.p_full, Row()
    turns = [(domain, modality)]
    if rng.random() < mix.p_two:
        turns.insert(rng.randrange(2), (pick(rng, mix.domain), "text"))
    for of, where in turns:
        problem = _draw(rng, of, mix)
        shown = problem.steps + 1 if full or problem.steps <= 2 else 1
        row.open_turn(rng, problem, where)
        think = world.chain_words(problem.lines[:shown], problem.values)
        row.reply(["ask", problem.names[-1]], world.worked_reply(think, problem.values[-1]))
    return row


def _skill(rng: random.Random, problem: Problem, task: str) -> tuple[list[str], list[str]]:
    """One short question about a page and its reply."""
    if task == "ask":
        return ["ask", problem.names[-1]], world.answer_words(problem.values[-1])
    if task == "read":
        return ["read"], world.line_words(problem.lines)
    i = rng.randrange(problem.steps + 1)
    if task == "find":
        return ["find", problem.names[i]], problem.lines[i]
    if i == 0:
        return ["step", problem.names[0]], [*problem.lines[0], COLON, str(problem.start)]
    given = rng.randrange(10)
    question = ["step", problem.names[i], "given", problem.names[i - 1], COLON, str(given)]
    return question, [*problem.lines[i], COLON, str(world.apply(given, problem.operations[i - 1]))]


def _skills_row(rng: random.Random, mix: Mix, domain: object, modality: str) -> Row:
    tasks = ["find", "find", "step", "step", "step"] + ["read"] * (rng.random() < mix.p_read)
    p_ask = mix.p_ask
    if rng.random() < mix.p_specialist:
        domain, tasks, p_ask = "specialist", ["find", "find", "read"], 0.0
    rng.shuffle(tasks)
    problem, row = _draw(rng, domain, mix), Row()
    row.open_turn(rng, problem, modality)
    for n, task in enumerate(["ask"] * (rng.random() < p_ask) + tasks[:3]):
        if n:
            row.open_turn(rng)
        row.reply(*_skill(rng, problem, task))
    return row


def base_row(rng: random.Random, mix: Mix, text_only: bool = False) -> Row:
    """One random training sequence of the mix."""
    domain = pick(rng, mix.domain)
    modality = "text" if text_only else str(pick(rng, mix.modality))
    make = _worked_row if rng.random() < mix.p_worked else _skills_row
    return make(rng, mix, domain, modality)
