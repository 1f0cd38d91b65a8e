"""A sampler over any provider of Inspect AI, so that a proprietary model can stand beside others in one table.

Providers give whole replies: thoughts that go on too long are cut, not closed, and how many tokens a model thinks may
be its own affair. Exits are natural or none, never forced; a table has to say so.
"""

from __future__ import annotations

from xreasoner.errors import RecipeError
from xreasoner.rollout.inspect_model import InspectModel
from xreasoner.rollout.reply import GivingUp, NoReply
from xreasoner.rollout.seeds import derive
from xreasoner.types import Completion, Prompt, SamplingParams

NOTE = "the provider gives whole replies, so no thoughts are closed by force there"


class ProvidedSampler:
    """Implements reply.OneByOne for the model `name`, such as "openai/gpt-4o", `at_once` questions at a time. Pictures
    are resized here where bounds are given. Raises ModelError where Inspect cannot use the model."""

    def __init__(
        self, name: str, *, at_once: int = 32, min_pixels: int | None = None, max_pixels: int | None = None
    ) -> None:
        self.name = name
        self._model = InspectModel(name, at_once=at_once, min_pixels=min_pixels, max_pixels=max_pixels)
        self._giving_up = GivingUp()

    async def complete(self, prompt: Prompt, params: SamplingParams, j: int = 0) -> Completion:
        """Completion `j` of one prompt, of both budgets together. Raises NoReply where this question stays without a
        reply, DataError where a picture cannot be read, ModelError where no question would get one."""
        if prompt.prefix:
            raise RecipeError(f"The model {self.name} cannot begin its replies with a given text: leave that out.")
        self._giving_up.check()
        room = (params.think_budget or 0) + params.answer_budget
        seed = derive(params.seed, prompt.seed, j)
        try:
            said = await self._model.chat(prompt.messages, max_tokens=room, temperature=params.temperature, seed=seed)
        except NoReply as none:
            self._giving_up.count(none)
            raise
        self._giving_up.count(None)
        # Where a provider does not count, nobody knows the length; words are a lower bound, and no reply has none.
        tokens = said.tokens if said.tokens is not None else max(1, len(said.text.split()))
        return Completion((), (True,) * tokens, None, said.text, said.exit, said.stop)
