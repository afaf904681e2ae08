"""Optimizers on flat arrays of parameters: the numbers of `nn/optimizers.py`, for programs.

Kingma & Ba 2015 ("Adam"), Loshchilov & Hutter 2019 ("Decoupled Weight Decay Regularization", AdamW). The settings
of an optimizer are apart from its memory, so that one can be made before the number of parameters is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import ShapeError
from ..nn.optimizers import check_settings, checked_rate
from .examples import real_type
from .kernels.compiling import entry

Memory = dict[str, np.ndarray]
Rate = float | Callable[[int], float]


class Optimizer(Protocol):
    """How parameters follow their gradient. `lr` is a number, or a schedule: a function of the step from 0."""

    lr: Rate

    def memory(self, like: np.ndarray) -> Memory:
        """What it remembers of parameters `like` (P,) before the first step: arrays (P,)."""
        ...

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """Change `weights` and `memory` in place; `step` counts from 0."""
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: p -= lr · (momentum · velocity + gradient + weight_decay · p)."""

    lr: Rate
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rate(self.lr)
        check_settings(momentum=self.momentum, weight_decay=self.weight_decay)

    def memory(self, like: np.ndarray) -> Memory:
        """The velocity, if there is momentum."""
        real_type(like.dtype)
        return {"velocity": np.zeros_like(like)} if self.momentum else {}

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """See `Optimizer`."""
        _check_arrays(weights, gradient)
        _sgd(weights, gradient, memory.get("velocity", gradient), lr, self.momentum, self.weight_decay)


@dataclass(frozen=True)
class Adam:
    """Each step is the mean gradient over the root mean square gradient: about lr, whatever the scale.

    `weight_decay` is added to the gradient, so it is scaled away with it; AdamW keeps it apart.
    """

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rate(self.lr)
        check_settings(self.betas, eps=self.eps, weight_decay=self.weight_decay)

    def memory(self, like: np.ndarray) -> Memory:
        """Running means of the gradient and of its square."""
        real_type(like.dtype)
        return {"mean": np.zeros_like(like), "square": np.zeros_like(like)}

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """See `Optimizer`."""
        _check_arrays(weights, gradient)
        _adam(weights, gradient, memory["mean"], memory["square"], *self._numbers(step, lr), self.weight_decay, 0.0)

    def _numbers(self, step: int, lr: float) -> tuple[float, float, float, float, float]:
        beta1, beta2 = self.betas
        unbias1, unbias2 = 1.0 - beta1 ** (step + 1), math.sqrt(1.0 - beta2 ** (step + 1))
        return beta1, beta2, lr / unbias1, unbias2, self.eps


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself: p -= lr · weight_decay · p, then Adam's step."""

    weight_decay: float = 1e-2

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """See `Optimizer`."""
        _check_arrays(weights, gradient)
        shrink = lr * self.weight_decay
        _adam(weights, gradient, memory["mean"], memory["square"], *self._numbers(step, lr), 0.0, shrink)


def _check_rate(lr: Rate) -> None:
    if not callable(lr):
        checked_rate(lr)


def _check_arrays(weights: np.ndarray, gradient: np.ndarray) -> None:
    """The kernels take any array: of integers they would make integers, and read past the end of a short one."""
    dtype = weights.dtype
    if gradient.dtype is dtype and gradient.shape == weights.shape and dtype.char in "df":
        return  # at every step, so asked in the shortest way
    real_type(dtype)
    if gradient.shape != weights.shape or gradient.dtype != dtype:
        raise ShapeError(
            f"the gradient is an array like the weights, {weights.dtype} of shape {weights.shape}; got "
            f"{gradient.dtype} of shape {gradient.shape}"
        )


@entry
def _sgd(weights: Any, gradient: Any, velocity: Any, lr: float, momentum: float, decay: float) -> None:
    real = weights.dtype.type
    rate, keep, d = real(lr), real(momentum), real(decay)
    for i in range(weights.shape[0]):
        g = gradient[i] + d * weights[i]
        if momentum != 0.0:
            velocity[i] = g = keep * velocity[i] + g
        weights[i] -= rate * g


@entry
def _adam(
    weights: Any,
    gradient: Any,
    mean: Any,
    square: Any,
    beta1: float,
    beta2: float,
    rate: float,
    unbias: float,
    eps: float,
    decay: float,
    shrink: float,
) -> None:
    real = weights.dtype.type
    keep, one = real(1.0 - shrink), real(1.0)
    b1, b2, r, u, e, d = real(beta1), real(beta2), real(rate), real(unbias), real(eps), real(decay)
    for i in range(weights.shape[0]):
        p = weights[i] * keep
        g = gradient[i] + d * p
        mean[i] += (one - b1) * (g - mean[i])
        square[i] = b2 * square[i] + (one - b2) * g * g
        weights[i] = p - r * mean[i] / (np.sqrt(square[i]) / u + e)


def rate_of(optimizer: Optimizer, step: int) -> float:
    """The learning rate of a step. `UsageError` if it is not a finite number of at least 0."""
    lr = optimizer.lr
    return lr if type(lr) is float and 0.0 <= lr < math.inf else checked_rate(lr(step) if callable(lr) else lr)


@entry
def all_finite(numbers: Any) -> bool:
    """Whether none of them is nan or infinite; much faster than NumPy for a few hundred."""
    wrong = 0
    for i in range(numbers.shape[0]):
        wrong += numbers[i] - numbers[i] != 0
    return wrong == 0
