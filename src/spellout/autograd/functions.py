"""Functions of many Values: sums, means, products of lists, and the softmax family.

Each accepts Values and plain numbers, mixed, and returns Values.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

from ..errors import ShapeError
from . import ops
from .index import Index
from .value import Value, lift


def sum(xs: Iterable[object]) -> Value:
    """Return x1 + ... + xn as one node (Python's own `sum` makes n of them); 0 for no arguments."""
    terms = tuple(xs)
    return Value._apply(ops.sum, terms) if terms else lift(0.0)


def mean(xs: Iterable[object]) -> Value:
    """Return the mean of one or more numbers."""
    return Value._apply(ops.mean, _some(xs, "mean"))


def dot(weights: Sequence[object], inputs: Sequence[object], bias: object | None = None) -> Value:
    """Return w1·x1 + ... + wn·xn (+ bias) as one node: what a neuron computes before its activation function.

    Raises:
        ShapeError: the two lengths differ.
    """
    if len(weights) != len(inputs):
        raise ShapeError(f"dot needs two lists of one length, got {len(weights)} and {len(inputs)} numbers")
    return Value._apply(ops.dot, (*weights, *inputs) if bias is None else (*weights, *inputs, bias))


def largest(xs: Iterable[object]) -> Value:
    """Return the largest of one or more numbers, nan if one is nan; those that tie share the gradient."""
    return Value._apply(ops.largest, _some(xs, "largest"))


def logsumexp(xs: Iterable[object]) -> Value:
    """Return log(exp(x1) + ... + exp(xn)), shifted by the maximum so that nothing overflows."""
    return Value._apply(ops.logsumexp, _some(xs, "logsumexp"))


def softmax(xs: Iterable[object]) -> list[Value]:
    """Return n numbers that are positive, sum to 1, and keep the order: exp(x) / sum(exp(x))."""
    return ops.softmax(_some(xs, "softmax"))


def log_softmax(xs: Iterable[object]) -> list[Value]:
    """Return the logarithms of `softmax(xs)`, exact where the softmax itself would underflow to 0."""
    logits = _some(xs, "log_softmax")
    shift = ops.largest(*logits)  # once and apart: next to 1e17 the logarithm of the sum would be rounded away
    shifted = [logit - shift for logit in logits]
    rest = ops.logsumexp(*shifted)
    return [logit - rest for logit in shifted]


def where(x: object, a: object, b: object) -> Value:
    """Return a if x is above 0, else b: a choice that a recorded program makes for every example anew."""
    return Value._apply(ops.where, (x, a, b))


def pick(rows: Sequence[Any], index: SupportsIndex | Index) -> Any:
    """Return `rows[index]`. In a recorded program the index may be an integer input: every example picks its own.

    Args:
        rows: Values, or lists of Values of one length, or an array.
        index: an integer from 0, or an `Index`.

    Raises:
        ShapeError: no such row.
    """
    if isinstance(index, Index):
        return index.of(rows)
    place = operator.index(index)
    if not 0 <= place < len(rows):
        raise ShapeError(f"row {place} is outside 0 to {len(rows) - 1}")
    return rows[place]


def freeze(value: object) -> float:
    """Return the number inside a Value, also while a function is recorded: the program will keep today's number.

    This declares that a branch on it is meant: `if freeze(v) > 0` is decided once, when the function is recorded.
    """
    return lift(value)._data


def _some(xs: Iterable[object], name: str) -> tuple[Value, ...]:
    values = tuple([lift(x) for x in xs])
    if not values:
        raise ShapeError(f"{name} needs at least one number")
    return values
