"""A sampler over any OpenAI-compatible server, with forced exit where the server lets a turn be continued.

Think up to the budget; where the thoughts are still open, ask again behind them and `</think>`. No stop strings: few
servers tell a stop string from an end token. In ids (vLLM's raw completions) the rows of forced_exit read what comes
back, exactly as for the local sampler. In text an answer that comes with its thoughts is kept only where it is sure to
be the one that its own budget gives: at temperature 0 and short enough; else it is sampled anew behind the thoughts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from transformers import GenerationConfig

from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.model import load
from xreasoner.prompts import THINK_CLOSE as CLOSE
from xreasoner.rollout.encode import Encoder
from xreasoner.rollout.endpoint import PATIENCE, Endpoint, Patience
from xreasoner.rollout.forced_exit import ForcedExit, check_params, end_ids
from xreasoner.rollout.probe import Found, Protocol, probe
from xreasoner.rollout.reply import GivingUp, NoReply
from xreasoner.rollout.seeds import derive
from xreasoner.rollout.ways import Budget, Chat, Completions, Files, Said
from xreasoner.types import Completion, Exit, Prompt, SamplingParams, Stop

_FEWEST = 16  # thoughts may take this many times fewer tokens when they are read than when they were sampled
T = TypeVar("T")


class ServedSampler:
    """Implements types.Sampler and reply.OneByOne for one model at `url` ("http://localhost:8000/v1"), `at_once`
    questions at a time.

    `tokenizer` is a folder with the model's tokenizer and chat template: with it, questions without pictures go as raw
    completions where the server takes them, in ids where it gives ids. Others go as chat, whose last turn is continued
    where the server can; where it cannot, exits are natural or none, never forced. `protocol` insists on one of these;
    the server is asked what it can do when the sampler is made. Pictures are resized here where bounds are given.

    Seeds are derived as the local sampler's, but the luck is the server's own. Log-probabilities are not asked for:
    servers give those of the bare model, whatever the temperature.

    Raises RecipeError for an address or a key that cannot be, ModelError where nobody answers.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key_variable: str = "OPENAI_API_KEY",
        *,
        tokenizer: Path | None = None,
        protocol: Protocol = "auto",
        at_once: int = 32,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._endpoint = Endpoint(url, model, key_variable, at_once=at_once, patience=patience)
        files = None if tokenizer is None else _files(tokenizer)
        self._loop = asyncio.new_event_loop()  # of its own, for an evaluation has one already
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._gate = asyncio.Semaphore(at_once)
        self._giving_up = GivingUp()
        completions = None if files is None else Completions(endpoint=self._endpoint, files=files)
        chat = Chat(endpoint=self._endpoint, min_pixels=min_pixels, max_pixels=max_pixels)
        try:
            self.found: Found = self._submit(probe(completions, chat, protocol)).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connections; what is under way is dropped."""
        self._submit(self._endpoint.close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def __enter__(self) -> ServedSampler:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def generate(self, prompts: Sequence[Prompt], params: SamplingParams, n: int = 1) -> list[list[Completion]]:
        """`n` completions for every prompt, in order. Raises DataError, naming the question, where one stays without a
        reply, and ModelError where no question would get one."""
        check_params(params, n)
        groups = [[self._submit(self._named(p, params, j)) for j in range(n)] for p in prompts]
        try:
            return [[future.result() for future in group] for group in groups]
        finally:
            for future in (future for group in groups for future in group):
                future.cancel()

    async def complete(self, prompt: Prompt, params: SamplingParams, j: int = 0) -> Completion:
        """Completion `j` of one prompt. Raises NoReply where this question stays without a reply, DataError where a
        picture cannot be read, ModelError where no question would get a reply, or none with long thoughts."""
        return await asyncio.wrap_future(self._submit(self._one(prompt, params, j)))

    def _submit(self, task: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    async def _named(self, prompt: Prompt, params: SamplingParams, j: int) -> Completion:
        try:
            return await self._one(prompt, params, j)
        except NoReply as none:
            parts = [p for m in prompt.messages for p in ([m.content] if isinstance(m.content, str) else m.content)]
            question = " ".join(" ".join(p for p in parts if isinstance(p, str)).split())
            raise DataError(
                f"The server gave no answer to the question {question[-80:]!r} ({none.reason}): leave it out, or see "
                "to what the server complains of."
            ) from None

    async def _one(self, prompt: Prompt, params: SamplingParams, j: int) -> Completion:
        async with self._gate:
            self._giving_up.check()
            try:
                done = await self._ask(prompt, params, derive(params.seed, prompt.seed, j))
            except NoReply as none:
                self._giving_up.count(none)
                raise
            self._giving_up.count(None)
            return done

    async def _ask(self, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
        way = self.found.chat if self.found.text is None or any(m.images for m in prompt.messages) else self.found.text
        if way is None:
            raise DataError("A question holds a picture, but the server takes text alone: give it a chat interface.")
        if isinstance(way, Completions) and self.found.in_ids:
            return await _in_ids(way, prompt, params, seed)
        if isinstance(way, Chat) and not way.continues:
            return await _as_it_comes(way, prompt, params, seed)
        return await _in_text(way, prompt, params, seed)


async def _in_ids(way: Completions, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
    """The row reads what comes back, id by id; what comes behind its end is dropped."""
    rule, start = way.files.rule, way.files.encode(prompt).ids
    row, turn = rule.start(params, prompt.prefix), 0
    while not row.done:
        asked = way.say_ids([*start, *row.ids], Budget(row.room, params, _turn_seed(seed, turn)))
        said = await (_further(asked, params) if turn else asked)
        turn += 1
        for token in said.ids or ():
            row.push(token)
            if row.done or row.insert is not None:
                break
        else:
            if said.ending == "eos":
                row.push(min(rule.eos_ids))  # a server that leaves its end token out
        while row.insert is not None:
            row.push(row.insert)
    return row.completion()


async def _in_text(way: Completions | Chat, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
    """Two requests at most: thoughts, with or without what follows them, and the answer."""
    closed = CLOSE in prompt.prefix
    whole = params.think_budget is None or closed
    budget = params.answer_budget if whole else params.think_budget or 0
    answering = Budget(params.answer_budget, params, _turn_seed(seed, 1))
    first = await way.say(prompt, "", Budget(budget, params, seed))
    at = (prompt.prefix + first.text).find(CLOSE)
    end = at + len(CLOSE) - len(prompt.prefix)  # of the tag, in the first reply
    if whole or (at < 0 and first.ending != "cap"):
        return _completion(first.text, first.tokens, "none" if at < 0 else "natural", first)
    if at < 0:
        thoughts = first.text + CLOSE
        second = await _further(way.say(prompt, thoughts, answering), params)
        if second.prompt_tokens - first.prompt_tokens < first.tokens // _FEWEST:
            raise _too_small(params, "it did not read all of the thoughts that it was to go on from")
        return _completion(thoughts + second.text, first.tokens + second.tokens, "forced", second)
    answer = first.text[end:]
    short = first.tokens <= params.answer_budget or len(answer.encode()) < params.answer_budget  # a token has a byte
    if params.temperature == 0 and short and first.ending == "eos":
        return _completion(first.text, first.tokens, "natural", first)
    thoughts = first.text[:end]
    second = await _further(way.say(prompt, thoughts, answering), params)
    spent = min(max(second.prompt_tokens - first.prompt_tokens, 1), first.tokens)  # on the thoughts alone
    return _completion(thoughts + second.text, spent + second.tokens, "natural", second)


async def _as_it_comes(way: Chat, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
    """One reply of both budgets together: nothing can be forced."""
    if prompt.prefix:
        raise RecipeError("The server cannot begin its replies with a given text: evaluate without one.")
    said = await way.say(prompt, "", Budget((params.think_budget or 0) + params.answer_budget, params, seed))
    return _completion(said.text, said.tokens, "natural" if CLOSE in said.text else "none", said)


async def _further(asked: Awaitable[Said], params: SamplingParams) -> Said:
    """A reply behind the first one. Its refusal is not this question's own affair: longer thoughts are refused sooner,
    so that leaving those questions out would leave out the hard ones."""
    try:
        return await asked
    except NoReply as none:
        if none.refused:
            raise _too_small(params, none.reason) from None
        raise


def _too_small(params: SamplingParams, reason: str) -> ModelError:
    return ModelError(
        f"The server does not go on behind the first part of a completion ({reason}): give it a context that holds the "
        f"prompt, {params.think_budget or 0:,} tokens of thoughts and {params.answer_budget:,} of the answer, or lower "
        "the budgets."
    )


def _completion(text: str, tokens: int, exit: Exit, last: Said) -> Completion:
    stop: Stop = "eos" if last.ending == "eos" else "cap"
    return Completion((), (True,) * tokens, None, text, exit, stop)


def _turn_seed(seed: int, turn: int) -> int:
    """Each request of a completion has its own, or the answer would draw the same numbers as the thoughts."""
    return derive(seed, turn) if turn else seed


def _files(folder: Path) -> Files:
    tokenizer = load.load_tokenizer(folder)
    sees = (folder / "config.json").is_file() and load.is_vlm(folder)
    configs = []
    if (folder / "generation_config.json").is_file():
        try:
            configs.append(GenerationConfig.from_pretrained(folder))
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder}/generation_config.json does not load: restore or remove it.") from error
    encode = Encoder(tokenizer, load.load_processor(folder) if sees else None)
    return Files(encode, ForcedExit(tokenizer, end_ids(tokenizer, *configs)))
