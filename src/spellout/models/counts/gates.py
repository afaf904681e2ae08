"""How much each view counts: the logits are a sum of the views' log-probabilities, each times a scale.

The scales depend on where one is: to those that always hold, others are added that are chosen by the place in the
line and by the last two tokens, as the gates of a PAQ compressor choose their weights (Mahoney 2005, "Adaptive
weighing of context models for lossless data compression"; Knoll & de Freitas 2012, "A Machine Learning Perspective
on Predictive Coding with PAQ").

    N positions · K views · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..weights import Shapes, Weights
from .past import Past

PLACES = 32
"""Later places in a line count as the last of these."""
MOST_TOKENS = 256
"""Of so many tokens each can choose scales of its own; the others choose together."""


def mixing_shapes(number: int, vocabulary_size: int) -> Shapes:
    """Give the names and shapes of the weights for so many views."""
    tokens = min(vocabulary_size, MOST_TOKENS)
    return {
        "always": (number,),
        "place": (PLACES, number),
        "last": (tokens, number),
        "second": (tokens, number),
        "bias": (vocabulary_size,),
    }


def gates(past: Past, vocabulary_size: int) -> dict[str, np.ndarray]:
    """Say what chooses the scales at every position, by the name of the weights, (N,) int64 each."""
    most = min(vocabulary_size, MOST_TOKENS) - 1
    last, second = (np.minimum(column, most).astype(np.int64) for column in past.recent[:2])
    return {"place": np.minimum(past.place, PLACES - 1).astype(np.int64), "last": last, "second": second}


def scales(weights: Weights, chosen: dict[str, np.ndarray]) -> np.ndarray:
    """Say how much each view counts at every position, (N, K)."""
    total: np.ndarray = weights["always"] + weights["place"][chosen["place"]]
    for name in ("last", "second"):
        total += weights[name][chosen[name]]
    return total
