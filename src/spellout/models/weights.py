"""The weights of a network by their names, and as one flat array, in which they stand in the order of these."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, np.ndarray]


def flatten(weights: Weights, shapes: Shapes) -> np.ndarray:
    """Put all weights in one array (P,). ValueError or KeyError if they have not these names and shapes."""
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
    """Invert `flatten`, without copying: what changes in one changes in the other."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def under(prefix: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Give those whose names begin with a prefix, named by the rest."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
