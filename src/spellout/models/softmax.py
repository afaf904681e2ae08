"""From logits to log-probabilities, and to those of single tokens."""

from __future__ import annotations

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities (..., V) of logits, in float64; nan where these are not finite, for the caller to see."""
    # The largest is subtracted first, so that no exponential overflows.
    with np.errstate(invalid="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def picked(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The number of each target in its row: (..., V) and (...,) to (...,)."""
    return np.take_along_axis(rows, targets[..., None].astype(np.int64), axis=-1)[..., 0]
