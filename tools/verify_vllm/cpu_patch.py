"""What lets the real vLLM train and see on a CPU. For the throwaway environment of `make verify-vllm` alone.

build.py puts this file into that environment's site-packages, and a .pth file makes every Python process there import
it, workers included. It changes three modules at the moment they are imported:

- torchvision: its wheel is linked to CUDA and registers no operators beside a CPU torch, but describes two of them when
  it is imported, which then fails. The two are declared; nothing here calls them.
- vllm.model_executor.layers.utils: on a CPU vLLM packs each weight into a layout of its own when a model is loaded and
  drops the original, so that weights from a trainer have nowhere to go (and a tied head keeps the old ones). Here
  linear layers multiply with the weight as it stands.
- vllm.entrypoints.llm: every engine computes in float32, eagerly, and takes a prompt whole. TRL does not pass these on;
  a bfloat16 engine could not be compared to 1e-4, and a prompt in chunks with a seed of its own ends a CPU engine,
  because torch's CPU generators have no offset to set back.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

ENGINE = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False, "block_size": 32}
BATCHED_TOKENS = 16384  # at least a whole prompt: chunks are off
_kept: list[Any] = []  # a torch Library lives as long as its object


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)


def _plain_linear(module: ModuleType) -> None:
    from torch.nn.functional import linear

    def keep_the_weight(layer: Any, remove_weight: bool) -> None:
        layer.cpu_linear = linear

    module.dispatch_cpu_unquantized_gemm = keep_the_weight  # type: ignore[attr-defined]


def _exact_engine(module: ModuleType) -> None:
    original = module.LLM.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        tokens = max(kwargs.pop("max_num_batched_tokens", None) or 0, BATCHED_TOKENS)
        original(self, *args, **(kwargs | ENGINE | {"max_num_batched_tokens": tokens}))

    module.LLM.__init__ = init


_AFTER = {"vllm.model_executor.layers.utils": _plain_linear, "vllm.entrypoints.llm": _exact_engine}


class _Hook(importlib.abc.MetaPathFinder):
    """Acts on the modules above while they are imported, each once."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name == "torchvision" and not _kept:
            _declare_operators()
        after = _AFTER.pop(name, None)
        if after is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            after(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Hook())
