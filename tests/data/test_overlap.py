"""Overlap: the three kinds on hand-made texts, against brute force, and at the size of a real decontamination."""

import itertools
import os
import random
import resource
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from xreasoner.data import overlap as o
from xreasoner.data.overlap import Hit, Overlap

COWS = "A farmer has twelve cows and each of them gives nine litres of milk a day; how much is that in a week?"
GENERIC = "What is the most likely diagnosis?"


def find(evaluated, *texts):
    return Overlap({"b": evaluated}).find(texts)


def kinds(evaluated, *texts):
    return [hit and hit.kind for hit in find(evaluated, *texts)]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("What is 2 + 3?", "what is 2+3"),
        ("What is 2 + 3?", "ＷＨＡＴ  is\n２ - ３ !!"),
        (r"Solve $\left(\frac{1}{2}\right)x$", r"solve (\dfrac{1}{2})x"),
        (r"$2x + \text{cm}$", r"2\, x + \mathrm{cm}"),
        ("Die Straße", "DIE STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("soft\u00adware\u200b", "software"),
        ("求 x² 的值。", "求x2的值"),
        ("东京 大阪", "东京大阪"),
        ("to\u0332tal", "total"),
        ("किताब क्या", "कताब, कय!"),
    ],
)
def test_exact_is_the_same_words(text, same):
    assert find([text], same) == [Hit("b", "exact", 0)]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("What is 2 + 3?", "What is 2 + 4?"),
        ("What is 12?", "What is 1 2?"),
        (r"\leftarrow", "arrow"),
        ("the left side", "the side"),
        (GENERIC, f"A man of 54 coughs. {GENERIC}"),  # no whole text inside another
        ("", ""),
        ("?!", "..."),
    ],
)
def test_other_words_are_not_exact(text, other):
    assert find([text], other) == [None]


def numbered(n, start=0):
    return " ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(start, start + n))


def test_thirteen_words_in_a_row_and_no_fewer():
    evaluated = f"{numbered(30)} end"
    assert kinds([evaluated], f"x {numbered(13, 4)} y", f"x {numbered(12, 4)} y") == ["13-gram", None]
    assert kinds([evaluated], f"{numbered(12)} but {numbered(12, 12)}") == [None]
    assert kinds([numbered(13)], f"x {numbered(13)}") == ["13-gram"]  # the shortest text that has a run
    assert kinds([numbered(12)], f"{numbered(12)} {'pad ' * 30}") == [None]


def test_a_run_crosses_punctuation_and_lines():
    words = numbered(13).split()
    assert kinds([f"a {numbered(13)} b"], "q " + ",\n\n".join(words).upper() + " r") == ["13-gram"]


def test_a_character_of_a_script_without_spaces_is_half_a_word():
    text = "小明去商店买了十二个苹果然后把其中的一半送给了他的三个朋友请问他还剩下多少个苹果呢"
    assert kinds([text], f"今天{text[3:29]}好", f"今天{text[3:28]}好") == ["13-gram", None]
    mixed = f"{numbered(13)} {text[:4]}"
    assert kinds([mixed], f"y {numbered(13)} z", f"y {numbered(13)} 天") == ["13-gram", "13-gram"]
    assert kinds([f"{numbered(11)} {text[:4]}"], f"y {numbered(11)}{text[:4]} {numbered(40, 40)}") == ["13-gram"]
    assert kinds([f"{numbered(11)} {text[:3]}"], f"y {numbered(11)}{text[:3]} {numbered(40, 40)}") == [None]


def altered(text, every):
    """Another letter in every so-many-th word, so that no long run is left."""
    return " ".join(f"{w[:-1]}z" if i % every == every - 1 else w for i, w in enumerate(text.split()))


def test_raised_digits_are_no_plain_ones():
    assert find(["What is 2³?"], "What is 23?", "What is $2^3$?") == [None, Hit("b", "exact", 0)]


def test_fuzzy_is_nearly_the_same_text():
    assert kinds([COWS], altered(COWS, 8)) == ["fuzzy"]
    assert kinds([COWS], altered(COWS, 1)) == [None]


def test_fuzzy_begins_at_ninety_of_a_hundred():
    text = numbered(20).replace(" ", "")[:99]
    assert kinds([text], text[:81]) == ["fuzzy"]  # 2 * 81 / (99 + 81) = 0.9
    assert kinds([text], text[:80]) == [None]
    assert kinds([text[:81]], text) == ["fuzzy"]


def test_short_texts_are_never_fuzzy():
    text = numbered(12).replace(" ", "")
    assert kinds([text[:50]], text[:49] + "#") == [None]
    assert kinds([text[:50]], text[:49] + "z") == ["fuzzy"]
    assert kinds([GENERIC], GENERIC.replace("likely", "likelz")) == [None]
    chinese = "小明去商店买了十二个苹果然后把其中的一半送给了他的三个朋友请问"
    assert kinds([chinese[:25]], chinese[:24] + "吗") == ["fuzzy"]
    assert kinds([chinese[:24]], chinese[:23] + "吗") == [None]


def test_the_first_kind_and_the_lowest_place():
    near, run = altered(COWS, 8), f"Well: {COWS} Say it in litres, rounded to the nearest hundred, for the whole herd."
    overlap = Overlap({"empty": [], "first": ["other", near, run], "second": [COWS, COWS]})
    assert overlap.find([COWS, COWS + " Now?", altered(COWS, 7), "nothing"]) == [
        Hit("second", "exact", 0),
        Hit("first", "13-gram", 2),
        Hit("first", "fuzzy", 1),
        None,
    ]


def test_of_several_the_lowest_place_in_every_order():
    copies = [f"{numbered(13)} tail{i}" for i in range(300)]  # one run in all of them
    assert find(copies, f"x {numbered(13)}") == [Hit("b", "13-gram", 0)]
    apart = ["nothing", numbered(13, 20), numbered(13, 40)]
    assert find(apart, f"{numbered(13, 40)} and {numbered(13, 20)}") == [Hit("b", "13-gram", 1)]
    near = altered(COWS, 8)
    for evaluated in ([f"{near} now", near], [near, f"{near} now"]):
        assert find(["nothing", *evaluated], altered(COWS, 7)) == [Hit("b", "fuzzy", 1)]


def test_nothing_to_compare_with():
    assert Overlap({}).find([COWS, ""]) == [None, None]
    assert Overlap({"b": [GENERIC]}).find([COWS]) == [None]
    assert Overlap({"b": [COWS]}).find([]) == []


@pytest.mark.parametrize("text", ["\x00" * 200, "\ud800" * 60, "e" + "\u0301" * 1000, "\u202eabc" * 40, "数" * 70_000])
def test_hostile_text_stops_nothing(text):
    assert find([COWS], text) == [None]
    assert find([text], COWS, text)[0] is None


def test_very_long_texts_are_compared_by_their_beginnings():
    long = "ab " * 30_000
    assert kinds([long], long.replace("ab", "ac", 1)) == ["13-gram"]
    joined = "abcdefghij" * 10_000
    assert kinds([joined], f"{joined[:-1]}x") == ["fuzzy"]


WORDS = ["the", "a", "of", "cow", "milk", "gives", "week", "twelve", "day", "7", "数", "学"]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@given(st.lists(SENTENCES, max_size=6), st.lists(SENTENCES, max_size=6), st.randoms())
def test_against_brute_force(evaluated, texts, rng):
    texts += ["".join(c for c in text if rng.random() > 0.05) for text in evaluated]
    words = [o._words(text) for text in evaluated]

    def expected(text):
        mine = o._words(text)
        joined = o._joined(mine)
        same = [i for i, w in enumerate(words) if w and o._joined(w) == joined]
        runs = set(o._run_hashes(mine, mine))
        shared = [i for i, w in enumerate(words) if runs & set(o._run_hashes(w, w))]
        near = [
            i
            for i, w in enumerate(words)
            if o._is_long(joined) and o._is_long(o._joined(w)) and fuzz.ratio(o._joined(w), joined) >= 90
        ]
        found = (("exact", same), ("13-gram", shared), ("fuzzy", near))
        return next((Hit("b", kind, at[0]) for kind, at in found if at), None)

    assert find(evaluated, *texts) == [expected(text) for text in texts]


def make_texts(n, rng):
    """Sentences of 6,000 words of English letters by Zipf's law; lengths as in OpenThoughts: log-normal, mean 300."""
    letters, often = "etaoinshrdlcumwfgypbvkjxqz", [127, 91, 82, 75, 70, 67, 63, 61, 60, 43, 40, 28, 28, 24, 24]
    often += [22, 20, 20, 19, 15, 10, 8, 2, 2, 1, 1]
    seed = random.Random(0)  # everybody's vocabulary
    words = ["".join(seed.choices(letters, often, k=1 + i.bit_length() // 3 + seed.randrange(4)))
             for i in range(6000)]  # fmt: skip
    shares = [1 / (i + 1) for i in range(len(words))]
    up_to = list(itertools.accumulate(shares))
    return [
        " ".join(rng.choices(words, cum_weights=up_to, k=max(14, round(rng.lognormvariate(3.75, 0.8)))))
        for _ in range(n)
    ]


def check_planted(n_rows, n_evaluated, planted):
    """Plants copies of every kind among made-up rows: all are found, with their places. Returns the seconds by
    the clock and of all cores."""
    rng = random.Random(1)
    evaluated, rows = make_texts(n_evaluated, rng), make_texts(n_rows, rng)
    where = rng.sample(range(n_rows), 3 * planted)
    expected = {}
    for kind, places in zip(("exact", "13-gram", "fuzzy"), (where[::3], where[1::3], where[2::3]), strict=True):
        for row, source in zip(places, rng.sample(range(n_evaluated), planted), strict=True):
            words = evaluated[source].split()
            if kind == "exact":
                rows[row] = ", ".join(words).upper() + "?"
            elif kind == "13-gram":
                start = rng.randrange(len(words) - 12)
                rows[row] += " " + " ".join(words[start : start + 13])
            else:
                rows[row] = altered(evaluated[source], 6)
            expected[row] = Hit("made", kind, source)
    began, began_cpu = time.perf_counter(), time.process_time()
    overlap = Overlap({"made": evaluated})
    hits = [
        hit for at in range(0, n_rows, 1024) for hit in overlap.find(rows[at : at + 1024])
    ]  # as data/prepare.py does
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    missed = {row: (hit, hits[row]) for row, hit in expected.items() if hits[row] != hit}
    assert missed == {}
    assert Counter(hit.kind for i, hit in enumerate(hits) if hit and i not in expected) == {}
    return seconds, cpu_seconds


def test_all_that_was_planted_is_found():
    check_planted(1500, 600, planted=60)


@pytest.mark.slow
def test_a_training_set_of_114_000_rows_against_40_000_texts():
    seconds, cpu_seconds = check_planted(114_000, 40_000, planted=1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n114,000 rows against 40,000 texts: {seconds:.0f} s ({cpu_seconds:.0f} CPU-seconds on {os.cpu_count()} "
        f"cores), peak memory of the process {peak:.2f} GiB"
    )
    assert seconds < 3600
