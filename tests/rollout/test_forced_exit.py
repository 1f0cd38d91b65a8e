"""Each clause of the rule, on a tokenizer whose tokens are given strings, then against full decoding at every step."""

import time
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from xreasoner.errors import ModelError, RecipeError
from xreasoner.rollout.forced_exit import CLOSE, ForcedExit, check_params, end_ids
from xreasoner.types import SamplingParams

EOS, EOS2 = 0, 1


class Pieces:
    """Tokens are given strings; text is their concatenation. The tag is spelled in three tokens."""

    rare = ("</thi", "nk>", "x</think>y")  # what a model may sample but encoding never gives
    vocabulary = ("<eos>", "<eos2>", "</", "think", ">", "a", "b", "<think>", " </", ">\n\n", *rare, *"think")

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        ids, at = [], 0
        while at < len(text):
            word = max((w for w in self.vocabulary if text.startswith(w, at) and w not in self.rare), key=len)
            ids.append(self.vocabulary.index(word))
            at += len(word)
        return ids

    def decode(self, ids, **kwargs) -> str:
        return "".join(self.vocabulary[i] for i in ids)


PIECES = Pieces()
TAG = [2, 3, 4]


def play(script: list[str], think: int | None, answer: int, prefix: str = ""):
    """Feeds the script's tokens where the rule samples; ends of scripts are end tokens."""
    rule = ForcedExit(PIECES, [EOS, EOS2])
    row = rule.start(SamplingParams(think_budget=think, answer_budget=answer), prefix)
    tokens = iter([PIECES.vocabulary.index(word) for word in script])
    while not row.done:
        row.push(next(tokens, EOS) if row.insert is None else row.insert)
    return row.completion([-1.0] * len(row.ids))


def summary(c):
    return c.text, c.exit, c.stop, sum(not s for s in c.sampled)


@pytest.mark.parametrize(
    ("script", "think", "answer", "prefix", "expected"),
    [
        # natural closes, in every spelling; nothing is inserted
        (["<think>", "a", "</", "think", ">", "b"], 9, 9, "", ("<think>a</think>b", "natural", "eos", 0)),
        (["a", " </", "think", ">\n\n", "b"], 9, 9, "<think>", ("a </think>\n\nb", "natural", "eos", 0)),
        (["</thi", "nk>", "b"], 9, 9, "<think>", ("</think>b", "natural", "eos", 0)),
        (["x</think>y"], 9, 9, "<think>", ("x</think>y", "natural", "eos", 0)),
        # a close without any opening tag is still the model's own
        (["a", "</", "think", ">", "b"], 9, 9, "", ("a</think>b", "natural", "eos", 0)),
        # the tag straddles prefix and completion
        (["think", ">", "b"], 9, 9, "<think>a</", ("think>b", "natural", "eos", 0)),
        (["nk>", "b"], 9, 9, "</thi", ("nk>b", "natural", "eos", 0)),
        # the tag's last token is the budget's last: natural, not forced
        (["a", "</", "think", ">", "b"], 4, 9, "", ("a</think>b", "natural", "eos", 0)),
        # one token short: forced, and the half-written tag stays where it is
        (["a", "</", "think", ">", "b"], 3, 9, "", ("a</think</think>>b", "forced", "eos", 3)),
        (["a", "</thi", "b"], 2, 9, "", ("a</thi</think>b", "forced", "eos", 3)),
        # forced with and without <think> ever written
        (["<think>", "a", "a", "b"], 3, 9, "", ("<think>aa</think>b", "forced", "eos", 3)),
        (["a", "a", "a", "b"], 3, 9, "", ("aaa</think>b", "forced", "eos", 3)),
        (["a", "a", "a", "b"], 3, 9, "<think>", ("aaa</think>b", "forced", "eos", 3)),
        # an end token at once after the inserted tag: an empty answer, not a cut one
        (["a"], 1, 9, "", ("a</think>", "forced", "eos", 3)),
        # the end before any close: none, also as the budget's last token
        ([], 3, 9, "<think>", ("", "none", "eos", 0)),
        (["<think>", "a"], 3, 9, "", ("<think>a", "none", "eos", 0)),
        (["<think>", "a", "<eos2>"], 3, 9, "", ("<think>a", "none", "eos", 0)),
        # the end one token later comes too late
        (["<think>", "a", "a"], 3, 9, "", ("<think>aa</think>", "forced", "eos", 3)),
        # the answer's budget counts from the close, whoever closed, however early
        (["</", "think", ">", "a", "b", "a"], 9, 2, "", ("</think>ab", "natural", "cap", 0)),
        (["a", "a", "a", "b", "a"], 1, 2, "", ("a</think>aa", "forced", "cap", 3)),
        # an answer that ends on its last token has ended by itself; one token more and it is cut
        (["</", "think", ">", "a"], 9, 2, "", ("</think>a", "natural", "eos", 0)),
        (["</", "think", ">", "a", "a"], 9, 2, "", ("</think>aa", "natural", "cap", 0)),
        (["a"], 1, 1, "", ("a</think>", "forced", "eos", 3)),
        (["a", "a"], 1, 1, "", ("a</think>a", "forced", "cap", 3)),
        # a second tag in the answer changes nothing
        (["a", "</", "think", ">", "b"], 1, 4, "", ("a</think></think>b", "forced", "cap", 3)),
        # thoughts closed in the prefix: only the answer is left
        (["a", "b", "a"], 1, 2, "<think></think>", ("ab", "natural", "cap", 0)),
        # no think budget: no forced exit, one bound for all
        (["a", "a", "a", "a"], None, 3, "", ("aaa", "none", "cap", 0)),
        (["a", "a"], None, 3, "", ("aa", "none", "eos", 0)),
        (["</", "think", ">", "a"], None, 9, "", ("</think>a", "natural", "eos", 0)),
        (["</", "think", ">", "a"], None, 3, "", ("</think>", "natural", "cap", 0)),
        (["</", "think", ">", "a"], None, 4, "", ("</think>a", "natural", "cap", 0)),
    ],
)
def test_rule(script, think, answer, prefix, expected):
    assert summary(play(script, think, answer, prefix)) == expected


def test_only_the_inserted_tokens_are_masked_and_ids_stay_as_sampled():
    done = play(["<think>", "a", "</thi", "b"], 3, 9)
    tag = [*TAG]
    assert list(done.token_ids) == [7, 5, 10, *tag, 6, EOS]
    assert done.sampled == (True,) * 3 + (False,) * 3 + (True,) * 2
    assert done.logprobs == (-1.0,) * 3 + (0.0,) * 3 + (-1.0,) * 2
    assert done.n_sampled == 5


def test_room_is_what_may_be_sampled_before_the_row_decides():
    row = ForcedExit(PIECES, [EOS]).start(SamplingParams(think_budget=2, answer_budget=5))
    assert (row.room, row.insert) == (2, None)
    row.push(5)
    assert row.room == 1
    row.push(5)
    assert (row.insert, row.exit) == (TAG[0], "forced")
    for token in TAG:
        row.push(token)
    assert (row.room, row.insert) == (5, None)


def test_misuse_is_our_bug():
    row = ForcedExit(PIECES, [EOS]).start(SamplingParams(think_budget=1, answer_budget=1))
    with pytest.raises(AssertionError, match="not finished"):
        row.completion()
    row.push(5)
    with pytest.raises(AssertionError, match="asked for 2"):
        row.push(5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"think_budget": 0}, "think_budget is 0"),
        ({"answer_budget": 0}, "answer_budget is 0"),
        ({"think_budget": None, "answer_budget": -1}, "answer_budget is -1"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
    ],
)
def test_params_without_meaning(change, says):
    with pytest.raises(RecipeError, match=says):
        check_params(SamplingParams(**{"think_budget": 5, "answer_budget": 5, **change}))


def test_no_completions_asked_for():
    with pytest.raises(RecipeError, match="ask for 1"):
        check_params(SamplingParams(think_budget=5, answer_budget=5), n=0)


def test_end_ids_gathers_every_source():
    class Named:
        def __init__(self, ids):
            self.eos_token_id = ids

    assert end_ids(Named(3), Named([4, 5]), Named(None), None, object()) == {3, 4, 5}
    assert end_ids(Named(0)) == {0}
    with pytest.raises(ModelError, match="eos_token_id"):
        end_ids(Named(None))


def byte_level() -> PreTrainedTokenizerFast:
    """Bytes, and a few merges: tags in several spellings, tokens that hold more than a tag, halves of characters."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {c: i for i, c in enumerate(alphabet)}
    merges = [("<", "/"), ("t", "h"), ("i", "n"), ("th", "in"), ("thin", "k"), (">", "Ċ"), (">Ċ", "Ċ"), ("Ġ", "</")]
    merges += [("k", ">"), ("x", "</"), ("x</", "think"), ("x</think", ">Ċ")]
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    model = Tokenizer(models.BPE(vocabulary, merges))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=model)


def word_level() -> PreTrainedTokenizerFast:
    """Words; decoding puts spaces between them."""
    words = ["<end>", "<unk>", "<think>", "</think>", "</", "think>", ">", "a", "b"]
    model = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=model)


def metaspace() -> PreTrainedTokenizerFast:
    """SentencePiece's way: a token's leading space vanishes at the start of a text, and bytes stand in for the rest."""
    words = [
        "<unk>",
        "▁",
        "▁</",
        "</",
        "think",
        "▁think",
        ">",
        "▁>",
        "<0x3E>",
        "<0xE2>",
        "</thi",
        "nk",
        "k>",
        "▁a",
        "<",
    ]
    model = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, [], unk_token="<unk>", byte_fallback=True))
    model.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=model)


TOKENIZERS = {"bytes": byte_level(), "words": word_level(), "metaspace": metaspace()}


def first_close(rule: ForcedExit, context: list[int], ids: list[int]) -> int | None:
    return next((t for t in range(1, len(ids) + 1) if CLOSE in rule.decode(context + ids[:t])), None)


def agrees_with_full_decoding(name: str, ids: list[int], split: int) -> bool:
    """The row's verdict at every step is the one that decoding everything gives. Returns whether it closed."""
    tokenizer = TOKENIZERS[name]
    rule = ForcedExit.__new__(ForcedExit)
    rule.tokenizer, rule._pieces = tokenizer, {}
    context, rest = ids[:split], ids[split:]
    if CLOSE in rule.decode(context):
        return False
    expected = first_close(rule, context, rest)
    found = next((t for t in range(1, len(rest) + 1) if rule.closes(context + rest[:t])), None)
    assert found == expected, (name, rule.decode(ids))
    return expected is not None


def ids_of(name: str) -> st.SearchStrategy[list[int]]:
    """Mostly ids whose text has to do with the tag, so that it is met often; some that no vocabulary knows."""
    tokenizer = TOKENIZERS[name]
    size = len(tokenizer)
    near = [i for i in range(size) if set(tokenizer.convert_ids_to_tokens(i)) & set("</think>▁Ċ")]
    one = st.lists(st.sampled_from(near) | st.integers(0, size + 3), min_size=1, max_size=3)
    if name == "bytes":
        tags = st.sampled_from(["</think>", " </think>\n\n", "x</think>\n", "</thi", "think>", "</", "é"])
        spelled = tags.map(lambda t: tokenizer.encode(t)) | tags.map(lambda t: [tokenizer.encode(c)[0] for c in t])
    else:
        pieces = [["</", "think", ">"], ["▁</", "think", ">"], ["</thi", "nk", "<0x3E>"]]
        spelled = st.sampled_from([["</think>"]] if name == "words" else pieces).map(tokenizer.convert_tokens_to_ids)
    return st.lists(one | spelled, max_size=12).map(lambda parts: list(chain.from_iterable(parts)))


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_incremental_matching_equals_full_decoding(name):
    closed = []

    @settings(max_examples=250, deadline=None, derandomize=True)
    @given(ids=ids_of(name), split=st.integers(0, 6))
    @example(ids=[], split=0)
    def check(ids, split):
        closed.append(agrees_with_full_decoding(name, ids, split))

    check()
    assert sum(closed) >= 20, "the strategy hardly ever writes the tag"


def test_every_spelling_of_qwen_closes_once():
    tokenizer = TOKENIZERS["bytes"]
    rule = ForcedExit(tokenizer, [300])
    spellings = [tokenizer.encode(CLOSE), [tokenizer.encode(c)[0] for c in CLOSE], tokenizer.encode("x</think>\n")]
    assert len({tuple(s) for s in spellings}) == 3
    for spelling in spellings:
        row = rule.start(SamplingParams(think_budget=20, answer_budget=3), "<think>")
        for token in spelling[:-1]:
            row.push(token)
            assert row.exit == "none"
        row.push(spelling[-1])
        assert (row.exit, row.room) == ("natural", 3)


def test_tokenizer_without_the_tag():
    words = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    with pytest.raises(ModelError, match="cannot spell"):
        ForcedExit(PreTrainedTokenizerFast(tokenizer_object=words), [0])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    tokens=st.lists(st.integers(0, len(Pieces.vocabulary) - 1), max_size=25),
    think=st.none() | st.integers(1, 8),
    answer=st.integers(1, 8),
    prefix=st.sampled_from(["", "<think>", "<think>a</", "</thi", "<think></think>"]),
)
def test_invariants(tokens, think, answer, prefix):
    done = play([Pieces.vocabulary[t] for t in tokens], think, answer, prefix)
    inserted = [t for t, own in zip(done.token_ids, done.sampled, strict=True) if not own]
    assert inserted == (TAG if done.exit == "forced" else [])
    assert done.n_sampled <= (answer if think is None else think + answer)
    assert (CLOSE in prefix + done.text) == (done.exit != "none")
    assert (done.token_ids[-1] in (EOS, EOS2)) == (done.stop == "eos")
    assert not set(done.token_ids[:-1]) & {EOS, EOS2}
    if done.exit == "forced":
        assert done.sampled.index(False) == think
        assert CLOSE not in prefix + PIECES.decode(done.token_ids[:think])


def test_a_step_costs_next_to_nothing():
    rule = ForcedExit(TOKENIZERS["bytes"], [300])
    rows = [rule.start(SamplingParams(think_budget=100, answer_budget=9), "<think>") for _ in range(256)]
    token = TOKENIZERS["bytes"].encode("a")[0]
    start = time.process_time()
    for row in rows:
        for _ in range(99):
            row.push(token)
    assert time.process_time() - start < 0.5  # 25,000 row-steps; about 0.03 s when nothing else runs
