"""Multiple choice: which option an answer names, by its letter or by its text."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

from xreasoner.verify.extract import unwrapped
from xreasoner.verify.numbers import undelimited

_LETTERS = string.ascii_uppercase
_LETTERS_WITHOUT_OPTIONS = 12  # A to L: no benchmark has more (MMMU-Pro has one question with twelve)
_LONGEST_SENTENCE = 1000  # what is longer is prose, in which no option's text is looked for

_CHINESE = str.maketrans("。：（）【】，、；！．", ".:()[],,;!.")  # punctuation, of which only its meaning counts
# An answer that starts with a lone letter: "B", "(b)", "- **B**", "Option B", "I choose B", "The answer is B.",
# "B: No", "\text{(B)}".
_LETTER = re.compile(
    r"(?:[-#>•]+\s+)?[\s(\[{*\"'“‘$]*"
    r"(?:(?:it\s+is|it['’]s|(?:most\s+)?(?:likely|probably)|"
    r"i(?:\s+would|['’]d)?\s+(?:choose|pick|select|guess|go\s+with))\s+|(?:我?选[项择]?|正确选项[是为]:?)\s*)?"
    r"(?:\\(?:text|math)[a-z]{0,6}\s*\{[\s(]*)?"
    r"(?:(?:the\s+)?(?:(?:correct|right|best|final|most\s+(?:likely|appropriate|probable))\s+){0,2}"
    r"(?:answer|option|choice|letter)(?:\s+is\b)?(?:\s*:)?[\s(*]+){0,2}"
    r"([A-Za-z])(?![A-Za-z0-9])([\s:.)\]}*\"'”’$!]*)(.*)",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)
_SEPARATORS = frozenset(":.)]}!\n")
_IN_BRACKETS = re.compile(r"\((?![^()]*\)[^.])(.*)\)\.?", re.DOTALL)  # "B (Heparin)", but not "A (young) man (45)"
# What may follow a letter in a sentence: "B, not A", "B is correct", "B because ..."; never a second letter or a doubt.
_ASIDE = re.compile(
    r"\s*(?:,(?=\s*I\s+(?:think|believe|guess|would\s+say)\b)"
    r"|,(?!\s*(?:[A-Z]|no|not\s+[A-Z]{2,}|never|incorrect|wrong|false|wait|which|that|who|as|however|but|though|"
    r"although|while|unlike|if|unless)\b)"
    r"|(?:because|since)\b|is\s+(?:the\s+)?(?:correct|right|best|answer|most\s+(?:likely|appropriate|probable))\b)",
    re.IGNORECASE,
)
# A second letter, beside the first ("A and B", "A, C"), as another label ("A: Yes\nB: No"), or after second thoughts
# ("B. Wait, the answer is C").
_SECOND = re.compile(
    r"(?:^\s*(?:,|;|/|&|\+|-|or\b|and\b|,\s*(?:or|and)\b)|[,;/&]\s*(?:or\b|and\b|then\b)?|\n|\b(?:or|and|then)\b)"
    r"\s*(?:option\s+|choice\s+)?[(\[*]*([A-Z])(?![A-Za-z0-9])[*]*"
    r"(?:\s*[)\]:,;/]|\.(?:\s|$)|\s*$|\s+(?:or|and|too|as\s+well)\b)"
    r"|\s\(?([A-Z])[):]"
    r"|\w:\s*([A-Z])[.)\s]*$"
    r"|\banswer\s+is:?\s*[(*]*([A-Z])(?!\w)"
)
# "Heparin, because warfarin is slow", "Heparin, not warfarin"; of an answer in lower case.
_REASON = re.compile(r"(.+?)(?:,? (?:because|since|rather than|instead of)|, (not)) (.+)", re.DOTALL)
# What names another option without choosing it: a reason, what it is not, an explanation in lines of its own.
_NO_CHOICE = re.compile(
    r"\b(?:because|since)\b[^\n.;]*|\bnot\s+(?:option\s+|choice\s+)?\(?[A-Z](?!\w)"
    r"|\n\W*(?:Explanation|Reasoning|Rationale|Why)\b(?s:.*)"
)
_LATEX_TEXT = re.compile(r"\\(?:text|math)[a-z]{0,6}\s*\{([^{}]*)\}")
_TEXT_THEN_LETTER = re.compile(r"(.*\S)\s*\(([A-Z])\)\.?", re.DOTALL)
_DENIAL = re.compile(
    r"\b(?:no|not|never|neither|nor|none|cannot|\w+n['’]t|except|unlike|without|instead|rather|incorrect|wrong|false|"
    r"excluded?|ruled? out|unlikely)\b"
)


def normalise_option(text: str) -> str:
    """Case, spaces and a closing full stop do not tell options apart."""
    return " ".join(text.split()).casefold().rstrip(". ")


def _bare(text: str) -> str:
    """An option's text without what only sets it: Markdown, dollars, the length of a minus."""
    text = undelimited(text)
    inside = _LATEX_TEXT.fullmatch(text)
    return normalise_option(inside[1] if inside else text).replace("−", "-")


def _whole(answer: str, texts: Sequence[str]) -> int | None:
    """The option whose whole text an answer is, if need be without markup around it."""
    if normalise_option(answer) in texts:
        return texts.index(normalise_option(answer))
    bare = [_bare(text) for text in texts]
    found = next((text for text in (_bare(answer), f"both {_bare(answer)}") if bare.count(text) == 1), None)
    return None if found is None else bare.index(found)


def _before_reason(sentence: str, texts: Sequence[str]) -> int | None:
    """The option that is all that a sentence says before its reason, or before the option that it is not."""
    reason = _REASON.fullmatch(sentence[:_LONGEST_SENTENCE])
    if reason is None or reason[1] not in texts or (reason[2] == "not" and not _contained(reason[3], texts)):
        return None
    return texts.index(reason[1])


def read_choice(answer: str, options: Sequence[str] = ()) -> tuple[int | None, str]:
    """(index of the option that `answer` names, how it was read); no guess where it names none, or two.

    A bare letter, then the whole text of one option (so that the option "E. coli" is not the letter E; if need be
    without Markdown or dollars around it, or with its own letter or a reason behind it), then a letter followed by a
    separator, by brackets, by words like "because" or by its own option's text, then the text of the one option that a
    sentence contains and does not deny. Letter and text at odds: the letter counts, and the method says "inconsistent".
    Without `options` only letters can be read, A to L. Letters are never searched in prose ("A 45-year-old", "vitamin
    C").
    """
    texts = [normalise_option(option.translate(_CHINESE)) for option in options]
    answer = undelimited(unwrapped(answer).translate(_CHINESE))
    whole = _whole(answer, texts)
    match = _LETTER.fullmatch(answer)
    index, label, rest = -1, False, ""  # label: the letter stands as one, apart from what follows it
    if match:
        index, rest = _LETTERS.index(match[1].upper()), match[3]
        label = bool(_SEPARATORS & set(match[2]))
        if not label:
            bracketed = _IN_BRACKETS.fullmatch(rest)
            apart = not _DENIAL.search(bracketed[1].casefold()) if bracketed else bool(_ASIDE.match(rest))
            label = apart and match[1] != "I"  # which is a word, too
            rest = bracketed[1] if bracketed else rest.lstrip("-–—=→|,; ")  # "B, No"; but "B: -2" has a sign
        rest = normalise_option(rest)
        if not rest and (whole is None or index < len(texts)):
            return _in_range(index, options)
    if whole is not None:
        return whole, "option text"
    behind = _TEXT_THEN_LETTER.fullmatch(answer)
    if behind and normalise_option(behind[1]) in texts:
        index = _LETTERS.index(behind[2])
        same = index < len(texts) and texts[index] == normalise_option(behind[1])
        return (index, "option text") if same else (None, "text and letter at odds")
    if match:
        own_text = index < len(texts) and rest == texts[index]
        if not own_text and _second_letter(match[2] + match[3], index, options):
            return None, "two letters"
        if own_text or label:
            named = {texts[index]} if own_text else _contained(rest, texts)
            if named and index < len(texts) and texts[index] not in named:
                return index, "letter, inconsistent"
            return _in_range(index, options)
    before = _before_reason(normalise_option(answer), texts)
    if before is not None:
        return before, "option text with a reason"
    named = _contained(normalise_option(answer), texts)
    if len(named) == 1 and not _denied(normalise_option(answer), named):
        return texts.index(named.pop()), "option text in a sentence"
    return None, "names two options" if len(named) > 1 else "names no option"


def same_choice(answer: str, gold: str, options: Sequence[str] = ()) -> tuple[bool | None, str]:
    """(whether `answer` names the gold option, None where it names no single one; how it was read). The gold is a
    letter or an option's text.

    Two options of the same text are both right. ValueError where the gold names no option.
    """
    gold_index, how = read_choice(gold, options)
    if gold_index is None or how not in ("letter", "option text"):
        raise ValueError(f"gold {gold[:80]!r}: {how}")
    index, how = read_choice(answer, options)
    if index is None:
        return None, how
    if not options:
        return index == gold_index, how
    return normalise_option(options[index]) == normalise_option(options[gold_index]), how


def _in_range(index: int, options: Sequence[str]) -> tuple[int | None, str]:
    inside = index < (len(options) or _LETTERS_WITHOUT_OPTIONS)
    return (index, "letter") if inside else (None, "letter out of range")


def _second_letter(rest: str, first: int, options: Sequence[str]) -> bool:
    """Whether what follows a letter names another one, outside of the options' texts ("B (Vitamin C)") and of what
    says why, or what it is not."""
    rest = _NO_CHOICE.sub(" ", rest[:_LONGEST_SENTENCE])
    for text in sorted((text for text in options if len(text) > 2), key=len, reverse=True):
        rest = re.sub(re.escape(text), " ", rest, flags=re.IGNORECASE)
    own = normalise_option(options[first]) if first < len(options) else ""
    seconds = [
        _LETTERS.index(next(filter(None, second.groups())))
        for second in _SECOND.finditer(rest)
        if normalise_option(second[0]) not in own or len(own) <= 2  # "B. Vitamin D and E", where B is "... deficiency"
    ]
    return any(first != second < (len(options) or _LETTERS_WITHOUT_OPTIONS) for second in seconds)


def _spans(sentence: str, text: str) -> Iterator[tuple[int, int]]:
    """Where an option's text stands in a sentence as words of its own: no part of a word, a number or a formula."""
    pattern = rf"(?<![\w+\-−*/^=<>$%.,])(?<![+\-−*/^=<>] ){re.escape(text)}(?![\w+*/^=<>%°-]|[.,]\d| ?[+*/^=<>])"
    return (match.span() for match in re.finditer(pattern, sentence))


def _contained(sentence: str, texts: Sequence[str]) -> set[str]:
    """The option texts that a sentence contains, those left out that are only part of a longer one. A text of one or
    two characters counts only as the sentence's start, as in "No, it is round"."""
    if len(sentence) > _LONGEST_SENTENCE:
        return set()
    taken: list[tuple[int, int]] = []
    found: set[str] = set()
    for text in sorted(set(texts) - {""}, key=len, reverse=True):
        free = [s for s in _spans(sentence, text) if not any(a <= s[0] and s[1] <= b for a, b in taken)]
        if len(text) <= 2:
            free = [(0, end) for start, end in free if start == 0 and sentence[end : end + 1] in ("", *",;.:")]
        if free:
            found.add(text)
            taken += free
    return found


def _denied(sentence: str, named: set[str]) -> bool:
    """Whether the sentence says "not", outside of the option's own words."""
    for text in named:
        sentence = sentence.replace(text, " ")
    return bool(_DENIAL.search(sentence))
