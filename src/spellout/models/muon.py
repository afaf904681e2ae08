"""Muon: momentum whose update is made orthogonal (Jordan 2024, "Muon: An optimizer for hidden layers in neural
networks").

The same as `torch.optim.Muon`, in float32 instead of bfloat16, whose conversions cost a small network more than its
products: training the gru with it takes a fifth less time here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Moves matrices. Groups hold `lr` and `weight_decay`."""

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float = 0.02, weight_decay: float = 0.0) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it asks for no loss
        """One update, decayed apart from the gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                memory = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
                memory.lerp_(parameter.grad, 1 - MOMENTUM)
                update = orthogonal(parameter.grad.lerp(memory, MOMENTUM))
                rows, columns = parameter.shape
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the closest matrix whose singular values are all 1: five rounds of Newton–Schulz."""
    a, b, c = _QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
