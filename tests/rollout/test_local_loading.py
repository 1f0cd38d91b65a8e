"""The sampler from folders, and what a person can mend."""

from dataclasses import replace

import pytest
import torch
from tiny_models import END, END2, GREEDY, ids_of, says, shape, tower, vlm, with_pictures
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from xreasoner.errors import DataError, ModelError, RecipeError
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Image


def test_from_dir_loads_a_vlm_with_its_eyes(tokenizer, processor, pictures, tmp_path):
    model = vlm("qwen2.5")
    model.generation_config.eos_token_id = [END, END2]
    for part in (model, tokenizer, processor.image_processor):
        part.save_pretrained(tmp_path)
    prompts = with_pictures(pictures)
    expected = LocalSampler(model, tokenizer, processor).generate(prompts, GREEDY)
    loaded = LocalSampler.from_dir(tmp_path).generate(prompts, GREEDY)
    assert ids_of(loaded) == ids_of(expected)
    for after, before in zip(loaded, expected, strict=True):  # with torchvision another class resizes the pictures
        for one, other in zip(after, before, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_from_dir_loads_a_tower(tmp_path):
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE({c: i for i, c in enumerate(letters)}, []))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    spelling = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, eos_token="<|im_end|>", chat_template="{{ messages[0].content }}"
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**shape(vocab_size=264, eos_token_id=spelling.eos_token_id))).eval()
    model.save_pretrained(tmp_path)
    spelling.save_pretrained(tmp_path)
    prompts = [says("a"), says("né 12")]
    expected = LocalSampler(model, spelling).generate(prompts, GREEDY)
    assert ids_of(LocalSampler.from_dir(tmp_path, dtype=torch.float32).generate(prompts, GREEDY)) == ids_of(expected)


def test_what_a_person_can_mend(tokenizer, processor, pictures, tmp_path):
    text = LocalSampler(tower(), tokenizer)
    eyes = LocalSampler(vlm("qwen2.5"), tokenizer, processor)
    with pytest.raises(RecipeError, match="think_budget"):
        text.generate([says("w1")], replace(GREEDY, think_budget=0))
    with pytest.raises(DataError, match="text-only"):
        text.generate([says(Image(pictures[0]))], GREEDY)
    with pytest.raises(DataError, match="0 images renders to 1 image tokens"):
        eyes.generate([says("w1 <img> w2")], GREEDY)
    with pytest.raises(DataError, match="cannot be read"):
        eyes.generate([says(Image(str(tmp_path / "gone.png")))], GREEDY)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    with pytest.raises(DataError, match="cannot be read"):
        eyes.generate([says(Image(str(tmp_path / "torn.png")))], GREEDY)
    with pytest.raises(RecipeError, match="batch size is 0"):
        LocalSampler(tower(), tokenizer, batch_size=0)
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<end>")
    with pytest.raises(ModelError, match="chat template"):
        LocalSampler(tower(), bare)
