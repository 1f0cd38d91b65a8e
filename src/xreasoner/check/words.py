"""Text to ids and back: the tokenizer, the chat template, the think tags."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from xreasoner.check.finding import Context, Finding, failed, ok, plain, warning
from xreasoner.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from xreasoner.types import Example, Message

HARD = {  # kind of text -> what is to come back as it was
    "runs of spaces": "a  b   c and  d",
    "line breaks": "one\ntwo\n\nthree\n",
    "indents": "if x:\n    y = 1\n\tz",
    "digits": "1234567890 3.14159 1,000,000",
    "LaTeX": r"$\frac{1}{2}\sqrt{x_{1}^{2}}$ \boxed{\text{A}}",
    "unicode": "naïve Ω ≤ ∑ 数学 🙂",
}
_ROWS = 32  # of each stage
_FALLBACK = Example("example", (Message("user", "What is 2 + 3?"),), "5", "number")


def check_tokenizer(context: Context) -> Iterator[Finding]:
    """decode(encode(text)) == text, of hard strings and of the recipe's own rows."""
    lost = [kind for kind, text in HARD.items() if _back(context.tokenizer, text) != text]
    tried = [text for example in _examples(context) for text in _texts(example)]
    torn = [text for text in tried if _back(context.tokenizer, text) != text]
    if torn:
        shown, back = torn[0], _back(context.tokenizer, torn[0])
        at = next((i for i, (a, b) in enumerate(zip(shown, back, strict=False)) if a != b), min(len(shown), len(back)))
        yield failed(
            f"{len(torn)} of {len(tried)} texts of this recipe's rows come back changed: {shown[at : at + 30]!r} as "
            f"{back[at : at + 30]!r}",
            "take the tokenizer that the model was trained with",
        )
    if lost and (torn or not tried):
        yield failed(f"it loses {', '.join(lost)}", "take the tokenizer that the model was trained with")
    elif lost:
        yield ok(f"all {len(tried)} texts of this recipe's rows come back whole; others would lose {', '.join(lost)}")
    elif not torn:
        own = f" and {len(tried)} texts of this recipe's rows" if tried else ""
        yield ok(f"{len(context.tokenizer):,} tokens; {', '.join(HARD)}{own} come back whole")


def check_template(context: Context) -> Iterator[Finding]:
    """A conversation through the chat template, as samplers are asked and as SFT trains."""
    from xreasoner.data.render import IGNORED, prompt_text, render

    tokenizer, example = context.tokenizer, next((e for e in _examples(context) if not e.images), _FALLBACK)
    reply = example.response or f"{THINK_OPEN} a {THINK_CLOSE} {ANSWER_OPEN} {example.gold} {ANSWER_CLOSE}"
    example = Example("a row", example.messages, example.gold, example.verifier, response=reply)
    question = next(text for text in _texts(Example("", example.messages, "", "")))
    prompt = prompt_text(example.messages, tokenizer)
    chat = [{"role": m.role, "content": _words(m)} for m in example.messages]
    whole = tokenizer.apply_chat_template([*chat, {"role": "assistant", "content": reply}], tokenize=False)
    if question not in prompt:
        yield failed("it leaves out what the user says", "restore the model's own chat template")
    row = render(example, tokenizer, 2**31, "drop")
    trained = [i for i, label in zip(row.input_ids, row.labels, strict=True) if label != IGNORED]
    end = tokenizer.eos_token_id
    ends = _end_after(reply, whole, context)
    if ends is None:
        yield failed(
            "no end token follows the assistant's turn in it, so that nothing tells where a turn ends",
            "restore the model's own chat template",
        )
    elif ends != end:
        yield warning(
            f"turns end with {_name(tokenizer, ends)} in the template, with {_name(tokenizer, end)} in training; both "
            "stop a sampler",
            "set eos_token in tokenizer_config.json to the template's",
        )
    if not whole.startswith(prompt):
        yield warning("it writes past turns otherwise than a prompt (thoughts may be left out of them)")
    stops = ", ".join(_name(tokenizer, i) for i in sorted(context.stop_ids))
    if question in prompt and ends is not None:
        yield ok(
            f"{len(trained):,} of {len(row.input_ids):,} tokens of a row are trained, the end token included; turns "
            f"stop at {stops}"
        )


def check_tags(context: Context) -> Iterator[Finding]:
    """Every spelling of the tags as ids, and that forced exit sees each of those that close thoughts."""
    from xreasoner.rollout.forced_exit import ForcedExit

    tokenizer = context.tokenizer
    rule = ForcedExit(tokenizer, context.stop_ids)
    for tag in (THINK_OPEN, THINK_CLOSE, ANSWER_CLOSE):
        alone, spaced, ended = _ids(tokenizer, tag), _ids(tokenizer, f" {tag}"), _ids(tokenizer, f"{tag}\n")
        kind = "one token" if len(alone) == 1 else f"{len(alone)} tokens"
        if len(alone) == 1 and not tokenizer.decode(alone, skip_special_tokens=True):
            kind = "one special token, which servers leave out of texts unless asked for"
        yield ok(f"{tag} is {plain(alone)}, {kind}; after a space {plain(spaced)}, before a line break {plain(ended)}")
    missed = [name for name, ids in spellings(tokenizer).items() if not _seen(rule, ids)]
    if missed:
        yield failed(
            f"forced exit does not see {THINK_CLOSE} written as {', '.join(missed)}",
            "take the tokenizer that the model was trained with",
        )
    else:
        yield ok(f"forced exit sees {THINK_CLOSE} in all of its {len(spellings(tokenizer))} spellings")


def spellings(tokenizer: Any) -> dict[str, list[int]]:
    """The ids of thoughts that the closing tag ends, in the ways that models write it."""
    before, pieces = _ids(tokenizer, "a"), ("<", "/", "think", ">")
    apart = [i for piece in pieces for i in _ids(tokenizer, piece)]
    found = {repr(text): before + _ids(tokenizer, text) for text in (THINK_CLOSE, " " + THINK_CLOSE)}
    found |= {repr(THINK_CLOSE + end): before + _ids(tokenizer, THINK_CLOSE + end) for end in ("\n", "\n\n", " <")}
    if THINK_CLOSE in tokenizer.decode(apart):
        found["'<' '/' 'think' '>'"] = before + apart
    return found


def _seen(rule: Any, ids: list[int]) -> bool:
    return any(rule.closes(ids[:n]) for n in range(1, len(ids) + 1))


def _end_after(reply: str, whole: str, context: Context) -> int | None:
    """The first token after the assistant's words, if it ends a turn; blanks before it do not count."""
    _, found, after = whole.rpartition(reply)
    if not found:  # a template that leaves thoughts out: what follows the answer alone
        after = whole.rpartition(reply.rpartition(THINK_CLOSE)[2].strip())[2]
    ids = (i for i in _ids(context.tokenizer, after) if context.tokenizer.decode([i]).strip())
    first = next(ids, None)
    return first if first in context.stop_ids else None


def _examples(context: Context) -> Iterator[Example]:
    for stock in context.stocks.values():
        yield from islice(stock.examples, _ROWS)


def _texts(example: Example) -> Iterator[str]:
    yield from filter(None, map(_words, example.messages))
    if example.response:
        yield example.response


def _words(message: Message) -> str:
    content = message.content
    return content if isinstance(content, str) else "".join(part for part in content if isinstance(part, str))


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _back(tokenizer: Any, text: str) -> str:
    ids = _ids(tokenizer, text)
    back: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return back


def _name(tokenizer: Any, token: int) -> str:
    return f"{tokenizer.convert_ids_to_tokens(token)} ({token})"
