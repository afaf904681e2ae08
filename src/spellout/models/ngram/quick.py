"""An n-gram in some hundredths of a second: no order is searched for, and no discounts are fitted."""

from __future__ import annotations

import numpy as np

from .config import NgramConfig
from .counts import Counts
from .model import NgramModel
from .streams import some_lines

QUICK_ORDER = 6
QUICK_TOKENS = 200_000
"""As much text as can be counted in some hundredths of a second."""


def quick_ngram(stream: np.ndarray, vocabulary_size: int) -> NgramModel:
    """Make a model for first lines at once: of fixed order, closed form, and of about `QUICK_TOKENS` at most."""
    some = some_lines(stream, QUICK_TOKENS)
    config = NgramConfig(order=QUICK_ORDER, smoothing="closed-form")
    return NgramModel.estimate(Counts.of(some, QUICK_ORDER, vocabulary_size), config)
