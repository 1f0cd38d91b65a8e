"""Talking to models that no part of this project was written for: another VLM, a state-space model, sliding windows."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    CLIPVisionConfig,
    Gemma2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MambaConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from xreasoner.errors import DataError, ModelError
from xreasoner.rollout.stream import Speaker
from xreasoner.types import Image, Message, SamplingParams

PARAMS = SamplingParams(think_budget=20, answer_budget=6, temperature=1.0)
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}\n{% endfor %}"
)


@pytest.fixture(scope="module")
def spelling() -> Any:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({c: i for i, c in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", pad_token="<pad>", chat_template=TEMPLATE
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.image_token = "<image>"
    return tokenizer


def shape(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "initializer_range": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["mamba", "gemma2"])
def test_a_causal_lm(kind: str, spelling: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = (
        MambaConfig(**{**shape(spelling), "bos_token_id": 0})
        if kind == "mamba"
        else Gemma2Config(**shape(spelling), head_dim=8, sliding_window=8)
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(tmp_path)
    spelling.save_pretrained(tmp_path)
    speaker = Speaker.from_dir(tmp_path)
    assert not speaker.sees
    heard: list[str] = []
    done = speaker.answer([Message("user", "hello")], PARAMS, heard.append)
    assert "".join(heard) == done.text
    # what was sampled step by step is what one pass over the whole gives
    prompt = spelling.apply_chat_template([{"role": "user", "content": "hello"}], return_dict=True)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *done.token_ids]])).logits[0, len(prompt) - 1 : -1]
    whole = logits.log_softmax(-1).gather(1, torch.tensor(done.token_ids)[:, None])[:, 0]
    own = torch.tensor(done.sampled)
    assert own.sum() > 4
    assert torch.allclose(torch.tensor(done.logprobs)[own], whole[own], atol=1e-3)


def test_a_vlm_of_another_family(spelling: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14
    )
    eyes = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = LlavaProcessor(
        eyes,
        spelling,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )
    config = LlavaConfig(
        text_config=LlamaConfig(**shape(spelling)),
        vision_config=vision,
        image_token_id=spelling.convert_tokens_to_ids("<image>"),
    )
    LlavaForConditionalGeneration(config).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (2, 28, 28, 3), dtype=np.uint8)
    for name, pixels in zip("ab", noise, strict=True):
        PIL.Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    speaker = Speaker.from_dir(tmp_path)
    assert speaker.sees
    a, b = ([Message("user", (Image(str(tmp_path / f"{name}.png")), "hello"))] for name in "ab")
    said = speaker.answer(a, PARAMS, str)
    assert said == speaker.answer(a, PARAMS, str)
    assert said.token_ids != speaker.answer(b, PARAMS, str).token_ids, "it looks at the picture"
    assert speaker.answer([Message("user", "<image> hello")], PARAMS, str) == (
        speaker.answer([Message("user", " hello")], PARAMS, str)
    )
    (tmp_path / "processor_config.json").unlink()
    with pytest.raises((ModelError, DataError)):
        Speaker.from_dir(tmp_path).answer(a, PARAMS, str)
