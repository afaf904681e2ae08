"""From logits to log-probabilities, and to those of single tokens."""

from __future__ import annotations

import numpy as np

from ..errors import NotFiniteError
from .contract import LanguageModel

_LOGITS_AT_ONCE = 1 << 22


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Give log-probabilities (..., V) of logits, in float64; nan where these are not finite, for the caller to
    see."""
    # The largest is subtracted first, so that no exponential overflows.
    with np.errstate(invalid="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def picked(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give the number of each target in its row: (..., V) and (...,) to (...,)."""
    return np.take_along_axis(rows, targets[..., None].astype(np.int64), axis=-1)[..., 0]


def checked(logs: np.ndarray) -> np.ndarray:
    """Give log-probabilities as they are, or raise `NotFiniteError`: weights may be finite and yet so large that
    none come."""
    if np.isnan(logs).any():
        raise NotFiniteError(
            "the model gives nan instead of probabilities: its weights are far too large, as after a training that "
            "diverged or in a damaged file; train again"
        )
    return logs


def score_in_pieces(model: LanguageModel, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give log-probabilities (B, T) of targets, some lines at a time: all V of many would not fit in memory."""
    scores = np.empty(targets.shape)
    rows = max(1, _LOGITS_AT_ONCE // (tokens.shape[1] * model.vocabulary_size))
    for start in range(0, len(tokens), rows):
        piece = slice(start, start + rows)
        scores[piece] = picked(model.log_probabilities(tokens[piece]), targets[piece])
    return scores
