"""How weights start: uniform as in micrograd, or scaled so that signals neither fade nor explode.

Glorot & Bengio 2010 ("Understanding the difficulty of training deep feedforward neural networks") for Xavier,
He et al. 2015 ("Delving Deep into Rectifiers") for Kaiming.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import sqrt
from typing import Protocol

from ..errors import UsageError


class Randomness(Protocol):
    """What we ask of a source of randomness; `random.Random(seed)` and the module `random` both have it."""

    def random(self) -> float:
        """Return a number in [0, 1)."""

    def uniform(self, a: float, b: float) -> float:
        """Return a number between a and b."""

    def gauss(self, mu: float, sigma: float) -> float:
        """Return a normally distributed number."""


Initializer = Callable[[Randomness, int, int, float], float]

INITIALIZERS: dict[str, Initializer] = {  # name -> (randomness, inputs, outputs, gain) -> one weight
    "uniform": lambda rng, fan_in, fan_out, gain: rng.uniform(-1, 1),
    "kaiming": lambda rng, fan_in, fan_out, gain: rng.gauss(0.0, gain / sqrt(fan_in)),
    "kaiming_uniform": lambda rng, fan_in, fan_out, gain: _symmetric(rng, gain * sqrt(3.0 / fan_in)),
    "xavier": lambda rng, fan_in, fan_out, gain: rng.gauss(0.0, gain * sqrt(2.0 / (fan_in + fan_out))),
    "xavier_uniform": lambda rng, fan_in, fan_out, gain: _symmetric(rng, gain * sqrt(6.0 / (fan_in + fan_out))),
    "zeros": lambda rng, fan_in, fan_out, gain: 0.0,
}

# how much an activation function shrinks a signal, as PyTorch's `calculate_gain` has it
GAINS = {"relu": sqrt(2.0), "leaky_relu": sqrt(2.0 / (1.0 + 0.01**2)), "tanh": 5.0 / 3.0}  # 1 for all others


def weights(init: str, fan_in: int, fan_out: int, activation: str, rng: Randomness | None) -> list[float]:
    """Return `fan_in` starting weights for one neuron of a layer of `fan_out`.

    `rng` None is Python's own generator, so that `random.seed(1337)` reproduces micrograd's networks.
    """
    if init not in INITIALIZERS:
        raise UsageError(f"no initialisation is called {init!r}; there are {', '.join(INITIALIZERS)}")
    draw = INITIALIZERS[init]
    return [draw(rng or random, fan_in, fan_out, GAINS.get(activation, 1.0)) for _ in range(fan_in)]


def _symmetric(rng: Randomness, bound: float) -> float:
    return rng.uniform(-bound, bound)  # its standard deviation is bound / sqrt(3)
