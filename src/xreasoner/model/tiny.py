"""A tiny random VLM to try a recipe out on a CPU, with a tokenizer trained on the text of your files.

    python -m xreasoner.model.tiny OUT --text FILE [FILE ...] [--vocabulary N] [--hidden N] [--layers N] [--seed S]

OUT is a stock Qwen2.5-VL in small: `xreasoner run RECIPE model.base=OUT` detaches, trains, grafts and evaluates it. It
knows nothing: what it shows is that a recipe runs, and how long that takes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)
from transformers.utils.logging import disable_progress_bar

from xreasoner.errors import DataError, ModelError, UserError
from xreasoner.micro.tokenizer import END, IMAGE, IMAGE_PROCESSOR, PAD, START, VIDEO, VISION_END, VISION_START
from xreasoner.model.families import FAMILIES
from xreasoner.model.folder import new_folder
from xreasoner.model.processor import processor_class, save_processor
from xreasoner.prompts import PROMPTS

CONTROL = (PAD, START, END, VISION_START, IMAGE, VISION_END, VIDEO)
FEWEST_TOKENS = 256 + len(CONTROL)  # every byte is a token, so that any text can be written
HEAD = 32  # size of an attention head; M-RoPE shares its 16 frequencies out between time, rows and columns
POSITIONS = 8192
PROMPT_WEIGHT = 100  # copies of each prompt in the tokenizer's text, for every row is asked with one of them

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' }}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
"""

CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
---
# A tiny random VLM

A `Qwen2_5_VLForConditionalGeneration` of {parameters:,} random parameters (hidden size {hidden}, {layers} layers, seed
{seed}) and {vocabulary:,} tokens. It knows nothing: it is there to try recipes out. Made by `xreasoner.model.tiny`.
"""


def write_tiny(
    out_dir: Path, files: Sequence[Path], vocabulary: int = 2048, hidden: int = 128, layers: int = 4, seed: int = 0
) -> None:
    """Writes the model (float32), its tokenizer, chat template and image processor into the new folder `out_dir`.

    The same arguments write the same bytes. `vocabulary` is the largest number of tokens: less text has fewer.

    Raises:
        ModelError: the sizes or the seed make no model.
        DataError: a file cannot be read.
        RunError: `out_dir` exists or cannot be written.
    """
    if hidden < 2 * HEAD or hidden % (2 * HEAD):
        raise ModelError(f"The hidden size is {hidden}: choose a multiple of {2 * HEAD}.")
    if layers < 1 or vocabulary < FEWEST_TOKENS:
        raise ModelError(
            f"A model of {layers} layers and {vocabulary} tokens cannot be: it needs 1 layer or more and at least "
            f"{FEWEST_TOKENS} tokens."
        )
    if not 0 <= seed < 2**63:  # what torch takes
        raise ModelError("The seed is out of range: choose one from 0 to 2^63 - 1.")
    tokenizer = train_tokenizer(texts_of(files), vocabulary)
    model = build_model(tokenizer, hidden, layers, seed)
    parameters = sum(p.numel() for p in model.parameters())
    image = Qwen2VLImageProcessorPil(
        **{k: v for k, v in IMAGE_PROCESSOR.items() if not k.endswith(("_type", "_class"))}
    )
    processor = processor_class(FAMILIES["qwen2_5_vl"], torchvision=False)(image, tokenizer, CHAT_TEMPLATE)
    disable_progress_bar()  # of transformers, around saving
    with new_folder(out_dir, 4 * parameters) as folder:
        model.save_pretrained(folder)
        save_processor("qwen2_5_vl", processor, folder)
        card = CARD.format(parameters=parameters, hidden=hidden, layers=layers, seed=seed, vocabulary=len(tokenizer))
        (folder / "README.md").write_text(card, encoding="utf-8")


def texts_of(files: Iterable[Path]) -> Iterator[str]:
    """Every string in the rows of JSONL files, however deep; the lines of any other file. Read as it is asked for.

    Raises DataError where a file cannot be read, or a line of a .jsonl is no JSON.
    """
    for path in files:
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    yield from _strings(_json(line, f"Line {number} of {path}") if path.suffix == ".jsonl" else line)
        except OSError as e:
            raise DataError(f"Cannot read {path}: {e.strerror}; give the path of a text or JSONL file.") from None
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text: save it as UTF-8.") from None


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        raise DataError(f"{where} is not valid JSON: write one object a line.") from None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.encode(errors="ignore").decode()  # JSON can spell half a character, which is no text
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `vocabulary` tokens: digits stand alone, think tags are plain text in several tokens,
    both as in Qwen2.5. Nothing is normalised, so that any text comes back as it was."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in CONTROL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )

    def asked() -> Iterator[str]:
        for prompt in PROMPTS.values():
            yield from [prompt] * PROMPT_WEIGHT
        yield from texts

    backend.train_from_iterator(asked(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=POSITIONS,
    )


def build_model(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int, seed: int) -> Any:
    """The random model, float32: `layers` layers of width `hidden` over a vision tower of two blocks of width 64."""
    ids = dict(zip(CONTROL, tokenizer.convert_tokens_to_ids(list(CONTROL)), strict=True))
    ends = {"bos_token_id": None, "eos_token_id": ids[END], "pad_token_id": ids[PAD]}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // HEAD,
            "num_key_value_heads": hidden // HEAD // 2,
            "max_position_embeddings": POSITIONS,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
            "initializer_range": hidden**-0.5,  # so small a model hardly learns from the stock 0.02
            "tie_word_embeddings": True,
            **ends,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": hidden,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.1,
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids[VISION_START],
        vision_end_token_id=ids[VISION_END],
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration._from_config(config)
    model.generation_config.update(do_sample=False, **ends)
    return model


def main(argv: Sequence[str] | None = None) -> None:
    about = str(__doc__).splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m xreasoner.model.tiny", description=about)
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder of the new model")
    parser.add_argument("--text", type=Path, nargs="+", required=True, metavar="FILE", help="what the tokenizer learns")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    try:
        write_tiny(args.out, args.text, args.vocabulary, args.hidden, args.layers, args.seed)
    except UserError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
