"""Teachers: who answers questions, and gives the answers as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Protocol

from xreasoner.config import TeacherSpec
from xreasoner.rollout.reply import Chat, NoReply, Reply, of_completion
from xreasoner.rollout.seeds import derive
from xreasoner.types import Example, Prompt, Sampler, SamplingParams

_CHUNK = 64  # questions that a sampler is given together
Place = tuple[int, int]  # the number of a question among all, and of one of its samples


@dataclass(frozen=True, slots=True)
class Sample:
    """What a teacher said to a question the so-manieth time, or why it said nothing."""

    place: Place
    reply: Reply | NoReply


class Teacher(Protocol):
    """`identity` tells it from others in a folder of samples."""

    identity: str

    def samples(
        self, questions: Sequence[Example], missing: Iterable[Place], params: SamplingParams, hold: Callable[[], bool]
    ) -> Iterator[list[Sample]]:
        """The `missing` samples (in ascending order), those together that arrive together. A sample depends on
        (params, its question and place) alone, as far as the teacher can be seeded. While `hold` is true none is begun;
        the iteration ends when it still is once all that was under way has arrived. Raises ModelError, then too, where
        the teacher answers nobody."""
        ...


class SamplerTeacher:
    """A model in this process. A question of which samples are missing is sampled from its first one on, since a
    sampler's luck hangs on that: what is there already is not given again."""

    def __init__(self, sampler: Sampler, identity: str = "a model of this run") -> None:
        self.identity, self._sampler = identity, sampler

    def samples(
        self, questions: Sequence[Example], missing: Iterable[Place], params: SamplingParams, hold: Callable[[], bool]
    ) -> Iterator[list[Sample]]:
        groups = ((i, {j for _, j in places}) for i, places in groupby(missing, key=lambda place: place[0]))
        while not hold() and (chunk := list(islice(groups, _CHUNK))):
            prompts = [Prompt(questions[i].messages, seed=derive(params.seed, i)) for i, _ in chunk]
            done = self._sampler.generate(prompts, params, 1 + max(j for _, numbers in chunk for j in numbers))
            yield [
                Sample((i, j), of_completion(group[j]))
                for (i, numbers), group in zip(chunk, done, strict=True)
                for j in sorted(numbers)
            ]


class ChatTeacher:
    """A model outside of this process, up to `at_once` questions at a time. It serves one call of `samples`, and closes
    `chat` behind it."""

    def __init__(self, chat: Chat, identity: str, at_once: int) -> None:
        self.identity, self._chat, self._at_once = identity, chat, at_once

    def samples(
        self, questions: Sequence[Example], missing: Iterable[Place], params: SamplingParams, hold: Callable[[], bool]
    ) -> Iterator[list[Sample]]:
        asked = (_ask(self._chat, questions[i], (i, j), params) for i, j in missing)
        with asyncio.Runner() as runner:
            try:
                yield from _as_they_come(runner, asked, self._at_once, hold)
            finally:
                runner.run(self._chat.close())


async def _ask(chat: Chat, question: Example, place: Place, params: SamplingParams) -> Sample:
    tokens = (params.think_budget or 0) + params.answer_budget
    seed = derive(params.seed, *place)
    try:
        said = await chat.chat(question.messages, max_tokens=tokens, temperature=params.temperature, seed=seed)
    except NoReply as none:
        return Sample(place, none)
    return Sample(place, said)


def _as_they_come(
    runner: asyncio.Runner, asked: Iterator[Coroutine[None, None, Sample]], at_once: int, hold: Callable[[], bool]
) -> Iterator[list[Sample]]:
    """Runs up to `at_once` of the questions at a time. After the first that raises, and while `hold` is true, no more
    are begun; those under way are awaited, for their answers are paid for."""
    under_way = set[asyncio.Task[Sample]]()
    failure: BaseException | None = None
    while True:
        if failure is None and not hold():
            under_way |= {runner.get_loop().create_task(one) for one in islice(asked, at_once - len(under_way))}
        if not under_way:
            break
        done, under_way = runner.run(asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED))
        failure = failure or next((task.exception() for task in done if task.exception()), None)
        if arrived := [task.result() for task in done if not task.exception()]:
            yield arrived
    if failure:
        raise failure


def teacher_of(spec: TeacherSpec) -> Teacher:
    """The teacher that a recipe or a command names; a model in this process is loaded now.

    Raises ModelError or RecipeError where it cannot be used.
    """
    at_once, per_minute = spec.requests_at_once, spec.requests_per_minute
    if spec.endpoint is not None:
        from xreasoner.rollout.endpoint import Endpoint

        endpoint = Endpoint(spec.endpoint, spec.model, spec.api_key_variable, at_once=at_once, per_minute=per_minute)
        return ChatTeacher(endpoint, spec.model, at_once)
    if spec.inspect_name is not None:
        from xreasoner.rollout.inspect_model import InspectModel

        model = InspectModel(spec.inspect_name, at_once=at_once, per_minute=per_minute)
        return ChatTeacher(model, spec.model, at_once)
    from xreasoner.model.hub import resolve_model
    from xreasoner.rollout.local import LocalSampler
    from xreasoner.runs import folder_hash

    folder = resolve_model(spec.model)
    return SamplerTeacher(LocalSampler.from_dir(folder), f"{folder.resolve().name} {folder_hash(folder)[:16]}")
