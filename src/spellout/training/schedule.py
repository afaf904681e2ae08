"""Which examples each step learns from and how fast: pure functions, so that resuming needs no more than the step.

The order is drawn from NumPy's Philox generator at a counter that belongs to the epoch alone (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"). Every example comes once an epoch; a batch may span two or more.
"""

from __future__ import annotations

import numpy as np

from ..nn.schedules import Cosine, Linear
from .config import Decay


class Order:
    """Shuffles `examples` numbers anew for every epoch, and cuts the epochs into batches."""

    def __init__(self, examples: int, batch: int, seed: int) -> None:
        self._examples, self._batch, self._seed = examples, batch, seed
        self._shuffled: dict[int, np.ndarray] = {}

    def at(self, step: int) -> np.ndarray:
        """Give the examples of a step, counted from 0: int64 (batch,)."""
        first, end = step * self._batch, (step + 1) * self._batch
        epochs = range(first // self._examples, (end - 1) // self._examples + 1)
        self._shuffled = {epoch: self._epoch(epoch) for epoch in epochs}
        parts = []
        for epoch, shuffled in self._shuffled.items():
            start = epoch * self._examples
            parts.append(shuffled[max(first - start, 0) : end - start])
        return np.concatenate(parts)

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch in self._shuffled:
            return self._shuffled[epoch]
        # Sorted raw numbers, since NumPy does not promise that its own shuffle stays the same.
        raw = np.random.Philox(key=self._seed, counter=[0, epoch, 0, 0]).random_raw(self._examples)
        return np.argsort(raw, kind="stable")


def learning_rate(highest: float, warmup: float, decay: Decay, progress: float) -> float:
    """The rate when a part `progress` (0 to 1) of the budget is spent.

    It rises in a straight line to `highest` during the part `warmup`, then falls to zero in a straight line or in
    half a cosine, or stays.
    """
    if progress < warmup:
        return highest * progress / warmup
    # The schedules count steps; here the one step is what is left of the budget after the warm-up.
    rest = (progress - warmup) / (1.0 - warmup)
    if decay == "none":
        return highest
    return Linear(highest, 1.0)(rest) if decay == "linear" else Cosine(highest, 1.0)(rest)
