"""How a parameter follows its gradient: the rules of SGD and Adam, each written once.

They take numbers of any kind: floats (`nn/optimizers.py`), arrays of NumPy (`models/parameters.py`), and what Numba
compiles (`programs/optimizers.py`). Arrays p, velocity, mean and square are changed in place, and all are returned.

Sutskever et al. 2013 ("On the importance of initialization and momentum in deep learning"), Kingma & Ba 2015
("Adam"), Loshchilov & Hutter 2019 ("Decoupled Weight Decay Regularization", AdamW).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import Any

from ..autograd.conversion import as_float
from ..errors import UsageError

Rate = float | Callable[[int], float]
"""A learning rate, or a schedule: a function of the step, counted from 0."""


def sgd(p: Any, g: Any, velocity: Any, lr: Any, momentum: Any, decay: Any) -> tuple[Any, Any]:
    """Move along the gradient `g` with momentum; weight decay pulls to zero. Returns p and velocity."""
    # PyTorch's momentum: the learning rate stands outside, so that a change of it acts on the past steps, too.
    velocity *= momentum
    velocity += g + decay * p
    p -= lr * velocity
    return p, velocity


def adam(
    p: Any, g: Any, mean: Any, square: Any, numbers: tuple[Any, ...], root: Callable[[Any], Any]
) -> tuple[Any, Any, Any]:
    """Move by the mean gradient over the root mean square gradient. Returns p, mean and square.

    `numbers` are those of `adam_numbers` in the type of p, `root` is the square root for this type.
    """
    one, keep, beta1, beta2, rate, unbias, eps = numbers
    mean += (one - beta1) * (g - mean)  # one product, as PyTorch's lerp, instead of two
    square *= beta2
    square += (one - beta2) * (g * g)
    p *= keep  # AdamW's decay, apart from the gradient
    # eps is added to the root and not under it: for a parameter that is seldom used both means are tiny.
    p -= rate * (mean / (unbias * root(square) + eps))
    return p, mean, square


def adam_numbers(
    step: int, lr: float, betas: tuple[float, float], eps: float, shrink: float
) -> tuple[float, float, float, float, float, float, float]:
    """What `adam` needs for a step, counted from 1: 1, what is kept of p, the betas, rate, 1 / root of a bias, eps.

    The means start at zero, and so are too small at first, by 1 - beta^step: they are divided by it. AdamW's decay
    takes the part lr · `shrink` of the parameter itself, so that the size of the gradient has no say in it.
    """
    beta1, beta2 = betas
    return 1.0, 1.0 - lr * shrink, beta1, beta2, lr / (1.0 - beta1**step), 1.0 / sqrt(1.0 - beta2**step), eps


def rate_of(lr: Rate, step: int) -> float:
    """Return the learning rate of a step; UsageError if it is below 0, infinite or nan."""
    rate = lr(step) if callable(lr) else lr  # asked once a step: a schedule may count its calls
    rate = rate if type(rate) is float else as_float(rate)
    if not 0.0 <= rate < inf:
        raise UsageError(f"a learning rate is at least 0 and finite, got {rate}")
    return rate


def check_settings(betas: tuple[float, float] = (0.0, 0.0), lr: Rate = 0.0, **settings: float) -> None:
    """Raise UsageError for a running mean's decay outside [0, 1), or another setting below 0, infinite or nan."""
    if not callable(lr):
        rate_of(lr, 0)
    for name, number in settings.items():
        if not 0.0 <= as_float(number) < inf:
            raise UsageError(f"{name} is at least 0 and finite, got {number}")
    if len(betas) != 2 or not all(0.0 <= as_float(beta) < 1.0 for beta in betas):
        raise UsageError(f"betas are two numbers of at least 0 and below 1, got {betas}")
