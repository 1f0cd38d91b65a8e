import os
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch

from xreasoner.errors import DataError
from xreasoner.rollout import encode
from xreasoner.rollout.encode import Encoder
from xreasoner.types import Image, Message, Prompt


class Letters:
    """A tokenizer of single characters that shows how a chat was handed to its template."""

    chat_template = "own"

    def apply_chat_template(self, chat, *, chat_template, tokenize, add_generation_prompt):
        assert (tokenize, add_generation_prompt) == (False, True)
        self.seen, self.template = chat, chat_template
        parts = [p for m in chat for p in ([m["content"]] if isinstance(m["content"], str) else m["content"])]
        return "".join("*" if p == {"type": "image"} else p if isinstance(p, str) else p["text"] for p in parts)

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens
        return [ord(c) for c in text]


class Eyes:
    """16 patches of 1 value for each 28x28 cell's four, counted."""

    merge_size = 2

    def __init__(self):
        self.calls = 0

    def __call__(self, images, return_tensors):
        self.calls += 1
        width, height = images[0].size
        if width > 200 * height:
            raise ValueError("absolute aspect ratio must be smaller than 200")
        rows, columns = height // 14, width // 14
        return {
            "pixel_values": torch.full((rows * columns, 1), float(np.asarray(images[0]).mean())),
            "image_grid_thw": torch.tensor([[1, rows, columns]]),
        }


@pytest.fixture
def eyes():
    return Eyes()


@pytest.fixture
def encoder(eyes):
    return Encoder(Letters(), SimpleNamespace(image_processor=eyes), image_token_id=ord("*"))


def picture(folder, name: str, width: int, height: int, value: int = 0) -> Image:
    path = folder / name
    PIL.Image.new("L", (width, height), value).save(path)
    return Image(str(path))


def test_images_spread_in_reading_order(encoder, tmp_path):
    a, b = picture(tmp_path, "a.png", 28, 28), picture(tmp_path, "b.png", 56, 84)
    prompt = Prompt((Message("user", ("x", a, "y")), Message("assistant", "z"), Message("user", (b,))), prefix="p")
    encoded = encoder(prompt)
    assert "".join(map(chr, encoded.ids)) == "x*yz******p"
    assert encoded.images == (a.path, b.path)


def test_parts_only_where_there_are_images():
    letters = Letters()
    Encoder(letters, SimpleNamespace(chat_template="processor's"))(
        Prompt((Message("system", "s"), Message("user", ("a", "b"))))
    )
    assert letters.template == "processor's"
    assert letters.seen == [{"role": "system", "content": "s"}, {"role": "user", "content": "ab"}]
    Encoder(letters)(Prompt((Message("user", "a"),)))
    assert letters.template == "own"


def test_pictures_are_read_once_until_they_change(encoder, eyes, tmp_path):
    image = picture(tmp_path, "a.png", 28, 28, value=1)
    for _ in range(3):
        encoder(Prompt((Message("user", (image, "?")),)))
    assert eyes.calls == 1
    assert encoder.pixels(image.path)[0][0, 0] == 1
    picture(tmp_path, "a.png", 28, 28, value=9)
    os.utime(image.path, ns=(0, 10**18))
    assert encoder.pixels(image.path)[0][0, 0] == 9


def test_memory_for_pictures_is_bounded(encoder, eyes, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "_KEPT_BYTES", 2 * 4 * 4)  # two pictures of four float32 patches
    a, b, c = (picture(tmp_path, name, 28, 28).path for name in ("a.png", "b.png", "c.png"))
    for path in (a, b, a, c):  # b is the least recently used
        encoder.pixels(path)
    assert eyes.calls == 3
    encoder.pixels(a)
    assert eyes.calls == 3
    encoder.pixels(b)
    assert eyes.calls == 4
    large = picture(tmp_path, "large.png", 280, 280).path
    assert encoder.pixels(large)[0].shape == (400, 1)  # over the bound by itself, and still served


def test_what_a_person_can_mend(encoder, tmp_path):
    with pytest.raises(DataError, match="1 images renders to 2 image tokens"):
        encoder(Prompt((Message("user", (picture(tmp_path, "a.png", 28, 28), "*")),)))
    with pytest.raises(DataError, match="aspect ratio"):
        encoder.pixels(picture(tmp_path, "long.png", 2801, 14).path)
    whole = (tmp_path / "a.png").read_bytes()
    for length in range(0, len(whole) // 2, 3):
        (tmp_path / "torn.png").write_bytes(whole[:length])
        with pytest.raises(DataError, match="cannot be read"):
            encoder.pixels(str(tmp_path / "torn.png"))
