"""What networks written in scalars share: Values that stand for weights, by name.

A formula is written once, for one example, on nested lists of Values; recorded, it is the loss that is trained and
the logits that are sampled. The Values only stand for the weights: the numbers live in flat arrays, in the order of
names (`parameters.py`).
"""

from __future__ import annotations

from typing import Any

from ...autograd.value import Value
from ..parameters import Shapes

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


def add_prior(logits: list[Value], prior: list[Value] | None, scale: Value) -> list[Value]:
    """Logits of one position, with the prior's log-probabilities times a factor added if there is one."""
    if prior is None:
        return logits
    return [logit + scale * number for logit, number in zip(logits, prior, strict=True)]
