"""What a released model's card says, and the files that such a model comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from released import write_released
from safetensors import safe_open

from xreasoner.errors import RecipeError
from xreasoner.model.load import load_tokenizer, load_vlm
from xreasoner.model.presets import PRESETS, Preset, instruction_first, preset_of
from xreasoner.prompts import MULTIPLE_CHOICE, PROMPTS, TRAINING, render
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Example, Image, Message, Prompt, SamplingParams

A, B = Image("a.png"), Image("b.png")
NAME = "microsoft/X-Reasoner-7B"


def example(*content: str | Image) -> Example:
    return Example("q", (Message("user", content),), "B", "choice", ("Yes", "No"), tags={"domain": "d"})


def content(of: Example) -> Any:
    return instruction_first(of).messages[0].content


def test_the_preset_of_the_card() -> None:
    preset = PRESETS[NAME]
    assert (preset.min_pixels, preset.max_pixels, preset.instruction_first) == (262_144, 262_144, True)
    assert preset.words() == (
        "preset microsoft/X-Reasoner-7B: pictures of 262,144 to 262,144 pixels, the instruction before the picture "
        "(https://huggingface.co/microsoft/X-Reasoner-7B)"
    )


def test_who_has_which_preset() -> None:
    preset = PRESETS[NAME]
    assert preset_of(NAME) == preset_of("microsoft/x-reasoner-7b") == preset_of("/a/copy", NAME) == preset
    assert preset_of("/a/copy") is preset_of("Qwen/Qwen2.5-VL-7B-Instruct") is preset_of(NAME, "none") is None
    with pytest.raises(RecipeError, match="no preset x: choose one of microsoft/X-Reasoner-7B, none"):
        preset_of(NAME, "x")


def test_the_picture_comes_between_the_instruction_and_the_question() -> None:
    asked = example(A, render(MULTIPLE_CHOICE, "Is there a dog in the image?", ("Yes", "No")))
    head, picture, question = content(asked)
    assert head.endswith("<answer>B: No </answer>). Here is the question: ")
    assert (picture, question) == (A, "Is there a dog in the image? Options:\n\nA: Yes\nB: No")
    assert content(example(A, B, render(TRAINING, "Why?"))) == (TRAINING.partition("{{")[0], A, B, "Why?")


@pytest.mark.parametrize(
    "parts",
    [
        ("w1", A, "w2"),
        (A, "What is shown?"),
        (A, B, "What is shown?"),
        (A,),
        (render(TRAINING, "In "), A, " what is shown?"),
        (render(MULTIPLE_CHOICE, "In ", ()), A),
    ],
)
def test_what_has_its_place_keeps_it(parts: tuple[Any, ...]) -> None:
    assert content(example(*parts)) == parts


def test_text_questions_and_other_turns_stay() -> None:
    text = Example("q", (Message("system", "s"), Message("user", render(TRAINING, "2+2?"))), "4", "number")
    assert instruction_first(text) == text
    shown = Example("q", (Message("assistant", (A, render(TRAINING, "x"))),), "4", "number")
    assert instruction_first(shown) == shown


@given(
    st.lists(st.sampled_from([A, B, "", "x ", render(TRAINING, "q"), render(MULTIPLE_CHOICE, "q"), "q"]), max_size=6),
    st.sampled_from(sorted(PROMPTS)),
)
def test_nothing_is_lost_and_twice_is_once(parts: list[Any], name: str) -> None:
    asked = example(*parts, render(PROMPTS[name], "Q"))
    arranged = instruction_first(asked)
    before, after = ("".join(p for p in e.messages[0].content if isinstance(p, str)) for e in (asked, arranged))
    assert before == after
    assert arranged.images == asked.images
    assert instruction_first(arranged) == arranged
    assert Preset("x", "", 1, 1, False).arrange(asked) is asked


@pytest.fixture(scope="module", params=[True, False], ids=["vocab.json", "tokenizer.json"])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    write_released(folder, slow_tokenizer=request.param)
    return folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("picture") / "p.png"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 900, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_the_files_are_those_of_a_release(released: Path) -> None:
    index = json.loads((released / "model.safetensors.index.json").read_text())["weight_map"]
    assert len(set(index.values())) > 1
    assert {"model.layers.0.mlp.up_proj.weight", "visual.merger.mlp.0.weight"} <= set(index)
    with safe_open(released / index["model.norm.weight"], "pt") as shard:
        assert shard.get_tensor("model.norm.weight").dtype == torch.bfloat16


def test_a_released_checkpoint_answers_about_pictures(released: Path, picture: str, tmp_path: Path) -> None:
    preset = PRESETS[NAME]
    sampler = LocalSampler.from_dir(released, min_pixels=preset.min_pixels, max_pixels=preset.max_pixels, device="cpu")
    prompt = Prompt((Message("user", ("Look: ", Image(picture), "what is it?")),))
    pad = load_tokenizer(released).convert_tokens_to_ids("<|image_pad|>")
    # 512 x 512 pixels at 1:3: 280 x 868, the sides rounded down to whole pairs of patches of 14
    assert sampler.prompt_ids(prompt).count(pad) == (280 // 28) * (868 // 28) == 310
    assert LocalSampler.from_dir(released, device="cpu").prompt_ids(prompt).count(pad) == 11 * 32
    PIL.Image.new("RGB", (60, 90)).save(small := str(tmp_path / "small.png"))
    assert sampler.prompt_ids(Prompt((Message("user", (Image(small),)),))).count(pad) == (420 // 28) * (644 // 28)
    [[done]] = sampler.generate([prompt], SamplingParams(6, 3))
    assert done.n_sampled > 0
    assert sampler.model.dtype == torch.bfloat16


def test_generation_defaults_of_a_release_do_not_act(tmp_path: Path) -> None:
    texts = []
    for penalty in (1.0, 50.0):
        folder = tmp_path / str(penalty)
        folder.mkdir()
        write_released(folder, repetition_penalty=penalty)
        [[done]] = LocalSampler.from_dir(folder, device="cpu").generate(
            [Prompt((Message("user", "the answer"),))], SamplingParams(None, 12)
        )
        texts.append(done.text)
    assert texts[0] == texts[1]
    assert len(set(done.token_ids)) < len(done.token_ids)  # a penalty of 50 would not have let it repeat itself
    ends = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    assert set(ends) <= LocalSampler.from_dir(folder, device="cpu")._rule.eos_ids
    assert load_vlm(folder).generation_config.repetition_penalty == 50.0
