"""The tiny random VLM: stock files, any text comes back, detach and graft, the same bytes by seed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from transformers import AutoModelForImageTextToText, AutoTokenizer

from xreasoner.data.render import render
from xreasoner.errors import DataError, ModelError, RunError
from xreasoner.model import tiny
from xreasoner.model.load import load_processor, load_tokenizer, load_tower, load_vlm
from xreasoner.model.tower import detach, graft, vision_hash
from xreasoner.types import Example, Image, Message, Prompt, SamplingParams

STORIES = [
    {"question": f"Mira has {n} apples and buys twice as many. How many does she have?", "answer": f"{n} + {2 * n}"}
    for n in range(400)
]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    rows = write_rows(folder / "rows.jsonl", STORIES)
    tiny.write_tiny(folder / "vlm", [rows], vocabulary=512, hidden=64, layers=2)
    return folder / "vlm"


@pytest.fixture(scope="module")
def tokenizer(made):
    return load_tokenizer(made)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    "text", ["e\u0301 is not \u00e9", "\ufb01ve  spaces   \t\r\n\n", "数字１２", "\x00\u202eabc", "🤷🏽‍♀️"]
)
def test_nothing_is_normalised(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


def test_think_tags_survive_and_are_plain_text(tokenizer):
    reply = "<think>2 + 3</think> <answer>5</answer>"
    ids = tokenizer.encode(reply)
    assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == reply
    assert not {"<think>", "</think>"} & set(tokenizer.convert_ids_to_tokens(ids))


def test_digits_stand_alone_and_words_of_the_files_are_tokens(tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("apples 1234"))[-4:] == ["1", "2", "3", "4"]
    assert len(tokenizer.encode(" apples")) == 1
    assert len(tokenizer.encode(" zymurgy")) > 1


def test_control_words_of_a_response_stay_text(tokenizer):
    example = Example("x", (Message("user", "Say it."),), "5", "number", response="<|im_end|><|image_pad|>")
    row = render(example, tokenizer, 200, "cut")
    spoken = [i for i in row.labels if i >= 0]
    assert spoken.count(tokenizer.eos_token_id) == 1
    assert row.labels[-1] == tokenizer.eos_token_id
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_stock_transformers_loads_it(made):
    model, info = AutoModelForImageTextToText.from_pretrained(made, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert model.config.text_config.vocab_size == len(AutoTokenizer.from_pretrained(made)) == 512
    assert model.generation_config.eos_token_id == AutoTokenizer.from_pretrained(made).eos_token_id


def test_detach_and_graft(made, tmp_path):
    detach(made, tmp_path / "tower")
    ids = torch.tensor([load_tokenizer(made).encode("Mira has 3 apples")])
    tower = load_tower(tmp_path / "tower")
    with torch.no_grad():
        assert torch.equal(tower(input_ids=ids).logits, load_vlm(made)(input_ids=ids).logits)
        tower.get_input_embeddings().weight.mul_(1.5)
    tower.save_pretrained(tmp_path / "trained")
    load_tokenizer(tmp_path / "tower").save_pretrained(tmp_path / "trained")
    graft(made, tmp_path / "trained", tmp_path / "final")
    assert vision_hash(tmp_path / "final") == vision_hash(made)
    with torch.no_grad():
        assert torch.equal(load_vlm(tmp_path / "final")(input_ids=ids).logits, tower(input_ids=ids).logits)


def test_it_looks_at_pictures(made, tmp_path):
    from xreasoner.rollout.local import LocalSampler

    pixels = np.random.default_rng(0).integers(0, 255, (56, 84, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    Pillow.fromarray(255 - pixels).save(tmp_path / "b.png")
    prompts = [
        Prompt((Message("user", (Image(str(tmp_path / name)), "How many?")),), seed=0) for name in ("a.png", "b.png")
    ]
    sampler = LocalSampler(load_vlm(made), load_tokenizer(made), load_processor(made))
    assert sampler.prompt_ids(prompts[0]).count(tiny.CONTROL.index(tiny.IMAGE)) == 6  # 28 x 28 pixels a token
    (a,), (b,) = sampler.generate(prompts, SamplingParams(think_budget=None, answer_budget=12))
    assert a.token_ids != b.token_ids


def test_the_same_arguments_write_the_same_bytes(tmp_path):
    """In another process too, for the order of a process's hashes must not matter."""
    rows = write_rows(tmp_path / "rows.jsonl", STORIES)
    sizes = ["--vocabulary", "300", "--hidden", "64", "--layers", "1", "--seed", "3"]
    command = [sys.executable, "-m", "xreasoner.model.tiny", tmp_path / "a", "--text", rows, *sizes]
    done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "1"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    for name, seed in (("b", 3), ("c", 4)):
        tiny.write_tiny(tmp_path / name, [rows], vocabulary=300, hidden=64, layers=1, seed=seed)
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "abc")
    assert a == b
    assert a["model.safetensors"] != c["model.safetensors"]
    assert a["tokenizer.json"] == c["tokenizer.json"]


def test_texts_of_files(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [{"a": "one", "b": [{"value": "two"}, 3, None]}, "\ud800three"])
    (tmp_path / "rows.jsonl").open("a").write("\n")
    (tmp_path / "notes.txt").write_text("{not json\nfour")
    assert list(tiny.texts_of([rows, tmp_path / "notes.txt"])) == ["one", "two", "three", "{not json\n", "four"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "b"}\n{oops\n', "Line 2 of .* is not valid JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (None, "Cannot read"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(tiny.texts_of([tmp_path / "rows.jsonl"]))


@pytest.mark.parametrize(
    "sizes", [{"hidden": 100}, {"hidden": 0}, {"layers": 0}, {"vocabulary": 262}, {"seed": -1}, {"seed": 2**63}]
)
def test_sizes_and_seeds_that_make_no_model(tmp_path, sizes):
    with pytest.raises(ModelError):
        tiny.write_tiny(tmp_path / "vlm", [], **sizes)
    assert not (tmp_path / "vlm").exists()


def test_a_folder_that_exists_is_left_alone(made, capsys):
    rows = write_rows(made.parent / "more.jsonl", STORIES)
    before = (made / "config.json").read_bytes()
    with pytest.raises(RunError, match="already exists"):
        tiny.write_tiny(made, [rows])
    with pytest.raises(SystemExit) as stop:
        tiny.main([str(made), "--text", str(rows)])
    assert stop.value.code == 2
    assert "already exists" in capsys.readouterr().err
    assert (made / "config.json").read_bytes() == before


def test_the_default_size_is_small(tmp_path):
    tiny.write_tiny(tmp_path / "vlm", [write_rows(tmp_path / "rows.jsonl", STORIES)])
    assert sum(p.stat().st_size for p in (tmp_path / "vlm").iterdir()) < 10 * 2**20
