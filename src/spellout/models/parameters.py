"""The weights of a network in training, and what moves them: AdamW (`nn/rules.py`) along clipped gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..nn.rules import adam, adam_numbers
from .learner import UPDATES_EVERY, update_ratio
from .weights import Shapes, Weights, flatten, views

Numbers = tuple[np.float32, ...]
Parts = dict[str, tuple[np.ndarray | None, np.ndarray]]
"""A gradient by the names of the weights: the rows (R,) that have one, each once, and it (R, ...); None: all."""
BETAS = (0.9, 0.99)
EPSILON = 1e-8
LONGEST_GRADIENT = 1.0
"""A longer one is shortened to this length."""
# So many numbers stay in the second-level cache from the first operation of the rule to the last; with half as many
# the calls of NumPy count, and a step takes a sixth longer.
_AT_ONCE = 1 << 14
# Added to gradients. Where they are zero for long (a word that is not read), the means would fade into denormal
# numbers, on which arithmetic takes a hundred times as long; this is lost in the rounding of all others.
_FLOOR = np.float32(1e-17)


class Parameters:
    """The weights of a network in training.

    Attributes:
        array: the numbers, (P,) float32; always the same array.
        steps: how often they were moved.
        updates: see `learner.Learner`.
    """

    def __init__(self, weights: Weights, shapes: Shapes, weight_decay: float) -> None:
        self.array = flatten(weights, shapes).astype(np.float32)
        self.steps = 0
        self.updates: dict[str, float] = {}
        self._shapes, self._decay = shapes, weight_decay
        self._mean, self._square = np.zeros_like(self.array), np.zeros_like(self.array)
        self._pieces = [slice(start, start + _AT_ONCE) for start in range(0, self.array.size, _AT_ONCE)]

    def move(self, gradient: np.ndarray, lr: float) -> bool:
        """Follow a gradient (P,); False if it is not finite, and then nothing has moved."""
        pieces = [gradient[piece] for piece in self._pieces]

        def follow(factor: np.float32, numbers: Numbers) -> None:
            for piece, part in zip(self._pieces, pieces, strict=True):
                g = part * factor + _FLOOR
                adam(self.array[piece], g, self._mean[piece], self._square[piece], numbers, np.sqrt)

        return self._moved(pieces, lr, follow)

    def move_parts(self, parts: Parts, lr: float) -> bool:
        """Follow a gradient that most rows of large matrices have no part in; False if it is not finite.

        Rows without a gradient stay as they are, and so do their means: work and memory grow with the rows that are
        moved, not with all. (PyTorch calls that `SparseAdam`.)
        """

        def follow(factor: np.float32, numbers: Numbers) -> None:
            kept = [views(flat, self._shapes) for flat in (self.array, self._mean, self._square)]
            for name, (rows, gradient) in parts.items():
                g = gradient * factor + _FLOOR
                if rows is None:
                    p, mean, square = (arrays[name] for arrays in kept)
                    adam(p, g, mean, square, numbers, np.sqrt)
                    continue
                taken = [arrays[name][rows] for arrays in kept]
                adam(taken[0], g, taken[1], taken[2], numbers, np.sqrt)
                for arrays, moved in zip(kept, taken, strict=True):
                    arrays[name][rows] = moved

        return self._moved([gradient for _, gradient in parts.values()], lr, follow)

    def _moved(self, gradients: list[np.ndarray], lr: float, follow: Callable[[np.float32, Numbers], None]) -> bool:
        """Have the gradients followed after they were shortened, and measure by how much; False if not finite."""
        # In float64: squares of float32 may be too large for float32.
        length = math.sqrt(sum([float(np.square(part, dtype=np.float64).sum()) for part in gradients]))
        if not math.isfinite(length):
            return False
        before = self._matrices() if self.steps % UPDATES_EVERY == 0 else {}
        self.steps += 1
        numbers = tuple(map(np.float32, adam_numbers(self.steps, lr, BETAS, EPSILON, self._decay)))
        with np.errstate(all="ignore"):  # a rate that is too high is noticed by the next loss
            follow(np.float32(LONGEST_GRADIENT / max(length, LONGEST_GRADIENT)), numbers)
            after = self._matrices() if before else {}
            self.updates = {name: update_ratio(array, after[name]) for name, array in before.items()}
        return True

    def _matrices(self) -> Weights:
        return {name: array for name, array in self.weights().items() if array.ndim == 2}

    def views(self) -> Weights:
        """Give the numbers themselves, by name: they change with the next step."""
        return views(self.array, self._shapes)

    def weights(self) -> Weights:
        """A copy of the numbers of now, by name."""
        return views(self.array.copy(), self._shapes)

    def state(self) -> Weights:
        """Copies of the weights, of both means and of the number of steps, which the next step depends on."""
        memory = {"mean": self._mean.copy(), "square": self._square.copy()}
        return {"weights": self.array.copy(), "steps": np.array([self.steps])} | memory

    def load_state(self, state: Weights) -> None:
        """Go on from what `state` returned; ValueError or KeyError if it does not fit."""
        kept = {"weights": self.array, "mean": self._mean, "square": self._square}
        for name, array in kept.items():
            if state[name].shape != array.shape:
                raise ValueError(f"{name} has the shape {state[name].shape}, not {array.shape}")
        for name, array in kept.items():
            array[:] = state[name]
        self.steps = int(state["steps"][0])
