"""What a server can do for forced exit, found out with a few questions of one token each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from xreasoner.errors import ModelError
from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.rollout.reply import NoReply
from xreasoner.rollout.ways import Budget, Chat, Completions, Said
from xreasoner.types import Message, Prompt, SamplingParams

Protocol = Literal["auto", "completions", "chat", "plain"]
_PROMPT = Prompt((Message("user", "Count."),))
_BUDGET = Budget(1, SamplingParams(None, 1), 0)
_WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_THOUGHTS = f"{THINK_OPEN}{_WORDS}{THINK_CLOSE}"
_N_WORDS = len(_WORDS.split())  # no tokenizer writes them in fewer tokens


@dataclass(frozen=True)
class Found:
    """How a server is asked: `text` for prompts without pictures where it takes raw completions, in ids where `in_ids`;
    `chat` for all others, or None where it has no chat. `notes` are sentences for a person."""

    text: Completions | None
    in_ids: bool
    chat: Chat | None
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The protocol in words: what results depend on."""
        chat = self.chat and ("continued chat" if self.chat.continues else "plain chat")
        text = self.text and ("completions in ids" if self.in_ids else "completions in text")
        return ", ".join(part for part in (text, chat) if part)


async def probe(completions: Completions | None, chat: Chat, wanted: Protocol) -> Found:
    """Asks with both ways and keeps what works. Raises ModelError where nothing does, or not what was `wanted`, or
    where a question stays without a reply: only a refusal tells that a server cannot do something."""
    notes: list[str] = []
    text, in_ids = None, False
    try:
        if completions is not None and wanted in ("auto", "completions"):
            text, in_ids = await _completions(replace(completions, probing=True), notes)
        talk = await _chat(replace(chat, probing=True), wanted, notes)
    except NoReply as none:
        raise ModelError(
            f"The server at {chat.endpoint.url} leaves a question of one word without a reply ({none.reason}): start "
            "it, or wait until it is well, and run the same command again."
        ) from None
    if text is None and talk is None:
        found = "; ".join(note[0].lower() + note[1:].removesuffix(".") for note in notes)
        raise ModelError(
            f"The server at {chat.endpoint.url} answers no question of one word; {found}: name a model that it serves, "
            "or mend the address (it often ends in /v1)."
        )
    if wanted == "completions" and text is None:
        raise ModelError(f"The server takes no raw completions: {' '.join(notes) or 'name the tokenizer.'}")
    if wanted == "chat" and not (talk and talk.continues):
        raise ModelError(f"The server cannot continue a turn of the assistant: {' '.join(notes)}")
    if any(way is not None and not way.extras for way in (text, talk)):
        notes.append("It refuses repetition_penalty, top_k and min_p: its own defaults for them may act.")
    return Found(text and replace(text, probing=False), in_ids, talk and replace(talk, probing=False), tuple(notes))


async def _completions(way: Completions, notes: list[str]) -> tuple[Completions | None, bool]:
    """The way, and whether it speaks in ids. A server's count of a prompt must be ours: another one has another
    vocabulary, or puts tokens in front."""
    ids = way.files.encode(_PROMPT).ids
    reason = ""
    for in_ids in (True, False):
        for extras in (True, False):
            asked = replace(way, extras=extras)
            try:
                said = await (asked.say_ids(ids, _BUDGET) if in_ids else asked.say(_PROMPT, "", _BUDGET))
            except NoReply as none:
                reason = _refusal(none)
                continue
            if said.prompt_tokens == len(ids):
                return asked, in_ids
            reason = f"it counts {said.prompt_tokens} tokens where the tokenizer that was named makes {len(ids)}"
    notes.append(f"Raw completions are not used ({reason}).")
    return None, False


async def _chat(way: Chat, wanted: Protocol, notes: list[str]) -> Chat | None:
    """The way, which continues where the server can."""
    base: Said | None = None
    for extras in (True, False):
        way = replace(way, extras=extras)
        try:
            base = await way.say(_PROMPT, "", _BUDGET)
            break
        except NoReply as none:
            reason = _refusal(none)
    if base is None:
        notes.append(f"Chat is not used ({reason}).")
        return None
    if wanted == "plain":
        return replace(way, continues=False)
    try:
        short = (await way.say(_PROMPT, "one", _BUDGET)).prompt_tokens
        long = (await way.say(_PROMPT, _THOUGHTS, _BUDGET)).prompt_tokens
        apart = (await way.say(_PROMPT, _THOUGHTS, _BUDGET, new_turn=True)).prompt_tokens
    except NoReply as none:
        notes.append(f"Chat is not continued ({_refusal(none)}).")
        return replace(way, continues=False)
    if short <= base.prompt_tokens:
        notes.append("Chat is not continued: the chat template opens the thoughts itself, or drops what was said.")
    elif long - base.prompt_tokens < _N_WORDS:
        notes.append("Chat is not continued: the chat template drops the thoughts of the assistant's turn.")
    elif apart <= long:
        notes.append("Chat is not continued: the server does not know continue_final_message.")
    else:
        return way
    return replace(way, continues=False)


def _refusal(none: NoReply) -> str:
    """Why a server cannot do something. What may pass is raised on, for it tells nothing, and what is found here
    decides how a whole evaluation is asked."""
    if not none.refused:
        raise none
    return none.reason
