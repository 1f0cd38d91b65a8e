"""Forced exit, one definition for every sampler (paper section 3, budget forcing).

Think up to `think_budget` tokens; if `</think>` has not closed by then, insert it; then at most `answer_budget`
tokens. Without a think budget nothing is inserted and `answer_budget` bounds the whole completion.

Tags are matched on decoded text, prefix included, because one text has many spellings in ids: Qwen2.5 may write
`</think>` as [522, 26865, 29], start it with the token of " </", or end it with that of ">\\n\\n". Ids are never
re-tokenised, and only inserted tokens are marked as not sampled. Pure Python: the same rows drive the local sampler,
vLLM and endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from xreasoner.errors import ModelError, RecipeError
from xreasoner.prompts import THINK_CLOSE as CLOSE
from xreasoner.types import Completion, Exit, SamplingParams, Stop


class Tokenizer(Protocol):
    """What forced exit needs of a tokenizer; any Hugging Face tokenizer has it."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...
    def decode(self, ids: Sequence[int], **kwargs: Any) -> str: ...


def check_params(params: SamplingParams, n: int = 1) -> None:
    """Raises RecipeError, before anything is sampled, where `params` or `n` cannot mean anything."""
    if params.think_budget is not None and params.think_budget < 1:
        raise RecipeError(
            f"think_budget is {params.think_budget}: set it to 1 token or more, or to null for no forced exit."
        )
    if params.answer_budget < 1:
        raise RecipeError(f"answer_budget is {params.answer_budget}: set it to 1 token or more.")
    if not 0 <= params.temperature < float("inf"):
        raise RecipeError(f"temperature is {params.temperature}: set it to 0 (greedy) or a positive number.")
    if not 0 < params.top_p <= 1:
        raise RecipeError(f"top_p is {params.top_p}: set it above 0 and at most 1 (1 = the whole distribution).")
    if n < 1:
        raise RecipeError(f"{n} completions per prompt were asked for: ask for 1 or more.")


def end_ids(tokenizer: Any, *configs: Any) -> frozenset[int]:
    """Every id that ends a turn: the tokenizer's, and those of the given (generation) configs, where each may be
    absent, one id or a list. Qwen models have several."""
    found: set[int] = set()
    for source in (tokenizer, *configs):
        ids = getattr(source, "eos_token_id", None)
        found.update([ids] if isinstance(ids, int) else ids or ())
    if not found:
        raise ModelError("The checkpoint names no end token: set eos_token_id in its generation_config.json.")
    return frozenset(found)


class ForcedExit:
    """The rule for one tokenizer: what closes thoughts (`close_ids`) and what ends a turn (`eos_ids`)."""

    def __init__(self, tokenizer: Tokenizer, eos_ids: Iterable[int]) -> None:
        self.tokenizer = tokenizer
        self.eos_ids = frozenset(eos_ids)
        self.close_ids: tuple[int, ...] = tuple(tokenizer.encode(CLOSE, add_special_tokens=False))
        if CLOSE not in self.decode(self.close_ids):
            raise ModelError(f"The tokenizer cannot spell {CLOSE}: add the tag to its vocabulary.")
        self._pieces: dict[int, str] = {}  # id -> its text when decoded alone, filled as ids are met

    def start(self, params: SamplingParams, prefix: str = "") -> Row:
        """A row about to decode its first token after `prefix` (the text that the assistant's turn starts with)."""
        return Row(self, params, prefix)

    def decode(self, ids: Sequence[int]) -> str:
        """Special tokens stay: in some vocabularies the tags are special."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def piece(self, token_id: int) -> str:
        text = self._pieces.get(token_id)
        if text is None:
            text = self._pieces[token_id] = self.decode([token_id])
        return text

    def closes(self, ids: Sequence[int]) -> bool:
        """Whether the last of `ids` completes CLOSE in their decoded text.

        Only a token whose own text holds the tag's last character can, so most steps cost one look-up. Otherwise
        the last few tokens are decoded together: the tag covers at most len(CLOSE) tokens that have text of their
        own, and one more before them settles what decoders do to a first token (a stripped space).
        """
        if CLOSE[-1] not in self.piece(ids[-1]):
            return False
        start, visible = len(ids), 0
        while start and visible <= len(CLOSE):
            start -= 1
            visible += self.piece(ids[start]) != ""
        return CLOSE in self.decode(ids[start:])


class Row:
    """One completion in the making. After each `push` do what the row says next:

    - `done`: stop; `completion()` is ready.
    - `insert` is an id: push that id, whatever the model would have said.
    - otherwise sample and push; `room` more tokens at most may be sampled before the row decides anew, so a sampler
      that decodes many tokens in one call asks for `room` of them.
    """

    __slots__ = ("_after", "_inserted", "_prefix_length", "_rule", "_seen", "done", "exit", "insert", "room", "sampled",
                 "stop")  # fmt: skip

    def __init__(self, rule: ForcedExit, params: SamplingParams, prefix: str) -> None:
        closed = CLOSE in prefix
        self._rule = rule
        # The prefix is spelled in ids only to be decoded together with what follows: CLOSE may straddle the two.
        self._seen: list[int] = rule.tokenizer.encode(prefix, add_special_tokens=False) if prefix else []
        self._prefix_length = len(self._seen)
        self._inserted = 0
        # The answer budget that opens once the thoughts close; None = this is the answer, or exit is never forced.
        self._after = None if params.think_budget is None or closed else params.answer_budget
        self.room = params.answer_budget if params.think_budget is None or closed else params.think_budget
        self.sampled: list[bool] = []
        self.insert: int | None = None
        self.done = False
        self.exit: Exit = "natural" if closed else "none"
        self.stop: Stop = "cap"

    @property
    def ids(self) -> list[int]:
        """The completion so far, prefix excluded."""
        return self._seen[self._prefix_length :]

    def push(self, token_id: int) -> None:
        """Tells the row its next token: `insert` if that is set, else what the model sampled."""
        assert not self.done, "a finished row was given another token"
        self._seen.append(token_id)
        if self.insert is not None:
            assert token_id == self.insert, f"the row asked for {self.insert}, not {token_id}"
            self.sampled.append(False)
            self._inserted += 1
            if self._inserted < len(self._rule.close_ids):
                self.insert = self._rule.close_ids[self._inserted]
            else:
                self.insert = None
                self._open_answer()
            return
        self.sampled.append(True)
        self.room -= 1
        if token_id in self._rule.eos_ids:
            self.done, self.stop = True, "eos"
            return
        if self.exit == "none" and self._rule.closes(self._seen):
            self.exit = "natural"
            if self._after is not None:
                self._open_answer()
        if self.room == 0:
            if self._after is None:
                self.done = True
            else:
                self.exit = "forced"
                self.insert = self._rule.close_ids[0]

    def _open_answer(self) -> None:
        assert self._after is not None
        self.room, self._after = self._after, None

    def completion(self, logprobs: Sequence[float] | None = None) -> Completion:
        """The finished row; `logprobs` [T] of the sampled tokens (what stands where one was inserted is set to 0)."""
        assert self.done, "the row is not finished"
        ids = self.ids
        if logprobs is not None:
            assert len(logprobs) == len(ids), f"{len(logprobs)} logprobs for {len(ids)} tokens"
            logprobs = tuple(p if own else 0.0 for p, own in zip(logprobs, self.sampled, strict=True))
        return Completion(
            token_ids=tuple(ids),
            sampled=tuple(self.sampled),
            logprobs=logprobs,
            text=self._rule.decode(ids[:-1] if self.stop == "eos" else ids),
            exit=self.exit,
            stop=self.stop,
        )
