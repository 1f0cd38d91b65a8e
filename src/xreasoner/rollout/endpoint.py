"""A model behind an OpenAI-compatible server, over HTTP, one reply a request.

What may pass is tried again (429, 5xx, broken connections, stalls, replies that are no JSON or lack what they must
have), a bounded number of times and ever more slowly. What asking again cannot mend stops all questions, and so does
an address where no reply ever came from. Nothing that a server says is trusted: replies are bounded, redirects are not
followed, and the key is cut out of every text.
https://platform.openai.com/docs/api-reference/chat/create; `reasoning_content` and `reasoning` are where vLLM, SGLang,
DeepSeek and OpenRouter keep the thoughts.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from xreasoner.errors import ModelError, RecipeError
from xreasoner.rollout.keys import excerpt, key_of, without
from xreasoner.rollout.pace import Pace
from xreasoner.rollout.reply import NoReply, Reply, reply, text_of
from xreasoner.types import Message

PASSING = {408, 409, 425, 429}  # and all from 500
QUESTION = {400, 413, 422}  # about what was asked: too long, or a parameter that the server does not know
_ENDINGS = ("stop", "length", "content_filter")  # of a reply that may be empty
_ABSENT = {404, 405, 501}  # no such path, or no such model
T = TypeVar("T")
_LOG = logging.getLogger(__name__)
logging.getLogger("httpcore").setLevel(logging.INFO)  # below, it shows headers, where a server may say the key back


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a question is tried, and how long one try may take."""

    tries: int = 8
    first_tries: int = 4  # that find no server, or a web page, before any reply has ever come
    timeouts: int = 2  # tries that may run out of time
    first_wait_seconds: float = 1.0  # between tries, doubled each time, or as long as a server asks for, and
    longest_wait_seconds: float = 60.0  # never longer
    connect_seconds: float = 10.0
    request_seconds: float = 120.0  # for a whole request, however it drips, and
    tokens_per_second: float = 10.0  # as long as its tokens take at this speed
    reply_bytes: int = 32 * 2**20

    def limit_seconds(self, max_tokens: int) -> float:
        """How long a try may take."""
        return self.request_seconds + max_tokens / self.tokens_per_second


PATIENCE = Patience()


class _Trouble(Exception):
    """A try that failed and may be repeated, not before `wait_seconds` have passed; `astray`: there seems to be no
    server of models."""

    def __init__(self, reason: str, wait_seconds: float = 0.0, astray: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.wait_seconds, self.astray = reason, wait_seconds, astray


class Endpoint:
    """Implements reply.Chat for one model at `url` ("http://localhost:8000/v1").

    The key is what the environment variable `key_variable` holds; where it holds nothing, none is sent. Up to
    `at_once` connections are kept, and no more than `per_minute` requests start in a minute, repeated ones included.
    Raises RecipeError where the URL or the key cannot be used.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key_variable: str,
        *,
        at_once: int = 8,
        per_minute: float | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self.model, self.url, self.patience = model, _checked(url), patience
        self._key_variable, key = key_variable, key_of(key_variable)
        self._secrets = [key] if key else []
        self._pace = Pace(per_minute)
        self._heard = False  # whether a reply has ever come
        self._refusal: ModelError | None = None
        self._troubles = Counter[str]()
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            self._http = httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(None, connect=patience.connect_seconds),
                limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            )
        except (ImportError, ValueError) as error:
            raise RecipeError(
                f"The proxy that the environment names cannot be used ({type(error).__name__}): mend or unset it."
            ) from None

    async def close(self) -> None:
        await self._http.aclose()

    async def chat(self, messages: Sequence[Message], *, max_tokens: int, temperature: float, seed: int) -> Reply:
        """One reply of at most `max_tokens`, thoughts included. Raises as reply.Chat says."""
        body = {
            "model": self.model,
            "messages": [{"role": m.role, "content": text_of(m)} for m in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed & 0x7FFFFFFF,  # what every server's integers hold
        }
        return await self.post("/chat/completions", body, self._read)

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        read: Callable[[Any], T],
        *,
        optional: bool = False,
    ) -> T:
        """What `read` makes of the JSON that comes back; where it raises ValueError, LookupError, TypeError or
        AttributeError the reply is not what was asked for. `body` holds `max_tokens`, which sets the time limit.

        `optional`: the server may be unable to do this. A path that is missing, and a model's reply that lacks what
        was asked for, are then refusals of this question alone. Raises as reply.Chat says.
        """
        limit_seconds = self.patience.limit_seconds(body["max_tokens"])
        tries = self.patience.tries
        late = astray = 0
        for attempt in range(tries):
            await self._pace.turn()
            if self._refusal:
                raise self._refusal
            try:
                async with asyncio.timeout(limit_seconds):
                    said = await self._try(path, body, read, optional)
                self._heard = True
                return said
            except TimeoutError:
                trouble, late = _Trouble(f"no reply within {limit_seconds:g} s"), late + 1
            except (httpx.ConnectError, httpx.ConnectTimeout):
                trouble = _Trouble("no connection", astray=True)
            except (httpx.HTTPError, OSError) as error:
                trouble = _Trouble(f"the connection broke ({type(error).__name__})")
            except _Trouble as error:
                trouble = error
            except ModelError as error:
                self._refusal = error  # who waits for a further try leaves it, who waits for a reply still gets it
                raise
            astray += trouble.astray
            if astray == self.patience.first_tries and not self._heard:
                self._refusal = ModelError(
                    f"No model answers at {self.url} ({trouble.reason}): start its server, or mend the address (it "
                    "often ends in /v1)."
                )
                raise self._refusal
            self._tell(trouble)
            if late == self.patience.timeouts:
                break
            if attempt + 1 < tries:
                await self._rest(attempt, trouble)
        raise NoReply(trouble.reason)

    async def _try(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T], optional: bool) -> T:
        async with self._http.stream("POST", self.url + path, json=body) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > self.patience.reply_bytes:
                    raise _Trouble(f"a reply of more than {self.patience.reply_bytes:,} bytes")
        if not response.is_success:
            raise self._error(response, bytes(content), optional)
        try:
            return read(json.loads(content))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            if optional and _of_a_model(bytes(content)):
                raise NoReply("its reply lacks what was asked for", refused=True) from None
            kind = excerpt(response.headers.get("content-type", "of no type"), self._secrets, 40)
            page = content.lstrip().startswith(b"<")
            raise _Trouble(f"a reply that is not what was asked for ({kind})", astray=page) from None

    def _read(self, document: Any) -> Reply:
        said, thoughts, ending = self.message(document)
        usage = document.get("usage")
        tokens, prompt_tokens = count_of(usage, "completion_tokens"), count_of(usage, "prompt_tokens")
        return reply(said, thoughts, cut=ending != "stop", tokens=tokens, prompt_tokens=prompt_tokens)

    def message(self, document: Any) -> tuple[str, str, str | None]:
        """(what was said, the thoughts where the server keeps these apart, finish_reason) of a chat's reply."""
        choice = document["choices"][0]
        message, ending = choice["message"], choice.get("finish_reason")
        said, thoughts = message.get("content"), message.get("reasoning_content") or message.get("reasoning") or ""
        if said is None and (thoughts or ending in _ENDINGS):
            said = ""
        if not isinstance(said, str) or not isinstance(thoughts, str) or ending == "error":
            raise ValueError("no message")
        return self.clean(said), self.clean(thoughts), ending

    def clean(self, text: str) -> str:
        """`text` without the key."""
        return without(text, self._secrets)

    def _error(self, response: httpx.Response, content: bytes, optional: bool) -> Exception:
        status = response.status_code
        if (status >= 500 and status != 501) or status in PASSING:
            page = content.lstrip().startswith(b"<")
            return _Trouble(f"HTTP {status}", _retry_after(response.headers.get("retry-after")), astray=page)
        reason = response.headers.get("location") or _message(content)
        said = f"{status}: {excerpt(reason, self._secrets) or 'no reason given'}"
        if status in QUESTION or (optional and status in _ABSENT):
            return NoReply(f"it refused the question ({said})", refused=True)
        if status in (401, 403):
            mend = f"set the environment variable {self._key_variable} to a key that may use {self.model}"
        elif status in _ABSENT:
            mend = f"check that its address ends as the server wants it (often in /v1) and that it serves {self.model}"
        elif 300 <= status < 400:
            mend = "give the address that it redirects to"
        else:
            mend = "mend what it complains of"
        return ModelError(f"The endpoint {self.url} turned the request down ({said}): {mend}.")

    async def _rest(self, attempt: int, trouble: _Trouble) -> None:
        longest = self.patience.longest_wait_seconds
        self._pace.pause(min(longest, trouble.wait_seconds))
        wait = min(longest, self.patience.first_wait_seconds * 2**attempt)
        await asyncio.sleep(wait * (0.5 + random.random() / 2))  # not all at the same moment

    def _tell(self, trouble: _Trouble) -> None:
        """The first of its kind for all to see, so that a run that seems to stand still says why."""
        self._troubles[trouble.reason] += 1
        level = logging.WARNING if self._troubles[trouble.reason] == 1 else logging.DEBUG
        _LOG.log(level, "%s: %s; trying again", self.url, trouble.reason)


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    port = 80 if parsed.port is None else parsed.port
    if parsed.scheme not in ("http", "https") or not parsed.host or not 0 < port < 65536:
        raise RecipeError("The endpoint is no address of a server: write it as in http://localhost:8000/v1.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise RecipeError(
            f"The endpoint at {parsed.host} has a user, a key or a query in its address: leave these out, and put the "
            "key into an environment variable."
        )
    return url.rstrip("/")


def _message(content: bytes) -> str:
    """What an error's body says: the message of OpenAI's form, or all of it."""
    text = content[:65536].decode("utf-8", "replace")
    try:
        error = json.loads(text)["error"]
        return str(error["message"]) if isinstance(error, dict) else str(error)
    except (ValueError, LookupError, TypeError, RecursionError):
        return text


def _of_a_model(content: bytes) -> bool:
    """Whether a reply is a model's, whatever it lacks, and not an error's or a web page."""
    try:
        choice = json.loads(content)["choices"][0]
        return choice.get("finish_reason") != "error"  # what OpenRouter says of a model that broke off
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False


def _retry_after(value: str | None) -> float:
    """Seconds of a Retry-After header, which holds seconds or a date; 0 where it holds neither."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def count_of(usage: Any, key: str) -> int | None:
    """A count of tokens that a server told, None where it told none that can be."""
    value = usage.get(key) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
