"""Dropout: in training each number is zeroed with probability p and the others grow by 1/(1 - p).

Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..autograd.value import Value, lift
from ..errors import UsageError
from .initialization import Randomness
from .module import Module


class Dropout(Module):
    """Zero each input with probability `p` in training; do nothing after `eval()`."""

    def __init__(self, p: float = 0.5, rng: Randomness | None = None) -> None:
        if not 0.0 <= p < 1.0:
            raise UsageError(f"dropout needs a probability of at least 0 and below 1, got {p}")
        self.p = p
        self._rng: Randomness = rng or random.Random()  # of its own: who drops does not shift others' draws

    def __call__(self, x: Sequence[Value]) -> list[Value]:
        """Return as many Values as were given."""
        if not self.training:  # nothing to scale, as training has scaled already
            return [lift(value) for value in x]
        return [lift(value) * (0.0 if self._rng.random() < self.p else 1.0 / (1.0 - self.p)) for value in x]

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
