"""What is inside a network when it reads text: activations and gradients, as numbers that can be drawn.

The networks in PyTorch are looked into by `torch_inspection`; the mlp that is a program, here, by its formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .leave_one_out import LeaveOneOut
from .mlp import MlpModel
from .neural import log_softmax
from .ngram_counts import context_windows

SATURATED = 0.97
"""A unit of tanh beyond this has almost no slope, and learns next to nothing."""


@dataclass(frozen=True)
class Layer:
    """The units of one layer at N places of a text.

    Attributes:
        name: which layer, and its function.
        before: what the function was given, (N, H); None where a fused kernel hides it.
        after: what it gave, (N, H).
        gradient: of the mean loss with respect to `after`, (N, H).
        bounded: whether `after` is between -1 and 1, so that a unit can be saturated.
    """

    name: str
    before: np.ndarray | None
    after: np.ndarray
    gradient: np.ndarray
    bounded: bool


@dataclass(frozen=True)
class Inside:
    """All layers, the first one first, and the gradients of the matrices by name."""

    layers: list[Layer]
    gradients: dict[str, np.ndarray]


def look_inside_mlp(model: MlpModel, stream: np.ndarray) -> Inside:
    """Activations and gradients of the loss on a stream `0 line 0 line 0`, of the first member of an mlp."""
    first = {name: array for name, array in model.weights.items() if name.startswith("0.")}
    weights = {name.removeprefix("0."): array.astype(np.float64) for name, array in first.items()}
    embedding, out = weights["embedding"], weights["out.weight"]
    tokens = context_windows(stream, model.config.context)
    read = embedding[tokens].reshape(len(tokens), -1)  # (N, C * E), the newest token first
    before = read @ weights["hidden.weight"].T + weights["hidden.bias"]
    after = np.tanh(before)
    logits = after @ out.T + weights["out.bias"]
    prior = None
    if model.prior is not None:
        prior = LeaveOneOut(model.prior, stream).at(np.arange(len(tokens))).astype(np.float64)
        logits += (after @ weights["prior.weight"] + weights["prior.bias"])[:, None] * prior
    wrong = np.exp(log_softmax(logits))
    wrong[np.arange(len(tokens)), stream[1:].astype(np.int64)] -= 1.0
    wrong /= len(tokens)  # the gradient of the mean loss with respect to the logits
    gradient = wrong @ out
    if prior is not None:
        gradient += (wrong * prior).sum(axis=1, keepdims=True) * weights["prior.weight"]
    inner = gradient * (1.0 - after**2)
    vectors = np.zeros_like(embedding)
    np.add.at(vectors, tokens, (inner @ weights["hidden.weight"]).reshape(*tokens.shape, -1))
    gradients = {"embedding": vectors, "hidden.weight": inner.T @ read, "out.weight": wrong.T @ after}
    return Inside([Layer("layer 1, tanh", before, after, gradient, True)], gradients)
