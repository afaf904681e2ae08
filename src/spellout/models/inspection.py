"""What is inside a network when it reads text: activations and gradients, as numbers that can be drawn.

The networks in PyTorch are looked into by `torch_inspection`; the mlp, here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays.learner import MlpModel
from .arrays.mlp import MlpArrays
from .arrays.network import member_of
from .ngram.counts import context_windows
from .ngram.leave_one_out import LeaveOneOut

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
    weights = {name: array.astype(np.float64) for name, array in member_of(model.weights, 0).items()}
    gradients = {name: np.empty_like(array) for name, array in weights.items()}
    windows = context_windows(stream, model.config.context)  # (N, C)
    prior = None
    if model.prior is not None:
        prior = LeaveOneOut(model.prior, stream).at(np.arange(len(windows)))
    network = MlpArrays(weights, gradients, len(windows))
    network.loss(windows, stream[1:].astype(np.int64), prior)
    before = network.before.copy()
    network.backward()
    layer = Layer("layer 1, tanh", before, network.hidden, network.d_hidden, True)
    matrices = {name: array for name, array in gradients.items() if array.ndim == 2}
    return Inside([layer], matrices)
