"""What a check finds, and what all checks share."""

from __future__ import annotations

import math
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xreasoner.config import Recipe
from xreasoner.errors import ModelError
from xreasoner.model.hub import resolve_base

if TYPE_CHECKING:
    from xreasoner.check.rows import Stock
    from xreasoner.model.shards import Stored

State = Literal["ok", "warning", "failed"]
LIMIT_SECONDS = 300  # of one check, and of the rows of one stage


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was found, and how to `mend` it where it is not ok (empty where `what` says so)."""

    state: State
    what: str
    mend: str = ""


def ok(what: str) -> Finding:
    return Finding("ok", what)


def warning(what: str, mend: str = "") -> Finding:
    return Finding("warning", what, mend)


def failed(what: str, mend: str = "") -> Finding:
    return Finding("failed", what, mend)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan says of one stage, and of the evaluation: bytes at the peak of one device, what it has, and what
    vLLM's share of it lacks."""

    stage: str
    peak_bytes: int
    device_bytes: int
    vllm_lacks_bytes: int = 0


Estimates = Callable[[Recipe, Any], list[Estimate]]  # of a recipe and the base's tokenizer


class Context:
    """What is checked: a recipe and the folder of its run. What several checks need is found once, when it is first
    asked for. `estimates` tells the memory that each stage takes (None: nothing does)."""

    def __init__(self, recipe: Recipe, out: Path, estimates: Estimates | None = None) -> None:
        self.recipe, self.out, self.estimates = recipe, out, estimates
        self._open = ExitStack()

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    @cached_property
    def folder(self) -> Path:
        """A temporary folder, gone when the context ends."""
        return Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="xreasoner-check-")))

    @cached_property
    def base(self) -> Path:
        """The folder of the base. Weights that lie on the Hub are not fetched. Raises ModelError."""
        return resolve_base(self.recipe.model.base, weights=False)

    @cached_property
    def config(self) -> Any:
        """The base's configuration. Raises ModelError."""
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self.base, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # a broken file fails in many ways
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"{self.base}/config.json is not valid ({reason[:200]}): restore it from the original."
            ) from error

    @cached_property
    def shards(self) -> tuple[dict[str, list[Stored]], bool]:
        """As model.shards_of gives it."""
        from xreasoner.check.model import shards_of

        return shards_of(self.recipe.model.base, self.base)

    @cached_property
    def base_bytes(self) -> int:
        """Of the base's weights."""
        from xreasoner.model.shards import DTYPES

        tensors = [tensor for file in self.shards[0].values() for tensor in file]
        return sum(math.prod(t.shape) * DTYPES[t.dtype].itemsize for t in tensors)

    @cached_property
    def tokenizer(self) -> Any:
        """Raises ModelError."""
        from xreasoner.model.load import load_tokenizer

        return load_tokenizer(self.base)

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """All ids that end a turn, as the samplers take them. Raises ModelError where there are none."""
        from transformers import GenerationConfig

        from xreasoner.rollout.forced_exit import end_ids

        configs = [self.config, self.config.get_text_config()]
        if (self.base / "generation_config.json").is_file():
            configs.append(GenerationConfig.from_pretrained(self.base, local_files_only=True))
        return end_ids(self.tokenizer, *configs)

    @cached_property
    def positions(self) -> int:
        """Tokens that the model has positions for."""
        return int(self.config.get_text_config().max_position_embeddings)

    @cached_property
    def stocks(self) -> dict[str, Stock]:
        """The rows of every stage, or why there are none."""
        from xreasoner.check.rows import stock

        return {stage.name: stock(self.recipe, stage, self.folder) for stage in self.recipe.stages}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is tried. It is not tried where one of `needs`, names of checks before it, failed."""

    look: Callable[[Context], Iterator[Finding]]
    needs: tuple[str, ...] = ()


class _Late(BaseException):
    """Time is up. No Exception, which a library, or a check, would take for one of its own."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises TimeoutError when the block has taken so long, where this is the main thread. The time within an inner
    block counts for that one alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise _Late

    outer = signal.signal(signal.SIGALRM, late)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, outer)
            signal.setitimer(signal.ITIMER_REAL, left)  # 0: there is no outer block
    except _Late:
        raise TimeoutError(f"no result within {seconds} s") from None


def reason(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])[:300]


def plain(ids: list[int] | tuple[int, ...]) -> str:
    """Token ids, as a person compares them."""
    return "[" + ", ".join(map(str, ids)) + "]"
