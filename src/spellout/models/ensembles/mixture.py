"""The weighted arithmetic mean of what several models say: p(w) = Σ a_i p_i(w), weights that sum to 1.

Linear interpolation (Jelinek & Mercer 1980, "Interpolated Estimation of Markov Source Parameters from Sparse
Data"). What one member thinks likely is likely, whatever the others say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..contract import LanguageModel
from .ensemble import Ensemble

_SUM = 1e-6
"""Weights that were written to a file may be so far from summing to 1."""


class Mixture(Ensemble):
    """The mixture of its members."""

    kind = "mixture"

    def __init__(self, members: Sequence[LanguageModel], weights: Iterable[float]) -> None:
        super().__init__(members, weights)
        if abs(sum(self.weights) - 1.0) > _SUM:
            raise ValueError("the weights of a mixture do not sum to 1")

    @staticmethod
    def mean(logs: Iterable[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """log Σ weight · p, of one token's log-probabilities as of all V."""
        parts = [one + np.log(weight) for one, weight in zip(logs, weights, strict=True)]
        # The largest is taken out first, so that no sum is lost among numbers too small; -inf stays what it is.
        largest = np.maximum(np.maximum.reduce(parts), np.finfo(np.float64).min)
        total = np.zeros(largest.shape)
        for part in parts:
            part -= largest
            total += np.exp(part, out=part)
        with np.errstate(divide="ignore"):
            np.log(total, out=total)
        total += largest
        return total

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens, from the members' own scores."""
        scores = (member.score(tokens, targets) for member, _ in self._asked)
        return self.mean(scores, [weight for _, weight in self._asked])
