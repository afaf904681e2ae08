"""What an optimizer's step does to the weights, in numbers: norms of weights, gradient, decay and update.

Of a large parameter every n-th number is read and counted n times, so that a step costs little to measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.optim import Optimizer

from ..tape import dense

_ENOUGH = 4096
"""Numbers read of one parameter."""


@dataclass(frozen=True)
class Movement:
    """One step of one optimizer; all norms are Euclidean and over all its parameters."""

    rates: tuple[float, ...]
    """The learning rate of every group."""
    weights: float
    """Norm of the parameters before the step."""
    gradient: float
    """Norm of what lies in `.grad` when the step begins."""
    decay: float
    """Norm of the gradient that the optimizer adds for its weight decay; 0.0 where the decay is decoupled."""
    update: float
    """Norm of what the step added to the parameters."""
    slope: float
    """Gradient times update: how much the loss changes, to first order. Below zero the step goes downhill."""
    fresh: bool
    """The optimizer had no state yet, so nothing but this gradient steers it."""

    @property
    def ratio(self) -> float:
        """Update by weights."""
        return self.update / self.weights if self.weights else math.inf


class Scale:
    """Weighs the parameters of an optimizer before a step, and says after it what has moved."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._parameters = [p for group in optimizer.param_groups for p in group["params"] if readable(p)]
        self._weights = _joined(self._parameters)
        self._gradient = _joined(
            [
                p.detach().new_zeros(1).expand(p.numel()) if p.grad is None else dense(p.grad)
                for p in self._parameters
            ]
        )
        self._fresh = not optimizer.state
        self._decay = self._decays()

    def after(self) -> Movement:
        """Read the parameters again."""
        update = _joined(self._parameters) - self._weights
        rates = tuple(float(group.get("lr", math.nan)) for group in self._optimizer.param_groups)
        return Movement(
            rates, _norm(self._weights), _norm(self._gradient), self._decay, _norm(update),
            float(self._gradient @ update), self._fresh,
        )  # fmt: skip

    def _decays(self) -> float:
        squares = 0.0
        for group in self._optimizer.param_groups:
            coupled = not (group.get("decoupled_weight_decay") or type(self._optimizer).__name__ == "AdamW")
            decay = float(group.get("weight_decay") or 0.0) if coupled else 0.0
            if decay:
                moving = [p for p in group["params"] if readable(p) and p.grad is not None]
                squares += (decay * _norm(_joined(moving))) ** 2
        return math.sqrt(squares)


def readable(tensor: torch.Tensor) -> bool:
    """Has it numbers, real or complex, that can be read?"""
    lazy = isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin)  # type: ignore[attr-defined]
    return not lazy and (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0


def few(tensors: Iterable[torch.Tensor]) -> bool:
    """Are their numbers so few that copies cost nothing?"""
    return sum(one.numel() for one in tensors if readable(one)) < 2**22


def thinned(tensor: torch.Tensor) -> torch.Tensor:
    """Every n-th number of a tensor, `_ENOUGH` to twice as many, in one row; of a complex one both parts."""
    row = tensor.detach().reshape(-1)[:: max(1, tensor.numel() // _ENOUGH)]
    return torch.view_as_real(row.resolve_conj()).reshape(-1) if row.is_complex() else row


def size_of(gradient: torch.Tensor) -> float:
    """The norm of one tensor, as far as its thinned numbers tell."""
    return _norm(_joined([gradient]))


def _joined(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    parts = [
        thinned(one).float().cpu() * math.sqrt(max(1, one.numel() // _ENOUGH)) if one.numel() > _ENOUGH
        else thinned(one).float().cpu().clone()
        for one in tensors
    ]  # fmt: skip
    return torch.cat(parts) if parts else torch.zeros(0)


def _norm(numbers: torch.Tensor) -> float:
    return float(numbers.double().norm())
