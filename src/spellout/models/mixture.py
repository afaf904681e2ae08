"""The geometric mean of several models, renormalised: p(w) ∝ Π p_i(w)^(1/n).

Models that err in different places correct each other (Hinton 2002, "Training Products of Experts by Minimizing
Contrastive Divergence"). It obeys the contract like its members, and is made of trained models only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from .contract import LanguageModel, Reader
from .neural import log_softmax


class Mixture:
    """The geometric mean of models with the same vocabulary."""

    def __init__(self, members: Sequence[LanguageModel]) -> None:
        self.members = list(members)
        self.vocabulary_size = self.members[0].vocabulary_size
        assert all(model.vocabulary_size == self.vocabulary_size for model in self.members)
        reaches = [model.context for model in self.members if model.context is not None]
        self.context = max(reaches) if len(reaches) == len(self.members) else None
        self.parameters = sum(model.parameters for model in self.members)

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities."""
        return _mean([model.log_probabilities(tokens) for model in self.members])

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log-probability (B, T) of each target after its tokens."""
        chosen = targets[..., None].astype(np.int64)
        return np.take_along_axis(self.log_probabilities(tokens), chosen, axis=-1)[..., 0]

    def reader(self, lines: int) -> Reader:
        """A reader that reads with every member."""
        return MixtureReader([model.reader(lines) for model in self.members])

    def settings(self) -> dict[str, Any]:
        """The members' settings. A mixture is not kept in a run folder; its members are."""
        return {"members": [model.settings() for model in self.members]}

    def arrays(self) -> dict[str, np.ndarray]:
        """The members' arrays, each under its number."""
        return {
            f"{number}.{name}": array
            for number, model in enumerate(self.members)
            for name, array in model.arrays().items()
        }

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Not possible without the members' families."""
        raise ValueError("a mixture is not restored; restore its members")


class MixtureReader:
    """The members' readers (see `contract.Reader`)."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        return _mean([reader.read(tokens) for reader in self._readers])

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        for reader in self._readers:
            reader.keep(rows)


def _mean(logs: list[np.ndarray]) -> np.ndarray:
    return log_softmax(np.mean(logs, axis=0))
