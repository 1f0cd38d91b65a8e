"""Muon for small matrices on a CPU: momentum, orthogonalised (https://kellerjordan.github.io/posts/muon/).

torch.optim.Muon does the same with its iteration in bfloat16, which CPUs without that type emulate: the optimizer
then costs as much as the model. This one stays in float32 and treats matrices of equal shape as one batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the quintic's coefficients, from the page above
_ITERATIONS = 5


def orthogonalise(x_NRC: torch.Tensor) -> torch.Tensor:
    """Replaces the singular values of every matrix [N, R, C] by values near 1."""
    flip = x_NRC.shape[-2] > x_NRC.shape[-1]
    x = x_NRC.mT if flip else x_NRC
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if flip else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose matrices are orthogonalised; a step is scaled by sqrt(max(1, rows / columns))."""

    def __init__(self, params: Iterable[torch.Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            beta = group["momentum"]
            by_shape: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                    velocity.lerp_(p.grad, 1 - beta)
                    by_shape.setdefault(p.shape, []).append((p, p.grad.lerp(velocity, beta)))
            for (rows, columns), entries in by_shape.items():
                updates = orthogonalise(torch.stack([update for _, update in entries]))
                scale = max(1.0, rows / columns) ** 0.5
                for (p, _), update in zip(entries, updates, strict=True):
                    p.add_(update, alpha=-group["lr"] * scale)
