"""A tokenizer, an image processor and pictures for the tiny models."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from tiny_models import TEMPLATE, WORDS
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    model = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<pad>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        eos_token="<end>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="session")
def processor() -> Any:
    return SimpleNamespace(image_processor=Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=28 * 28 * 64))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: Any) -> list[str]:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = []
    for k, (height, width) in enumerate([(28, 28), (56, 84), (112, 56), (28, 140), (84, 84)]):
        path = folder / f"{k}.png"
        PIL.Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths
