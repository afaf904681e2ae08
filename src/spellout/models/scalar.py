"""What networks written in scalars share: weights by name, and the programs that their formulas become.

A formula is written once, for one example, on nested lists of Values; recorded, it is the loss that is trained and
the logits that are sampled. The Values only stand for the weights: the numbers live in flat arrays, in the order of
names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.value import Value
from .learner import UPDATES_EVERY, update_ratio

Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, np.ndarray]
Values = dict[str, Any]
"""Nested lists of Values, as deep as the shapes are long."""


def values_of(shapes: Shapes) -> tuple[Values, list[Value]]:
    """Values in these shapes, and the same in one list, in the order of the names and of their rows."""
    flat: list[Value] = []

    def build(shape: tuple[int, ...]) -> Any:
        if not shape:
            flat.append(Value(0.1))
            return flat[-1]
        return [build(shape[1:]) for _ in range(shape[0])]

    return {name: build(shape) for name, shape in shapes.items()}, flat


def flatten(weights: Weights, shapes: Shapes) -> np.ndarray:
    """All weights in one array (P,). ValueError or KeyError if they have not these names and shapes."""
    if weights.keys() != shapes.keys():
        raise ValueError(f"the weights {sorted(weights.keys() ^ shapes.keys())} are missing or unknown")
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} has the shape {weights[name].shape}, not {shape}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name} is not finite")
    return np.concatenate([weights[name].ravel() for name in shapes])


def unflatten(flat: np.ndarray, shapes: Shapes) -> Weights:
    """The inverse of `flatten`; copies."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(shape).copy() for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def add_prior(logits: list[Value], prior: list[Value] | None, scale: Value) -> list[Value]:
    """Logits of one position, with the prior's log-probabilities times a factor added if there is one."""
    if prior is None:
        return logits
    return [logit + scale * number for logit, number in zip(logits, prior, strict=True)]


class Parameters:
    """The weights of a network in training, flat, and the optimizer that moves them: AdamW, clipped gradients.

    Attributes:
        array: the numbers, (P,) float32.
        steps: how often they were moved.
        updates: see `learner.Learner`.
    """

    def __init__(self, weights: Weights, shapes: Shapes, weight_decay: float) -> None:
        from ..programs.optimizers import AdamW

        self.array = flatten(weights, shapes).astype(np.float32)
        self._shapes = shapes
        self._optimizer = AdamW(weight_decay=weight_decay, betas=(0.9, 0.99))
        self._memory = self._optimizer.memory(self.array)
        self.steps = 0
        self.updates: dict[str, float] = {}

    def move(self, gradient: np.ndarray, lr: float) -> bool:
        """Follow a gradient; False if it is not finite, and then nothing has moved."""
        norm = float(np.sqrt(np.einsum("i,i->", gradient, gradient, dtype=np.float64)))
        if norm - norm != 0.0:
            return False
        if norm > 1.0:
            gradient = gradient / np.float32(norm)
        before = self._matrices() if self.steps % UPDATES_EVERY == 0 else {}
        self._optimizer.move(self.array, gradient, self._memory, self.steps, lr)
        after = self._matrices() if before else {}
        self.updates = {name: update_ratio(array, after[name]) for name, array in before.items()}
        self.steps += 1
        return True

    def _matrices(self) -> Weights:
        return {name: array for name, array in self.weights().items() if array.ndim == 2}

    def weights(self) -> Weights:
        """A copy of the numbers of now, by name."""
        return unflatten(self.array, self._shapes)

    def state(self) -> Weights:
        """See `learner.Learner`."""
        memory = {name: array.copy() for name, array in self._memory.items()}
        return {"weights": self.array.copy(), "steps": np.array([self.steps]), **memory}

    def load_state(self, state: Weights) -> None:
        """See `learner.Learner`."""
        for name in ("weights", *self._memory):
            if state[name].shape != self.array.shape:
                raise ValueError(f"{name} has the shape {state[name].shape}, not {self.array.shape}")
        self.array[:] = state["weights"]
        self._memory = {name: state[name].copy() for name in self._memory}
        self.steps = int(state["steps"][0])
