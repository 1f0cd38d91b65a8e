"""Image processors of the supported VLMs, with or without torchvision.

The stock processor classes insist on a video processor, and that one on torchvision. Without torchvision the same
class is used without its video half: same files, same tokens, `mm_token_type_ids` included.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from xreasoner.model.families import FAMILIES, Family


def processor_class(family: Family, torchvision: bool) -> Any:
    """The class that processes text and images for a family: the stock one, or without its video half.

    Naming the class keeps clear of AutoProcessor, which returns a bare tokenizer for folders it does not understand.
    """
    module = importlib.import_module(f"transformers.models.{family.model_type}.processing_{family.model_type}")
    stock = getattr(module, family.processor)
    if torchvision:
        return stock

    # transformers reads the parts that a processor has from the signature of __init__.
    def init(
        self: Any, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any
    ) -> None:
        stock.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    # The stock name goes into the saved files, so that stock transformers finds its own class there.
    return type(stock.__name__, (stock,), {"__init__": init, "__module__": __name__})


def save_processor(model_type: str, processor: Any, out_dir: Path) -> None:
    """Save a processor in the stock layout, readable with and without torchvision.

    A processor without a video half gets a video configuration with its own patch sizes: stock classes insist on one.
    """
    processor.save_pretrained(out_dir)
    if getattr(processor, "video_processor", None) is not None:
        return
    image = processor.image_processor
    video = {name: getattr(image, name) for name in ("patch_size", "temporal_patch_size", "merge_size")}
    video["video_processor_type"] = FAMILIES[model_type].video_processor
    path = Path(out_dir) / "video_preprocessor_config.json"
    path.write_text(json.dumps(video, indent=2) + "\n", encoding="utf-8")
