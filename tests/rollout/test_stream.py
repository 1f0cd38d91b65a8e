"""The speaker against the local sampler: the same tokens, said aloud while they are sampled."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import END, END2, GREEDY, TEMPLATE, WARM, WORDS, ending, says, tower, vlm, with_pictures
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.model.families import FAMILIES
from xreasoner.model.processor import processor_class
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.stream import Speaker, _Pieces, _Turn, read_picture
from xreasoner.types import Image, Message, SamplingParams

FORCED = SamplingParams(think_budget=4, answer_budget=5, temperature=1.0, seed=1)


@pytest.fixture(scope="module")
def eyes(tokenizer, processor):
    """A speaker that sees, and the local sampler of the same model."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<img>", "<video>"]})
    tokenizer.image_token, tokenizer.video_token = "<img>", "<video>"
    seeing = processor_class(FAMILIES["qwen2_5_vl"], torchvision=False)(
        processor.image_processor, tokenizer, chat_template=TEMPLATE
    )
    model = ending(vlm("qwen2.5"), 1.0, END, END2)
    return Speaker(model, tokenizer, seeing), LocalSampler(model, tokenizer, seeing)


@pytest.mark.parametrize("params", [GREEDY, WARM, FORCED], ids=["greedy", "warm", "forced"])
def test_a_text_model_says_what_the_sampler_samples(params, tokenizer):
    model = ending(tower(), 3.0, END)
    prompts = [says("w1 w2 w3"), says("w4"), says("w5 w6")]
    expected = [group[0] for group in LocalSampler(model, tokenizer).generate(prompts, params)]
    model.generation_config.repetition_penalty = 5.0  # a checkpoint's own habits are not the recipe's
    speaker = Speaker(model, tokenizer)
    assert not speaker.sees
    for prompt, completion in zip(prompts, expected, strict=True):
        heard: list[str] = []
        done = speaker.answer(prompt.messages, params, heard.append)
        assert (done.token_ids, done.sampled, done.text) == (completion.token_ids, completion.sampled, completion.text)
        assert (done.exit, done.stop) == (completion.exit, completion.stop)
        assert done.logprobs == pytest.approx(completion.logprobs, abs=1e-4)
        assert "".join(heard) == done.text
        assert len(heard) >= len(done.text.split()) - 1, "text comes token by token"
    if params is FORCED:
        assert {c.exit for c in expected} >= {"forced"}


def test_a_model_with_eyes_says_what_the_sampler_samples(eyes, pictures):
    speaker, sampler = eyes
    assert speaker.sees
    prompts = with_pictures(pictures)[:4]
    for prompt, [completion] in zip(prompts, sampler.generate(prompts, FORCED), strict=True):
        assert speaker.answer(prompt.messages, FORCED, str).token_ids == completion.token_ids


def test_an_interrupted_answer_leaves_the_next_one_as_it_was(eyes, pictures):
    speaker, _ = eyes
    whole = speaker.answer(says(Image(pictures[1]), "w1").messages, WARM, str)

    def ctrl_c(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        speaker.answer(says("w1", Image(pictures[2])).messages, WARM, ctrl_c)
    assert speaker.answer(says(Image(pictures[1]), "w1").messages, WARM, str) == whole


def test_what_a_model_said_is_never_read_as_structure(eyes):
    """An image or end token in a message, the model's own included, would make the next prompt another one."""
    speaker, _ = eyes
    talk = [Message("user", "w1"), Message("assistant", "w2 <think> w3 </think>"), Message("user", "w4")]
    hostile = [
        talk[0],
        replace(talk[1], content="w2 <think> <img> w3 </think> <im<video>g> <vid<im<img>g>eo>"),
        talk[2],
    ]
    assert speaker.answer(hostile, GREEDY, str) == speaker.answer(talk, GREEDY, str)


def test_the_steps_after_the_end_say_nothing(tokenizer):
    """On a GPU transformers looks for the end one step late."""
    speaker = Speaker(ending(tower(), 3.0, END), tokenizer)
    row = speaker._rule.start(SamplingParams(think_budget=None, answer_budget=1))
    heard: list[str] = []
    turn = _Turn(row, GREEDY, _Pieces(speaker._rule.decode), heard.append)
    scores = torch.zeros(1, len(WORDS))
    scores[0, 20] = 9.0
    assert turn(torch.tensor([[1]]), scores).argmax() == 20
    assert row.done
    scores[0, 21] = 99.0
    assert turn(torch.tensor([[1]]), scores).argmax() == 20
    assert heard == [WORDS[20]]


@pytest.fixture(scope="module")
def spelling():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    byte_level = Tokenizer(models.BPE({c: i for i, c in enumerate(letters)}, []))
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=byte_level, eos_token="<|im_end|>")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12))
def test_pieces_are_whole_characters_and_together_the_text(spelling, text):
    pieces = _Pieces(lambda ids: spelling.decode(list(ids)))
    heard = [pieces.push(token) for token in spelling.encode(text, add_special_tokens=False)]
    assert "".join(heard) + pieces.rest() == text
    assert all("\ufffd" not in piece for piece in heard if "\ufffd" not in text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=40))
def test_bytes_that_are_no_text_still_come(spelling, ids):
    pieces = _Pieces(lambda ids: spelling.decode(list(ids)))
    heard = [pieces.push(token) for token in ids]
    held = max((n for n in range(len(heard) + 1) if not any(heard[len(heard) - n :])), default=0)
    assert held <= 8
    assert bool("".join(heard) + pieces.rest()) == bool(ids)


def test_what_a_person_can_mend(tokenizer, pictures, tmp_path):
    text = Speaker(ending(tower(), 1.0, END), tokenizer)
    with pytest.raises(DataError, match="text-only"):
        text.answer(says(Image(pictures[0])).messages, GREEDY, str)
    with pytest.raises(DataError, match="begin anew or lower the budgets"):
        text.answer(says("w1 " * 500).messages, GREEDY, str)
    chat = [{"role": "user", "content": "w1"}]
    asked = len(tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"])
    closing = len(text._rule.close_ids)
    text.context = asked + 4 + closing + 5  # FORCED, with the tag that closes its thoughts
    text.answer(says("w1").messages, FORCED, str)
    text.context -= 1
    with pytest.raises(DataError, match=f"up to {9 + closing} more exceed the {text.context} "):
        text.answer(says("w1").messages, FORCED, str)
    text.answer(says("w1").messages, replace(FORCED, think_budget=None, answer_budget=9), str)
    with pytest.raises(RecipeError, match="think_budget"):
        text.answer(says("w1").messages, replace(GREEDY, think_budget=0), str)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    for path in (tmp_path / "torn.png", tmp_path / "gone.png", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_picture(path)
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<end>")
    with pytest.raises(ModelError, match="chat template"):
        Speaker(tower(), bare)
    strict = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        eos_token="<end>",
        chat_template="{{ raise_exception('roles must alternate') }}",
    )
    with pytest.raises(DataError, match="roles must alternate"):
        Speaker(ending(tower(), 1.0, END), strict).answer(says("w1").messages, GREEDY, str)
