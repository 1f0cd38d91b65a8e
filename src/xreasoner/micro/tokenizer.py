"""Tokenizer, chat template and image processor settings of the micro base, in the files stock transformers reads."""

from __future__ import annotations

import json
from pathlib import Path

from xreasoner.micro.world import COLON, NEWLINE, PAGE_WORDS, TASK_WORDS, WAIT

PAD, START, END, UNKNOWN = "<pad>", "<|im_start|>", "<|im_end|>", "<unk>"
VISION_START, IMAGE, VISION_END, VIDEO = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"
CONTROL = (PAD, START, END, VISION_START, IMAGE, VISION_END, VIDEO, UNKNOWN)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
ROLES = ("system", "user", "assistant")
VOCABULARY = (*CONTROL, *TAGS, NEWLINE, *ROLES, *TASK_WORDS, WAIT, COLON, *PAGE_WORDS)
WORD_ID = {word: i for i, word in enumerate(VOCABULARY)}

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|> ' + message.role + ' ' }}
{%- if message.content is string -%}{{ message.content + ' ' }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}{{ '<|vision_start|> <|image_pad|> <|vision_end|> ' }}
{%- else -%}{{ part.text + ' ' }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|> ' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|> assistant ' }}{%- endif -%}
"""

IMAGE_PROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "min_pixels": 28 * 28,
    "max_pixels": 28 * 28 * 64,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def save_tokenizer(folder: Path) -> None:
    """Writes tokenizer.json and its companions, chat_template.jinja and preprocessor_config.json into `folder`.

    One token a word; words are separated by spaces, which are dropped, and a line break is a word of its own. Think
    and answer tags are ordinary added words: they are found without spaces around them and survive
    skip_special_tokens.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(WORD_ID, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[ \t\r]+"), "removed"), pre_tokenizers.Split("\n", "isolated")]
    )
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in CONTROL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in TAGS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
    fast.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGE_PROCESSOR, indent=2) + "\n")
