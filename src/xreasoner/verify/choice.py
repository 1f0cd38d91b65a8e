"""Multiple choice: which option an answer names, by its letter or by its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from xreasoner.verify.doubts import DENIAL, LETTERS, LETTERS_WITHOUT_OPTIONS, doubted, second_thoughts
from xreasoner.verify.extract import unwrapped
from xreasoner.verify.numbers import Number, read_number, undelimited
from xreasoner.verify.optiontexts import contained, folding, normalise_option
from xreasoner.verify.units import known_unit

_LONGEST_VOTE = 1000  # of an answer that names no option
_ROUNDS = re.compile(r".*-(\d)dp")  # verifiers that round to so many decimals

_CHINESE = str.maketrans("。：（）【】，、；！．？", ".:()[],,;!.?")  # punctuation, of which only its meaning counts
# An answer that starts with a lone letter: "B", "(b)", "- **B**", "Option B", "I choose B", "The answer is B.",
# "B: No", "\text{(B)}"; no abbreviation ("A.D.", "e.g.").
_LETTER = re.compile(
    r"(?:[-#>•]+\s+)?[\s(\[{*\"'“‘$]*"
    r"(?P<lead>(?:it\s+is|it['’]s|(?:most\s+)?(?:likely|probably)|"
    r"i(?:\s+would|['’]d)?\s+(?:choose|pick|select|guess|go\s+with))\s+|(?:我?选[项择]?|正确选项[是为]:?)\s*)?"
    r"(?:\\(?:text|math)[a-z]{0,6}\s*\{[\s(]*)?"
    r"(?P<noun>(?:the\s+)?(?:(?:correct|right|best|final|most\s+(?:likely|appropriate|probable))\s+){0,2}"
    r"(?:answer|option|choice|letter)(?:\s+is\b)?(?:\s*:)?[\s(*]+){0,2}"
    r"(?P<letter>[A-Za-z])(?![A-Za-z0-9]|\.[A-Za-z](?![A-Za-z]))(?P<marks>[\s:.)\]}*\"'”’$!]*)(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)
_SEPARATORS = frozenset(":.)]}!\n")
_IN_BRACKETS = re.compile(r"\((?![^()]*\)[^.])(.*)\)\.?", re.DOTALL)  # "B (Heparin)", but not "A (young) man (45)"
# What may follow a letter in a sentence: "B, not A", "B is correct", "B because ..."; never a second letter or a doubt.
_ASIDE = re.compile(
    r"\s*(?:,(?=\s*I\s+(?:think|believe|guess|would\s+say)\b)"
    r"|,(?!\s*(?:[A-Z]|no|not\s+[A-Z]{2,}|never|incorrect|wrong|false|wait|which|that|who|as|or|however|but|though|"
    r"although|while|unlike|if|unless)\b)"
    r"|(?:because|since)\b"
    r"|is\s+(?:the\s+)?(?:answer|(?:correct|right|best|most\s+(?:likely|appropriate|probable))"
    r"(?:\s+(?:answer|option|choice|one|diagnosis|cause|treatment))?)(?=\s*(?:[.,;:!\n]|$|because\b|since\b)))",
    re.IGNORECASE,
)
# A species ("C. difficile"), no label with a text in small letters behind it ("C. because ...").
_SPECIES = re.compile(
    r"[A-Za-z]\. (?!(?:because|since|this|that|these|the|there|they|due|given|with|all|none|both|not|only|see)\b)"
    r"([a-z]{3,})\b"
)
# One letter denied and another one chosen: "B... no, D", "B. No, the answer is D", "not A, but B", "A is wrong, so B".
_L = r"(?:option\s+)?[(*]*([A-Z])[)*]*"
_CORRECTED = re.compile(
    rf"(?:{_L}\s*(?:[.…]+|\?)\s*no\b[\s,.:]*|not\s+{_L},?\s+but\s+|{_L}\s+is\s+(?:wrong|incorrect),?\s+so\s+)"
    rf"(?:the\s+(?:correct\s+)?answer\s+is\s+|it\s+is\s+)?{_L}",
    re.IGNORECASE | re.ASCII,
)
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_ORDINAL = re.compile(rf"(?:it is )?(?:the )?({'|'.join(_ORDINALS)}) (?:option|choice)(?:[:,] (.+))?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# "Heparin, because warfarin is slow", "Heparin, not warfarin".
_REASON = re.compile(r"(.+?)(?:,? (?:because|since|rather than|instead of)|, (not)) (.+)", re.DOTALL | re.IGNORECASE)
_LATEX_TEXT = re.compile(r"\\(?:text|math)[a-z]{0,6}\s*\{([^{}]*)\}")
_TEXT_THEN_LETTER = re.compile(r"(.*\S)\s*\(([A-Z])\)\.?", re.DOTALL)


def read_choice(answer: str, options: Sequence[str] = ()) -> tuple[int | None, str]:
    """(index of the option that `answer` names, how it was read); no guess where it names none, or two.

    A bare letter, then the whole text of one option (so that the option "E. coli" is not the letter E; if need be
    without Markdown or dollars around it, or with its own letter or a reason behind it), then a letter followed by a
    separator, by brackets, by words like "because" or by its own option's text, then the text of the one option that a
    sentence contains and does not doubt. Letter and text at odds: the letter counts, and the method says
    "inconsistent". Without `options` only letters can be read, A to L. Letters are never searched in prose ("A
    45-year-old", "vitamin C"), and what asks ("B?") or takes back ("B. Wait, no.") names none.
    """
    fold = folding(options)
    texts = [fold(option.translate(_CHINESE)) for option in options]
    answer = undelimited(unwrapped(answer).translate(_CHINESE))
    whole = _whole(answer, texts, fold)
    match = _LETTER.fullmatch(answer)
    if match and match["letter"] == "a" and match["lead"] and not match["noun"]:
        match = None  # "It is a", cut off
    if match and not match["rest"].strip(" ,;"):
        index = LETTERS.index(match["letter"].upper())
        if whole is None or index < len(texts):
            return _in_range(index, texts)
    if whole is not None:
        return whole, "option text"
    short = _short_form(answer, texts, fold)
    if short is not None:
        return short
    labelled = _labelled(match, texts, fold) if match else None
    if labelled is not None:
        return labelled
    return (None, "a question") if answer.endswith("?") else _in_sentence(fold(answer), texts)


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
    fold = folding(options)
    return fold(options[index]) == fold(options[gold_index]), how


def vote(answer: str, options: Sequence[str] = (), verifier: str = "") -> str:
    """What an answer says, so that two which say the same vote alike, be they right or wrong: the option that it names,
    by letter or by text; a number by its value, whatever its unit, rounded where the verifier rounds; else its first
    1,000 characters. Without `options`, and unless `verifier` is "choice", it is a free answer, and never a letter.

    >>> vote("The answer is B.", ("Yes", "No")), vote("no", ("Yes", "No")), vote(" B. ")
    ('option 1', 'option 1', 'b')
    >>> vote("$7.0"), vote("(B)", verifier="choice")
    ('number 7', 'option 1')
    """
    if options or verifier == "choice":
        index = read_choice(answer, options)[0]
        if index is not None:
            return f"option {index}"
    elif verifier != "exact":
        number = read_number(unwrapped(answer))
        if number is not None and not _product(number):
            rounded = _ROUNDS.fullmatch(verifier)
            return f"number {round(number.value, int(rounded[1])) if rounded else number.value}"[:_LONGEST_VOTE]
    return normalise_option(answer)[:_LONGEST_VOTE]


def _product(number: Number) -> bool:
    """Whether what is taken for a unit may be a variable ("5x")."""
    return number.glued and (len(number.unit) == 1 or not known_unit(number.unit)) and number.unit.isalpha()


def _in_range(index: int, texts: Sequence[str]) -> tuple[int | None, str]:
    inside = index < (len(texts) or LETTERS_WITHOUT_OPTIONS)
    return (index, "letter") if inside else (None, "letter out of range")


def _whole(answer: str, texts: Sequence[str], fold: Callable[[str], str]) -> int | None:
    """The option whose whole text an answer is, if need be without what only sets it: Markdown, dollars, the length of
    a minus."""
    if fold(answer) in texts:
        return texts.index(fold(answer))

    def bare(text: str) -> str:
        inside = _LATEX_TEXT.fullmatch(undelimited(text))
        return fold(inside[1] if inside else undelimited(text)).replace("−", "-")

    all_bare = [bare(text) for text in texts]
    found = next((text for text in (bare(answer), f"both {bare(answer)}") if all_bare.count(text) == 1), None)
    return None if found is None else all_bare.index(found)


def _short_form(answer: str, texts: Sequence[str], fold: Callable[[str], str]) -> tuple[int | None, str] | None:
    """A text with its letter behind it, a letter that corrects another, "the second option", a number without its
    unit where one option alone has that number; None where an answer is none of these."""
    behind = _TEXT_THEN_LETTER.fullmatch(answer)
    if behind and fold(behind[1]) in texts:
        index = LETTERS.index(behind[2])
        same = index < len(texts) and texts[index] == fold(behind[1])
        return (index, "option text") if same else (None, "text and letter at odds")
    corrected = _CORRECTED.fullmatch(answer)
    if corrected:
        return _in_range(LETTERS.index(corrected[4].upper()), texts)
    ordinal = _ORDINAL.fullmatch(answer)
    index = _ORDINALS.index(ordinal[1].lower()) if ordinal else len(texts)
    if ordinal and index < len(texts) and (not ordinal[2] or fold(ordinal[2]) == texts[index]):
        return index, "ordinal"
    if _NUMBER.fullmatch(answer):
        holding = [n for n, text in enumerate(texts) if answer in _NUMBER.findall(text)]
        unit = len(holding) == 1 and re.fullmatch(rf"{re.escape(answer)} ?(?:[^\W\d]+|[%°])", texts[holding[0]])
        if unit and not (answer.isdigit() and 0 < int(answer) <= len(texts)):  # which may be an option's number
            return holding[0], "number of an option"
    return None


def _labelled(match: re.Match[str], texts: Sequence[str], fold: Callable[[str], str]) -> tuple[int | None, str] | None:
    """What a letter with something behind it names; None where it is no label but part of a text."""
    index, rest = LETTERS.index(match["letter"].upper()), match["rest"]
    own = texts[index] if index < len(texts) else None
    label = bool(_SEPARATORS & set(match["marks"]))  # the letter stands as one, apart from what follows it
    if not label:
        bracketed = _IN_BRACKETS.fullmatch(rest)
        apart = not DENIAL.search(bracketed[1]) if bracketed else bool(_ASIDE.match(rest))
        label = apart and match["letter"] != "I"  # which is a word, too
        rest = bracketed[1] if bracketed else rest.lstrip("-–—=→|,; ")  # "B, No"; but "B: -2" has a sign
    if fold(rest) == own:
        return index, "letter"
    species = _SPECIES.match(match.string, match.start("letter")) if texts else None
    if species and fold(species[1]) not in (own or ""):
        return None
    if not label:
        wrong = second_thoughts(rest, index, texts, match["letter"].islower())
        return (None, wrong) if wrong == "two letters" else None
    if rest.rstrip().endswith("?"):
        return None, "a question"
    wrong = second_thoughts(rest, index, texts, match["letter"].islower())
    if wrong:
        return None, wrong
    named = contained(fold(rest), texts)
    return (
        (index, "letter, inconsistent") if own is not None and named and own not in named else _in_range(index, texts)
    )


def _in_sentence(sentence: str, texts: Sequence[str]) -> tuple[int | None, str]:
    """The one option whose text a sentence contains without a doubt, or that is all it says before its reason, or
    before the option that it is not."""
    reason = _REASON.fullmatch(sentence)
    if reason and reason[1] in texts and (reason[2] is None or contained(reason[3], texts)):
        return texts.index(reason[1]), "option text with a reason"
    named = contained(sentence, texts)
    if len(named) > 1:
        return None, "names two options"
    text = next(iter(named), None)
    if text is None or doubted(sentence, text):
        return None, "names no option"
    return texts.index(text), "option text in a sentence"
