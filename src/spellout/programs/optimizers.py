"""Optimizers on flat arrays of parameters, for programs: the rules of `nn/rules.py`, compiled.

The settings of an optimizer are apart from its memory, so that one can be made before the number of parameters is
known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from ..errors import ShapeError
from ..nn import rules
from .examples import real_type
from .kernels.compiling import entry, part

Memory = dict[str, np.ndarray]


class Optimizer(Protocol):
    """How parameters follow their gradient. `lr` is a number, or a schedule: a function of the step from 0."""

    lr: rules.Rate

    def memory(self, like: np.ndarray) -> Memory:
        """What it remembers of parameters `like` (P,) before the first step: arrays (P,)."""
        ...

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """Change `weights` and `memory` in place; `step` counts from 0."""
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: p -= lr · (momentum · velocity + gradient + weight_decay · p)."""

    lr: rules.Rate
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        rules.check_settings(lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def memory(self, like: np.ndarray) -> Memory:
        """The velocity, if there is momentum."""
        real_type(like.dtype)  # UsageError for any other, before a training begins
        return {"velocity": np.zeros_like(like)} if self.momentum else {}

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """Change the weights and the velocity in place."""
        _check_arrays(weights, gradient)
        # Without momentum any array will do for the velocity: the kernel does not read it.
        _sgd(weights, gradient, memory.get("velocity", gradient), lr, self.momentum, self.weight_decay)


@dataclass(frozen=True)
class Adam:
    """Each step is the mean gradient over the root mean square gradient: about lr, whatever the scale.

    `weight_decay` is added to the gradient, so it is scaled away with it; AdamW keeps it apart.
    """

    decoupled: ClassVar = False
    lr: rules.Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        rules.check_settings(self.betas, lr=self.lr, eps=self.eps, weight_decay=self.weight_decay)

    def memory(self, like: np.ndarray) -> Memory:
        """Running means of the gradient and of its square."""
        real_type(like.dtype)
        return {"mean": np.zeros_like(like), "square": np.zeros_like(like)}

    def move(self, weights: np.ndarray, gradient: np.ndarray, memory: Memory, step: int, lr: float) -> None:
        """Change the weights and both means in place."""
        _check_arrays(weights, gradient)
        decay, shrink = (0.0, self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        # The papers count steps from 1.
        numbers = rules.adam_numbers(step + 1, lr, self.betas, self.eps, shrink)
        _adam(weights, gradient, memory["mean"], memory["square"], decay, *numbers)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself: p -= lr · weight_decay · p, then Adam's step."""

    decoupled: ClassVar = True
    weight_decay: float = 1e-2


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


_sgd_rule, _adam_rule = part(rules.sgd), part(rules.adam)


def _kernels(source: bytes) -> tuple[Any, Any]:
    """The rules over arrays. Numba compiles again when this file changes; `source` stands for that of the rules."""

    @entry
    def move_by_sgd(weights: Any, gradient: Any, velocity: Any, lr: float, momentum: float, decay: float) -> None:
        source  # noqa: B018 (mentioned, so that Numba's key of the cache holds it)
        real = weights.dtype.type
        rate, keep, d, zero = real(lr), real(momentum), real(decay), real(0.0)
        for i in range(weights.shape[0]):
            if momentum != 0.0:
                weights[i], velocity[i] = _sgd_rule(weights[i], gradient[i], velocity[i], rate, keep, d)
            else:  # there is no velocity
                weights[i], _ = _sgd_rule(weights[i], gradient[i], zero, rate, keep, d)

    @entry
    def move_by_adam(weights: Any, gradient: Any, mean: Any, square: Any, decay: float, *of_step: float) -> None:
        source  # noqa: B018
        real = weights.dtype.type
        one, keep, beta1, beta2, rate, unbias, eps = of_step
        # In the type of the weights, or float32 would be computed in float64, on half as many lanes of SIMD.
        d = real(decay)
        numbers = real(one), real(keep), real(beta1), real(beta2), real(rate), real(unbias), real(eps)
        for i in range(weights.shape[0]):
            g = gradient[i] + d * weights[i]
            weights[i], mean[i], square[i] = _adam_rule(weights[i], g, mean[i], square[i], numbers, np.sqrt)

    return move_by_sgd, move_by_adam


_sgd, _adam = _kernels(Path(rules.__file__).read_bytes())


@entry
def all_finite(numbers: Any) -> bool:
    """Whether none of them is nan or infinite; much faster than NumPy for a few hundred."""
    wrong = 0
    for i in range(numbers.shape[0]):
        wrong += numbers[i] - numbers[i] != 0
    return wrong == 0
