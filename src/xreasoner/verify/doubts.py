"""What takes a choice back, or names a second one beside it: denials, second thoughts, other letters.

Whoever is in doubt here is not read: no answer is better than one that was not given.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

LETTERS = string.ascii_uppercase
LETTERS_WITHOUT_OPTIONS = 12  # A to L: no benchmark has more (MMMU-Pro has one question with twelve)

DENIAL = re.compile(
    r"\b(?:no|not|non|never|neither|nor|none|cannot|\w+n['’]t|except|besides|unlike|without|instead|rather|incorrect|"
    r"wrong|false|excluded?|ruled? out|unlikely|nicht|keine?n?)\b|[不没非错除]",
    re.IGNORECASE,
)
# What a sentence may say of the one option that it names, without choosing it.
_HEDGE = re.compile(
    r"\b(?:or|either|if|unless|were|as long as|in case|but|vs|versus|though|although|however|may|maybe|perhaps|"
    r"possibly|might|could|unsure|sure|tell|know|doubt\w*|hardly|partly|half|least|less|too|worst|first|was|thought|"
    r"some|others?|another|etc|e\.g|example|such as|like|plus|mixture|followed|apart|other than|save|minus|out|"
    r"exclud\w*|fail(?:s|ed)?|avoid\w*|stop\w*|withh\w+|withdr\w+|hold|discontinu\w*|remov\w*|refus\w*|"
    r"contra-?indicated|allerg(?:y|ic)|anti|antidote|antagon\w*|reverses?|considered|tempt\w*|trap|distractor|harmful|"
    r"dangerous|useless|inferior|ineffective|inappropriate)\b|[✗✘❌]|[.!?;] +\S",
    re.IGNORECASE,
)
# What makes another quantity of one: "more than 5 mg", "5 mg per kg", "5 to 10 mg".
_QUANTITY = re.compile(
    r"\b(?:more|fewer|greater|at (?:least|most)|up to|over|under|above|below|within|between|twice|double|times|per|x|"
    r"squared|cubed|minus|negative|higher|lower|missing|absent|ago)\b|[\d<>≥≤~±≈]",
    re.IGNORECASE,
)
# Behind a letter: "B is wrong", "B: not the answer", "B: No, that is wrong".
_DENIED = re.compile(
    r"^\W*(?:(?:it|this|that|which)(?:['’]s)?\s+)?(?:(?:option|answer|choice)\s+)?"
    r"(?:(?:is|was|seems|would\s+be|can\s+be)\s+)?(?:(?:the|an?)\s+)?"
    r"(?:(?:not\s+(?:this|it|that|so|correct|right|the|possible|likely|true|appropriate|indicated|recommended)|never|nope|"
    r"no\s+(?:way|longer)|(?:cannot|does\s+not|(?:is|does|ca)n['’]t)\s+(?:it|be|fit|make\s+sense|correct|right|the))\b"
    r"|(?:incorrect|wrong|false|bad|excluded|eliminated|ruled\s+out|impossible|unlikely|contraindicated)"
    r"(?=\W*$|\s*[.,;:!)\n]|\s+(?:because|since|here|answer|option|choice|one)\b))"
    r"|^\W*(?:it\s+)?(?:is\s+not|isn['’]t)\W*$|^\W*no\s*[,.;:!–—]\s*\w|^\W*[不没非错]",
    re.IGNORECASE,
)
# "B: Ibuprofen: no", "B. Wait, no", "B, I think not".
_TAKEN_BACK = re.compile(
    r"[^\w\s]\s*no\W*$"
    r"|(?:^|[.,;:!?…\n–—-])\s*(?:(?:but|oh|no|and)\b,?\s+)?"
    r"(?:wait|hmm+|scratch\s+that|never\s?mind|on\s+second\s+thoughts?|actually,?\s+(?:no|not))\b"
    r"(?=\W*$|\s*[,.:;!…\n–—-]|\s+(?:no|that|it|this|the|I)\b)"
    r"|\bI\s+(?:would\s+say\s+no|do(?:n['’]t|\s+not)\s+(?:think|believe)|think\s+not|doubt)\b|[✗✘❌]",
    re.IGNORECASE,
)
# What names another option without choosing it: a reason, what it is not, what is wrong with it, names that end in a
# letter, an explanation in lines of its own.
_NO_CHOICE = re.compile(
    r"\b(?:because|since)\b[^\n.;]*|\bnot\s+(?:option\s+|choice\s+)?\(?[A-Z](?!\w)"
    r"|(?:\b[A-Z](?:,\s?and\s|,\s?|\sand\s|/)){0,8}\b[A-Z]\s(?:is|are|was|were|would\sbe)\s"
    r"(?:too|not|wrong|incorrect|false|less|worse|weaker|slower|excluded|eliminated|ruled\sout|contraindicated|"
    r"unlikely|unnecessary|inappropriate)\b"
    r"|\b(?i:vitamins?|hepatitis|influenza|group|type|class|stage|grade|factor|point|line|angle)\s[A-Z](?!\w)"
    r"|(?:^|\n)\W*(?:Explanation|Reasoning|Rationale|Why)\b(?s:.*)"
)
# A letter alone; A and I with a word behind them are words, but "A is", "A and".
_LONE_LETTER = (
    r"(?<![\w°'’\\-])(?<!\d )([{letters}])(?![\w'’-])"
    r"(?:(?<![AIai])|(?! \w\w)|(?= (?:is|are|was|would|and|or|too|also|if|may|might|could|because)\b))"
)
_CAPITALS = re.compile(_LONE_LETTER.format(letters="A-Z"), re.ASCII)
_ANY_LETTERS = re.compile(_LONE_LETTER.format(letters="A-Za-z"), re.ASCII)
# A second option's text (put as §) or letter, beside the first option's text or behind "or".
_JOINED = re.compile(r"^ ?(?:[,;/&+→]|[-=]>|and\b|or\b|plus\b){1,2} ?(?:§|[A-Z](?!\w))|^ §")
_OTHER = re.compile(
    r"\bor (?:the )?§|§,? or\b"
    r"|\b(?:maybe|perhaps|possibly|sorry|correction|actually|changed?|however|but|answer is)\b[^§]{0,200}§",
    re.IGNORECASE,
)


def doubted(sentence: str, text: str) -> bool:
    """Whether a sentence denies, hedges or changes the option's text that it holds, outside of its own words."""
    others = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", " ", sentence)
    quantity = text[0].isdigit() or not any(letter.isalpha() for letter in text)
    denied = text != "no" and DENIAL.search(others)  # "No, it is not"
    return bool(denied or _HEDGE.search(others) or (quantity and _QUANTITY.search(others)))


def no_plain_count(words: str) -> bool:
    """Whether the words behind a number say more than what is counted: "3 maybe", "2 fewer", not "2 fractures"."""
    return any(pattern.search(words) for pattern in (DENIAL, _HEDGE, _QUANTITY))


def second_thoughts(rest: str, first: int, texts: Sequence[str], small: bool) -> str | None:
    """What is wrong with what follows a letter, the option `first`'s: it is taken back, or another is named outside of
    the options' texts ("B (Vitamin C)") and of what says why, or what it is not. None where nothing is. `small`: the
    letter is a small one, and so may be the other."""
    own = texts[first] if first < len(texts) else ""
    given = rest.casefold().strip(" .()")
    after = re.sub(rf"^\s*{re.escape(own)}(?!\w)", "", rest, flags=re.IGNORECASE) if own else rest
    if len(given) > 2 and given in own.casefold():  # "D. Vitamin D and E", where D is "... deficiency"
        return None
    behind = own and after != rest  # what follows stands behind the option's own text
    for text in sorted((text for text in texts if len(text) > 2), key=len, reverse=True):
        after = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", " " if text == own else "§", after, flags=re.IGNORECASE)
    agrees = DENIAL.search(own)  # "B: No, it is not", where B is "No"
    if _TAKEN_BACK.search(after) or (not agrees and _DENIED.search(after)):
        return "taken back"
    after = _NO_CHOICE.sub(" ", after)
    if _OTHER.search(after) or (behind and _JOINED.search(after)):
        return "names two options"
    letters = (_ANY_LETTERS if small else _CAPITALS).findall(after)
    for second in {LETTERS.index(letter.upper()) for letter in letters} - {first}:
        if second < (len(texts) or LETTERS_WITHOUT_OPTIONS) and not (own and texts[second] == own):
            return "two letters"
    return None
