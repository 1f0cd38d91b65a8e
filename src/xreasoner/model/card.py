"""The README.md of a grafted model."""

from __future__ import annotations

import json

CARD = """---
library_name: transformers
pipeline_tag: image-text-to-text
{hub_base}tags: [{tags}]
---

# {name}

A vision-language model ({model_type}) whose language tower was trained on {what} and then grafted back, after
X-Reasoner ([arXiv 2505.03981](https://arxiv.org/abs/2505.03981)). Written by `xreasoner`.

| | |
|---|---|
| base | {base} |
| trained | the language tower, on {material}; {n_tower} tensors |
| not trained | vision encoder and projector; {n_vision} tensors |
| vision SHA-256 before | `{before}` |
| vision SHA-256 after | `{after}` |
| vision identical | {identical} |

{images} It inherits the
base's limitations, and the base's licence applies.

## Load

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("PATH", dtype="auto")
processor = AutoProcessor.from_pretrained("PATH")
```

Pass everything that the processor returns to the model, `mm_token_type_ids` included: without it the positions of
image tokens are wrong, in Qwen2.5-VL silently. `AutoProcessor` needs torchvision for this model type; the
`load_processor` of `xreasoner` works without.
"""

_TEXT_ALONE = "Images were never part of the training, so whatever this model gained on images it gained from text."
_PICTURED = "Images were part of the training: what this model gained on images is no measure of transfer from text."


def model_card(
    name: str,
    base: str,
    model_type: str,
    n_tower: int,
    n_vision: int,
    before: str,
    after: str,
    pictured: bool = False,
) -> str:
    """The card of a model grafted from `base`. `before` and `after` are the vision hashes of both; `pictured` is
    whether it was shown pictures while it was trained."""
    return CARD.format(
        tags="xreasoner, reasoning" + ("" if pictured else ", text-only-post-training"),
        what="text and pictures" if pictured else "text alone",
        material="text and pictures" if pictured else "text",
        images=_PICTURED if pictured else _TEXT_ALONE,
        hub_base=f"base_model: {json.dumps(base)}\n" if "/" in base else "",  # the field takes hub ids only
        name=name,
        base=base,
        model_type=model_type,
        n_tower=n_tower,
        n_vision=n_vision,
        before=before,
        after=after,
        identical="yes" if before == after else "NO",
    )
