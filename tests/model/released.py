"""A random model in the files that a Qwen2.5-VL checkpoint is released in (transformers 4.57): old tensor names, shards
in bf16, a fast image processor's configuration, a slow tokenizer's files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from xreasoner.model.tiny import CHAT_TEMPLATE, CONTROL, build_model, train_tokenizer

END, IMAGE, START = "<|im_end|>", "<|image_pad|>", "<|im_start|>"


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def write_released(folder: Path, *, slow_tokenizer: bool = True, repetition_penalty: float = 1.05) -> None:
    tokenizer = train_tokenizer(["what is shown in the picture? the answer is 1 2 3"] * 3, 290)
    model = build_model(tokenizer, 64, 2, seed=0).to(torch.bfloat16)
    disable_progress_bar()
    model.save_pretrained(folder, max_shard_size="200KB")
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in CONTROL}
    config = json.loads((folder / "config.json").read_text())
    rope = config["text_config"].pop("rope_parameters")
    config["text_config"] |= {
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"mrope_section": rope["mrope_section"], "rope_type": "default", "type": "default"},
    }
    write(folder / "config.json", {**config, "transformers_version": "4.57.1"})
    ends = [ids[END], tokenizer.pad_token_id]
    act = {"do_sample": True, "temperature": 1e-06, "top_k": 1, "repetition_penalty": repetition_penalty}
    write(folder / "generation_config.json", {"eos_token_id": ends, "pad_token_id": ends[1], **act})
    write(folder / "preprocessor_config.json", image_processor())
    video = {**image_processor(), "video_processor_type": "Qwen2VLVideoProcessor", "max_frames": 768, "fps": 2}
    write(folder / "video_preprocessor_config.json", {k: v for k, v in video.items() if k != "image_processor_type"})
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    if slow_tokenizer:
        tokenizer.backend_tokenizer.model.save(str(folder))  # vocab.json and merges.txt
        added = {str(i): {"content": token, "special": True, "lstrip": False, "rstrip": False, "normalized": False,
                          "single_word": False} for token, i in ids.items()}  # fmt: skip
        settings = {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "add_prefix_space": False}
        settings |= {"eos_token": END, "pad_token": tokenizer.pad_token, "unk_token": None, "bos_token": None}
        settings |= {"added_tokens_decoder": added, "additional_special_tokens": list(CONTROL), "errors": "replace"}
        settings |= {"clean_up_tokenization_spaces": False, "split_special_tokens": False}
        write(folder / "tokenizer_config.json", {**settings, "processor_class": "Qwen2_5_VLProcessor"})
        write(folder / "special_tokens_map.json", {"eos_token": END, "pad_token": tokenizer.pad_token})
    else:
        tokenizer.save_pretrained(folder)


def image_processor() -> dict[str, Any]:
    return {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "device": None,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen2_5_VLProcessor",
        "max_pixels": 12845056, "min_pixels": 3136, "merge_size": 2, "patch_size": 14, "temporal_patch_size": 2,
        "resample": 3, "rescale_factor": 0.00392156862745098, "return_tensors": None,
        "size": {"longest_edge": 12845056, "shortest_edge": 3136},
    }  # fmt: skip


def into_hub_cache(folder: Path, cache: Path, name: str) -> Path:
    """The folder's files as the Hugging Face cache keeps them; returns the snapshot."""
    repository = cache / f"models--{name.replace('/', '--')}"
    revision = hashlib.sha1(name.encode()).hexdigest()
    snapshot = repository / "snapshots" / revision
    for made in (snapshot, repository / "blobs", repository / "refs"):
        made.mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    for path in folder.iterdir():
        blob = hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(repository / "blobs" / blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob}")
    return snapshot
