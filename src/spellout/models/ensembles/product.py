"""The weighted product of what several models say, renormalised: p(w) ∝ Π p_i(w)^a_i.

A geometric mean where the weights sum to 1: log-linear interpolation (Klakow 1998), or a product of experts (Hinton
2002, "Training Products of Experts by Minimizing Contrastive Divergence"). Every member has a veto, so that models
which err in different places correct each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..softmax import score_in_pieces
from .ensemble import Ensemble


class Product(Ensemble):
    """The weighted product of its members. Its weights need not sum to 1: their sum is a temperature."""

    kind = "product"

    @staticmethod
    def mean(logs: Iterable[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """Σ weight · log p, less the logarithm of what it sums to."""
        total: np.ndarray | None = None
        for one, weight in zip(logs, weights, strict=True):
            part = np.multiply(one, weight, dtype=np.float64)
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        with np.errstate(invalid="ignore"):  # nan, where nothing is possible, is for the caller to see
            total -= total.max(axis=-1, keepdims=True)
            total -= np.log(np.exp(total).sum(axis=-1, keepdims=True))
        return total

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens; all V of them have to be made, for their
        sum."""
        return score_in_pieces(self, tokens, targets)
