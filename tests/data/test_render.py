import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.data import render as r
from xreasoner.errors import DataError, ModelError
from xreasoner.micro import tokenizer as micro
from xreasoner.types import Example, Image, Message

# A template as some reasoning models ship it: thoughts are taken out of the assistant's past turns.
STRIPPING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def bytes_tokenizer():
    """Byte-level, so that any text survives a round trip; the seam between prompt and response could merge."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|image_pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(["assistant\n<think>\n", "the thought of the thing"] * 9, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        extra_special_tokens=["<|im_start|>", "<|image_pad|>"],
        chat_template=STRIPPING,
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="module")
def words_tokenizer(tmp_path_factory):
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tokenizer")
    micro.save_tokenizer(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def example(response, question="ask b"):
    return Example("row-7", (Message("user", question),), "5", "exact", response=response)


def trained(row):
    return [label for label in row.labels if label != r.IGNORED]


def test_by_hand(words_tokenizer):
    row = r.render(example("<think> 5 </think> <answer> 5 </answer>"), words_tokenizer, 100, "cut")
    tokens = (
        "<|im_start|> user ask b <|im_end|> <|im_start|> assistant <think> 5 </think> <answer> 5 </answer> <|im_end|>"
    )
    assert row.input_ids == [micro.WORD_ID[token] for token in tokens.split()]
    assert row.labels == [r.IGNORED] * 7 + row.input_ids[7:]
    assert row.fate == "kept"
    assert words_tokenizer.decode(trained(row)) == "<think> 5 </think> <answer> 5 </answer> <|im_end|>"


@given(st.text(min_size=1))
def test_what_is_trained_decodes_to_response_and_end_token(bytes_tokenizer, response):
    row = r.render(example(response), bytes_tokenizer, 100_000, "drop")
    assert bytes_tokenizer.decode(trained(row)) == response + "<|im_end|>"
    prompt = bytes_tokenizer.decode([i for i, label in zip(row.input_ids, row.labels, strict=True) if label < 0])
    assert prompt == "<|im_start|>user\nask b<|im_end|>\n<|im_start|>assistant\n"


def test_thoughts_survive_a_template_that_strips_them(bytes_tokenizer):
    row = r.render(example("<think>\nthe thought\n</think> 5"), bytes_tokenizer, 1000, "cut")
    assert bytes_tokenizer.decode(trained(row)) == "<think>\nthe thought\n</think> 5<|im_end|>"


def test_the_row_starts_with_the_ids_of_the_rollout_prompt(bytes_tokenizer):
    """Tokenised in one piece, the line break before the response would merge with "<think>"."""
    row = r.render(example("<think>\n5"), bytes_tokenizer, 1000, "cut")
    text = r.prompt_text(example("").messages, bytes_tokenizer)
    prompt = bytes_tokenizer.encode(text, add_special_tokens=False)
    assert row.input_ids[: len(prompt)] == prompt == r.prompt_ids(example("").messages, bytes_tokenizer)
    assert bytes_tokenizer.encode(text + "<think>\n5", add_special_tokens=False)[: len(prompt)] != prompt


def test_control_tokens_in_a_response_stay_text(bytes_tokenizer):
    row = r.render(example("5<|im_end|><|image_pad|>"), bytes_tokenizer, 1000, "cut")
    ids = trained(row)
    assert ids.count(bytes_tokenizer.eos_token_id) == 1
    assert not set(ids[:-1]) & set(bytes_tokenizer.all_special_ids)


@pytest.mark.parametrize(
    ("max_tokens", "overlong", "fate", "n_trained"),
    [
        (12, "cut", "kept", 5),  # 7 of the prompt, 4 of the response, the end token
        (12, "drop", "kept", 5),
        (11, "cut", "cut", 4),
        (8, "cut", "cut", 1),
        (11, "drop", "dropped", 0),
        (7, "cut", "dropped", 0),  # no room behind the prompt
        (3, "cut", "dropped", 0),
    ],
)
def test_overlong_rows(words_tokenizer, max_tokens, overlong, fate, n_trained):
    row = r.render(example("<think> 5 </think> 5"), words_tokenizer, max_tokens, overlong)
    assert (row.fate, len(trained(row))) == (fate, n_trained)
    assert len(row.input_ids) == len(row.labels) == (7 + n_trained if fate != "dropped" else 0)
    assert (words_tokenizer.eos_token_id in trained(row)) == (fate == "kept")


def test_text_parts_are_joined(words_tokenizer):
    parts = (Message("user", ("ask", " b")),)
    assert r.prompt_ids(parts, words_tokenizer) == r.prompt_ids((Message("user", "ask b"),), words_tokenizer)


def test_an_image_is_refused(words_tokenizer):
    row = Example("row-7", (Message("user", ("ask b", Image("page.png"))),), "5", "exact", response="5")
    with pytest.raises(DataError, match=r"row-7 holds the image page\.png"):
        r.render(row, words_tokenizer, 100, "cut")


@pytest.mark.parametrize("response", [None, ""])
def test_a_row_without_response_is_refused(words_tokenizer, response):
    with pytest.raises(DataError, match="row-7 has no response"):
        r.render(example(response), words_tokenizer, 100, "cut")


def test_tokenizers_that_cannot_render(words_tokenizer, tmp_path):
    from transformers import PreTrainedTokenizerFast

    micro.save_tokenizer(tmp_path)
    other = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    other.chat_template = None
    with pytest.raises(ModelError, match="chat template"):
        r.render(example("5"), other, 100, "cut")
    other.eos_token = None
    with pytest.raises(ModelError, match="no end token"):
        r.render(example("5"), other, 100, "cut")
