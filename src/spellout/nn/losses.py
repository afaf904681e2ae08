"""Losses: one number that says how wrong a prediction is, in nats where it is a probability.

The first four take one prediction, or a sequence of them with as many targets and then return the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..autograd import ops
from ..autograd.functions import Index, mean, pick, sum
from ..autograd.value import Value, lift
from ..errors import ShapeError

_LEAST = math.exp(-100.0)  # whose logarithm is the least that a loss takes


def squared_error(prediction: Any, target: Any) -> Value:
    """Return (prediction - target)², or its mean."""
    return mean([(p - t) ** 2 for p, t in _pairs(prediction, target)])


def hinge(score: Any, label: Any) -> Value:
    """Return max(0, 1 - label · score) for labels -1 and 1, or its mean: a support vector machine's loss."""
    return mean([(1.0 - s * y).relu() for s, y in _pairs(score, label)])


def binary_cross_entropy(probability: Any, target: Any) -> Value:
    """Return -t·log p - (1 - t)·log(1 - p), or its mean; each log is at least -100, as in PyTorch.

    Where p has reached 0 or 1, no gradient is left; `binary_cross_entropy_with_logits` always has one.
    """
    return mean(
        [
            -(t * p.maximum(_LEAST).log() + (1.0 - t) * (1.0 - p).maximum(_LEAST).log())
            for p, t in _pairs(probability, target)
        ]
    )


def binary_cross_entropy_with_logits(logit: Any, target: Any) -> Value:
    """Return the same from the number before the sigmoid, exact for any size of it: softplus(x) - t·x."""
    # -t·log p - (1 - t)·log(1 - p) with p = sigmoid(x), simplified: no p that could round to 0 or 1
    return mean([x.softplus() - x * t for x, t in _pairs(logit, target)])


def negative_log_likelihood(log_probabilities: Sequence[Any], target: int | Index) -> Value:
    """Return -log p of the class `target`."""
    return -lift(pick(log_probabilities, target, "class"))


def cross_entropy(logits: Sequence[Any], target: int | Index) -> Value:
    """Return -log softmax(logits)[target] for one example, in two nodes whatever the number of classes."""
    return -lift(ops.log_softmax(pick(logits, target, "class"), *logits))


def l2_penalty(parameters: Iterable[Value], strength: float = 1e-4) -> Value:
    """Return strength · (sum of squares): pulls every parameter towards 0."""
    return sum([parameter * parameter for parameter in parameters]) * strength


def _pairs(predictions: Any, targets: Any) -> list[tuple[Value, Value]]:
    if isinstance(predictions, Value) or not hasattr(predictions, "__len__"):  # one of them, and not a sequence
        predictions, targets = [predictions], [targets]
    if not hasattr(targets, "__len__") or len(predictions) != len(targets) or not len(predictions):
        raise ShapeError(f"a loss needs as many targets as predictions, got {predictions!r} and {targets!r}")
    return [(lift(p), lift(t)) for p, t in zip(predictions, targets, strict=True)]
