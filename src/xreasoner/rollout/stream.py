"""One completion as it is sampled, from any model that transformers generates with: what a talk in the terminal needs.

The local sampler knows the VLM families and decodes batches. Here transformers' own `generate` runs the model, so that
its cache, positions and pictures are right whatever the architecture, and a logits processor decides every token: the
forced exit's, or the one that the local sampler would draw for the same seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import PIL.Image
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from xreasoner.errors import DataError, ModelError
from xreasoner.model import load
from xreasoner.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from xreasoner.rollout.draw import draw
from xreasoner.rollout.forced_exit import ForcedExit, Row, check_params, end_ids
from xreasoner.rollout.seeds import derive, uniforms
from xreasoner.types import Completion, Image, Message, SamplingParams

_TAGS = {THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE}
_HELD = 8  # tokens that may wait for the rest of a character, which has at most four bytes


class Speaker:
    """A model that answers one conversation at a time, aloud.

    `sees` tells whether it takes pictures, `context` how many tokens it has positions for (None: no limit known).
    Only the end tokens of its generation_config are used, and the rest of it is replaced.
    """

    def __init__(self, model: Any, tokenizer: Any, processor: Any = None) -> None:
        """Raises ModelError where there is no chat template, no end token, or no way to spell the tags."""
        configs = (model.config, model.config.get_text_config(), getattr(model, "generation_config", None))
        self._rule = ForcedExit(tokenizer, end_ids(tokenizer, *configs))
        self._renderer = tokenizer if processor is None else processor
        self._template = getattr(processor, "chat_template", None) or tokenizer.chat_template
        if not self._template:
            raise ModelError("The checkpoint has no chat template: talk to one that was tuned to follow instructions.")
        # In some vocabularies the tags are special; any other special token in a message would be read as structure.
        added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special} - _TAGS
        self._structure = re.compile("|".join(map(re.escape, sorted(added, key=len, reverse=True))) or r"(?!)")
        self._model = model
        model.generation_config = GenerationConfig(
            eos_token_id=sorted(self._rule.eos_ids), pad_token_id=min(self._rule.eos_ids)
        )
        self.sees: bool = processor is not None
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    @classmethod
    def from_dir(cls, model_dir: str | Path) -> Speaker:
        """By folder or Hugging Face id, on the GPU where there is one. Raises ModelError where it cannot be loaded."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(*load.load_any(model_dir, device=device))

    def answer(self, messages: Sequence[Message], params: SamplingParams, on_text: Callable[[str], None]) -> Completion:
        """The completion of `messages`; `on_text` is called with each new piece of its text while it is sampled.

        An exception in `on_text`, or Ctrl-C, ends the sampling and leaves nothing behind. Raises RecipeError for
        params without meaning; DataError where a picture cannot be read, the chat template refuses the messages, or
        they leave no room for the budgets.
        """
        check_params(params)
        inputs = self._encode(messages)
        closing = 0 if params.think_budget is None else params.think_budget + len(self._rule.close_ids)
        length, most = inputs["input_ids"].shape[1], closing + params.answer_budget
        if self.context is not None and length + most > self.context:
            raise DataError(
                f"The talk has {length} tokens, and thoughts and answer of up to {most} more exceed the {self.context} "
                "that the model reads: begin anew or lower the budgets."
            )
        row = self._rule.start(params)
        turn = _Turn(row, params, _Pieces(self._rule.decode), on_text)
        with torch.inference_mode():
            self._model.generate(
                **inputs,
                max_new_tokens=most,
                do_sample=False,
                logits_processor=LogitsProcessorList([turn]),
                stopping_criteria=StoppingCriteriaList([_Done(row)]),
            )
        return row.completion(turn.logprobs)

    def _encode(self, messages: Sequence[Message]) -> Any:
        chat = [{"role": m.role, "content": self._content(m.content)} for m in messages]
        try:
            inputs = self._renderer.apply_chat_template(
                chat,
                chat_template=self._template,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        # what templates and processors of any origin raise for what they do not take
        except (jinja2.TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            raise DataError(
                f"The model's chat template does not take these messages ({error}): begin anew or word them otherwise."
            ) from error
        return inputs.to(self._model.device)

    def _content(self, content: str | tuple[str | Image, ...]) -> str | list[dict[str, Any]]:
        """Parts for processors, a text for tokenizers: the templates of each know only their own."""
        parts = (content,) if isinstance(content, str) else content
        if not self.sees:
            if any(isinstance(part, Image) for part in parts):
                raise DataError("The model is text-only: give the picture to a vision-language model.")
            return "".join(self._plain(part) for part in parts if isinstance(part, str))
        return [
            {"type": "image", "image": read_picture(part.path)}
            if isinstance(part, Image)
            else {"type": "text", "text": self._plain(part)}
            for part in parts
        ]

    def _plain(self, text: str) -> str:
        found = 1
        while found:  # taking one out may join the halves of another
            text, found = self._structure.subn("", text)
        return text


def read_picture(path: str | Path) -> PIL.Image.Image:
    """A picture file in RGB. Raises DataError where it is missing or cannot be read."""
    try:
        with PIL.Image.open(path) as picture:
            return picture.convert("RGB")
    # Pillow's decoders raise SyntaxError and ValueError on torn files
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"The picture {path} cannot be read ({why}): give the path of an image file.") from error


class _Turn(LogitsProcessor):
    """Decides each token, tells the row, and says its text."""

    def __init__(self, row: Row, params: SamplingParams, pieces: _Pieces, on_text: Callable[[str], None]) -> None:
        self._row, self._params, self._pieces, self._on_text = row, params, pieces, on_text
        self._seeds = np.array([derive(params.seed, 0, 0)], dtype=np.uint64)
        self.logprobs: list[float] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """`scores` [1, V]; all but the decided token become -inf."""
        token = self._decide(scores)
        only = torch.full_like(scores, -torch.inf)
        only[:, token] = 0.0
        return only

    def _decide(self, logits_BV: Tensor) -> int:
        row = self._row
        if row.done:  # on a GPU transformers learns one step later that the row has ended
            return row.ids[-1]
        u_B = torch.from_numpy(uniforms(self._seeds, len(self.logprobs))).to(logits_BV.device)
        tokens_B, logprobs_B = draw(logits_BV, u_B, self._params.temperature, self._params.top_p)
        token = int(tokens_B) if row.insert is None else row.insert
        row.push(token)
        self.logprobs.append(float(logprobs_B))
        text = "" if row.done and row.stop == "eos" else self._pieces.push(token)
        if row.done:
            text += self._pieces.rest()
        if text:
            self._on_text(text)
        return token


class _Done(StoppingCriteria):
    def __init__(self, row: Row) -> None:
        self._row = row

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full(input_ids.shape[:1], self._row.done, device=input_ids.device)


class _Pieces:
    """The text of a growing row of tokens, in pieces that together are the decoded whole.

    A token's text may depend on the one before it (a stripped space) and may be half a character, so that tokens are
    decoded behind those of the last piece and wait until a character is complete.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._context: list[int] = []
        self._waiting: list[int] = []

    def push(self, token_id: int) -> str:
        self._waiting.append(token_id)
        text = self._text()
        if not text or (text.endswith("\ufffd") and len(self._waiting) < _HELD):
            return ""
        self._context, self._waiting = self._waiting, []
        return text

    def rest(self) -> str:
        return self._text() if self._waiting else ""

    def _text(self) -> str:
        return self._decode(self._context + self._waiting)[len(self._decode(self._context)) :]
