import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from xreasoner.micro import world
from xreasoner.micro.tokenizer import VOCABULARY, WORD_ID, save_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_one_token_a_word_both_ways(tokenizer) -> None:
    problem = world.draw(random.Random(3), "clinic", 4, "train")
    reply = world.teacher_reply(random.Random(3), problem, 0, 1, 0)
    ids = tokenizer(reply).input_ids
    assert ids == [WORD_ID[w] for w in reply.split(" ")]
    assert tokenizer.decode(ids) == reply


def test_ids_are_those_of_the_vocabulary(tokenizer) -> None:
    assert len(tokenizer) == len(VOCABULARY) == len(set(VOCABULARY))
    assert tokenizer.convert_tokens_to_ids(list(VOCABULARY)) == list(range(len(VOCABULARY)))


def test_tags_are_found_without_spaces_and_outlive_special_tokens(tokenizer) -> None:
    ids = tokenizer("<think>3</think><answer>3</answer><|im_end|>").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think> 3 </think> <answer> 3 </answer>"


def test_the_chat_template_takes_text_and_pictures(tokenizer) -> None:
    parts = [{"type": "image"}, {"type": "text", "text": "ask b"}]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
    )
    words = "<|im_start|> user <|vision_start|> <|image_pad|> <|vision_end|> ask b <|im_end|> <|im_start|> assistant"
    assert text.split() == words.split()


@given(st.text(max_size=60))
def test_any_text_becomes_tokens(tokenizer, text: str) -> None:
    assert all(0 <= i < len(VOCABULARY) for i in tokenizer(text).input_ids)
