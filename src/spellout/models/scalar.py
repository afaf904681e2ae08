"""What networks written in scalars share: weights by name, and the programs that their formulas become.

A formula is written once, for one example, on nested lists of Values; recorded, it is the loss that is trained and the
logits that are sampled. The Values only stand for the weights: the numbers live in flat arrays, in the order of names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.value import Value

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


def clipped(gradient: np.ndarray, most: float = 1.0) -> np.ndarray:
    """A gradient scaled down to the norm `most` if it is longer (Pascanu et al. 2013), in place."""
    norm = float(np.sqrt(np.einsum("i,i->", gradient, gradient, dtype=np.float64)))
    if norm > most:
        gradient *= most / norm
    return gradient


Formula = Callable[..., list[Value]]
