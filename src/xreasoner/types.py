"""The words of the project: frozen, complete at birth, standard library only.

A worked example, one rollout of a think budget of 4 tokens that had to be closed:

>>> done = Completion(token_ids=(5, 9, 9, 9, 7, 3, 2), sampled=(True,) * 4 + (False,) + (True,) * 2,
...                   logprobs=None, text="<think> a a a </think> 3", exit="forced", stop="eos")
>>> done.n_sampled
6
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Exit = Literal["natural", "forced", "none"]
Stop = Literal["eos", "cap"]
Outcome = Literal["correct", "wrong", "no_answer", "verifier_error"]


@dataclass(frozen=True, slots=True)
class Image:
    """One picture, by the path of its file. Pixels are read where they are needed, never carried about."""

    path: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `content` is text, or text and images in reading order."""

    role: Literal["system", "user", "assistant"]
    content: str | tuple[str | Image, ...]

    @property
    def images(self) -> tuple[Image, ...]:
        return () if isinstance(self.content, str) else tuple(p for p in self.content if isinstance(p, Image))


@dataclass(frozen=True, slots=True)
class Example:
    """A problem with its gold answer, from whatever dataset.

    `verifier` names an entry of VERIFIERS; `options` are the choices of a multiple-choice question in order
    (empty otherwise); `response` is the assistant's turn to imitate (SFT only); `tags` hold domain, modality,
    difficulty and cluster for grouping results. A row that is only there to be imitated, and that nothing can judge,
    has an empty gold and an empty verifier.
    """

    id: str
    messages: tuple[Message, ...]
    gold: str
    verifier: str
    options: tuple[str, ...] = ()
    response: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(image for message in self.messages for image in message.images)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a sampler continues: the conversation, and optionally the text that the assistant's turn starts with
    (`prefix`, for instance "<think>" to make a model think). `seed` tells this prompt's random stream from others."""

    messages: tuple[Message, ...]
    prefix: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to sample. Budgets count tokens.

    With a `think_budget`, thoughts that are not closed within it are closed by force, and at most `answer_budget`
    tokens follow. With None there is no forced exit and `answer_budget` bounds the whole completion.
    Temperature 0 is greedy.
    """

    think_budget: int | None
    answer_budget: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled continuation of a Prompt.

    token_ids [T] are the ids as sampled, the end token included, never re-tokenised; sampled [T] is False where a
    token was inserted by the forced exit; logprobs [T] are the sampling policy's (0.0 where inserted) or None.
    Where a server speaks text alone, token_ids is empty and sampled is as long as the tokens that it counted.
    `text` is the decoded completion (prefix excluded, end token and padding left out).
    exit: natural = the model closed its thoughts, forced = we did, none = it ended without closing any.
    stop: eos = it ended by itself, cap = cut at its budget. Cut is not the same as wrong.
    """

    token_ids: tuple[int, ...]
    sampled: tuple[bool, ...]
    logprobs: tuple[float, ...] | None
    text: str
    exit: Exit
    stop: Stop

    @property
    def n_sampled(self) -> int:
        return sum(self.sampled)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one completion. `extracted` is the answer it read (None: none readable),
    `method` how it read and compared. A broken verifier (`verifier_error`) is not a wrong answer."""

    outcome: Outcome
    extracted: str | None = None
    method: str = ""

    @property
    def reward(self) -> float | None:
        """1 correct, 0 wrong or unreadable, None where the verifier itself failed (paper section 2.2: 0/1, no format
        reward; leaving failures out of the group is our choice)."""
        return None if self.outcome == "verifier_error" else float(self.outcome == "correct")


class Sampler(Protocol):
    """Anything that continues prompts: the local decode loop, vLLM, an endpoint."""

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        """`n` completions for every prompt, in order. Completion j of a prompt depends only on (params, prompt, j),
        never on what else is in the batch."""
        ...
