"""Tiny random VLMs of every family, in every layout that is found on disk."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
torch.set_num_threads(1)

SPECIAL = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
WORDS = ["<pad>", "<bos>", "<eos>", "<unk>", "a", *SPECIAL, "b", "c", "d"]
VOCAB = 64


def tiny_config(model_type, tie):
    from transformers import AutoConfig

    text = {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-3,  # no family's default
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 5000.0},
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {"depth": 2, "num_heads": 2, "patch_size": 4, "hidden_size": 32}
    if model_type == "qwen2_vl":
        vision |= {"embed_dim": 32}
    else:
        vision |= {"intermediate_size": 48, "out_hidden_size": 32}
    if model_type == "qwen2_5_vl":
        vision |= {"fullatt_block_indexes": [1], "window_size": 16}
    if model_type == "qwen3_vl":
        text |= {"head_dim": 8}
        vision |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    ids = {"image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 7, "vision_end_token_id": 8}
    return AutoConfig.for_model(model_type, text_config=text, vision_config=vision, tie_word_embeddings=tie, **ids)


@pytest.fixture(scope="session")
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, additional_special_tokens=SPECIAL, **special)


@pytest.fixture
def make_vlm(tmp_path, tokenizer):
    """make_vlm(model_type, tie=, sharded=, long_names=, dtype=) writes a VLM folder and returns its path."""

    def make(model_type="qwen2_5_vl", tie=False, sharded=False, long_names=None, dtype=torch.float32):
        from transformers import AutoModelForImageTextToText, Qwen2VLImageProcessorPil

        from xreasoner.model.families import FAMILIES
        from xreasoner.model.processor import processor_class, save_processor

        torch.manual_seed(7)
        model = AutoModelForImageTextToText.from_config(tiny_config(model_type, tie)).to(dtype)
        for parameter in model.parameters():  # norms and biases start at constants, which would hide mix-ups
            torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / f"vlm-{len(list(tmp_path.iterdir()))}"
        model.save_pretrained(folder, max_shard_size="20KB" if sharded else "1GB")
        if long_names is not None:
            rename(folder, long_names)
        image_processor = Qwen2VLImageProcessorPil(
            patch_size=4, size={"shortest_edge": 64, "longest_edge": 4096}, merge_size=2
        )
        cls = processor_class(FAMILIES[model_type], torchvision=False)
        processor = cls(image_processor, tokenizer, chat_template="{{ messages[0]['content'] }}")
        save_processor(model_type, processor, folder)
        return folder

    return make


def rename(folder, long_names):
    """Give a checkpoint's tensors the module's names (long) or the first releases' (short), whatever they had."""

    def name(key):
        key = key.replace("model.language_model.", "model.").replace("model.visual.", "visual.")
        if not long_names or key.startswith("lm_head"):
            return key
        return f"model.{key}" if key.startswith("visual.") else key.replace("model.", "model.language_model.", 1)

    for path in folder.glob("*.safetensors"):
        save_file({name(k): v for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        fields = json.loads(index.read_text())
        fields["weight_map"] = {name(k): v for k, v in fields["weight_map"].items()}
        index.write_text(json.dumps(fields))


@pytest.fixture
def tensors_of():
    """tensors_of(folder) -> {file name: {key: tensor}} of all its weights."""
    return lambda folder: {path.name: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
