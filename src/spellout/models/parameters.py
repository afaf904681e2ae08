"""The weights of a network as one flat array, and the optimizer that moves it: AdamW, with clipped gradients.

Kingma & Ba 2015 ("Adam"); Loshchilov & Hutter 2019 ("Decoupled Weight Decay Regularization"). The numbers stand in
the order of the weights' names, float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .learner import UPDATES_EVERY, update_ratio

Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, np.ndarray]
BETAS = (0.9, 0.99)
EPSILON = 1e-8
LONGEST_GRADIENT = 1.0
"""A longer one is shortened to this length."""
_AT_ONCE = 1 << 14  # numbers that stay in the fast cache from the first operation on them to the last
# Added to gradients. Where they are zero for long (a word that is not read), the means would fade into denormal
# numbers, on which arithmetic takes a hundred times as long; this is lost in the rounding of all others.
_FLOOR = np.float32(1e-17)


def flatten(weights: Weights, shapes: Shapes) -> np.ndarray:
    """All weights in one array (P,). ValueError or KeyError if they have not these names and shapes."""
    if weights.keys() != shapes.keys():
        raise ValueError(f"the weights {sorted(weights.keys() ^ shapes.keys())} are missing or unknown")
    largest = float(np.finfo(np.float32).max)
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} has the shape {weights[name].shape}, not {shape}")
        if not (np.abs(weights[name]) <= largest).all():  # nan is not, either
            raise ValueError(f"{name} is not finite")
    return np.concatenate([weights[name].ravel() for name in shapes])


def views(flat: np.ndarray, shapes: Shapes) -> Weights:
    """The inverse of `flatten`, without copying: what changes in one changes in the other."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


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
        scratch = np.empty((2, min(_AT_ONCE, self.array.size)), np.float32)
        self._scratch = (scratch[0], scratch[1])

    def move(self, gradient: np.ndarray, lr: float) -> bool:
        """Follow a gradient (P,); False if it is not finite, and then nothing has moved."""
        length = math.sqrt(sum([float(np.square(gradient[p], dtype=np.float64).sum()) for p in self._pieces()]))
        if not math.isfinite(length):
            return False
        before = self._matrices() if self.steps % UPDATES_EVERY == 0 else {}
        with np.errstate(all="ignore"):  # a rate that is too high is noticed by the next loss
            self._adamw(gradient, np.float32(LONGEST_GRADIENT / max(length, LONGEST_GRADIENT)), lr)
            after = self._matrices() if before else {}
            self.updates = {name: update_ratio(array, after[name]) for name, array in before.items()}
        self.steps += 1
        return True

    def _adamw(self, gradient: np.ndarray, factor: np.float32, lr: float) -> None:
        """A step of AdamW along factor times the gradient."""
        beta1, beta2 = map(np.float32, BETAS)
        one, epsilon = np.float32(1), np.float32(EPSILON)
        keep = np.float32(1.0 - lr * self._decay)
        rate = np.float32(lr / (1.0 - BETAS[0] ** (self.steps + 1)))
        unbias = np.float32(1.0 / math.sqrt(1.0 - BETAS[1] ** (self.steps + 1)))
        for piece in self._pieces():
            p, mean, square = self.array[piece], self._mean[piece], self._square[piece]
            g, change = (scratch[: len(p)] for scratch in self._scratch)
            np.multiply(gradient[piece], factor, out=g)
            g += _FLOOR
            np.subtract(g, mean, out=change)
            change *= one - beta1
            mean += change
            square *= beta2
            g *= g
            g *= one - beta2
            square += g
            np.sqrt(square, out=change)
            change *= unbias
            change += epsilon
            np.divide(mean, change, out=change)
            change *= rate
            p *= keep
            p -= change

    def _pieces(self) -> Iterator[slice]:
        return (slice(start, start + _AT_ONCE) for start in range(0, self.array.size, _AT_ONCE))

    def _matrices(self) -> Weights:
        return {name: array for name, array in self.weights().items() if array.ndim == 2}

    def weights(self) -> Weights:
        """A copy of the numbers of now, by name."""
        return views(self.array.copy(), self._shapes)

    def state(self) -> Weights:
        """See `learner.Learner`."""
        memory = {"mean": self._mean.copy(), "square": self._square.copy()}
        return {"weights": self.array.copy(), "steps": np.array([self.steps])} | memory

    def load_state(self, state: Weights) -> None:
        """See `learner.Learner`."""
        kept = {"weights": self.array, "mean": self._mean, "square": self._square}
        for name, array in kept.items():
            if state[name].shape != array.shape:
                raise ValueError(f"{name} has the shape {state[name].shape}, not {array.shape}")
        for name, array in kept.items():
            array[:] = state[name]
        self.steps = int(state["steps"][0])
