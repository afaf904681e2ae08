"""A model that is surer of what it says: each of its probabilities is taken to a power (see `sharpness`)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..contract import LanguageModel, Reader
from ..softmax import log_softmax, picked


class Sharper:
    """A model with probabilities in proportion to another one's to a power, the `sharpness`."""

    def __init__(self, model: LanguageModel, sharpness: float) -> None:
        self.model, self.sharpness = model, sharpness
        self.vocabulary_size, self.context = model.vocabulary_size, model.context
        self.parameters = model.parameters + 1

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Turn (B, T) token ids into (B, T, V) log-probabilities."""
        return self.sharpened(self.model.log_probabilities(tokens))

    def sharpened(self, rows: np.ndarray) -> np.ndarray:
        """Make of log-probabilities (..., V) of the model those of the sharper one."""
        return log_softmax(self.sharpness * rows)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens."""
        return picked(self.log_probabilities(tokens), targets)

    def reader(self, lines: int) -> Reader:
        """Give the model's reader, its answers to the power."""
        return _SharperReader(self, self.model.reader(lines))

    def settings(self) -> dict[str, Any]:
        """Give the sharpness and the settings of the model."""
        return {"sharpness": self.sharpness, "model": self.model.settings()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the arrays of the model."""
        return self.model.arrays()

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Always raises ValueError: it takes the model's family to restore it."""
        raise ValueError("a sharper model is not restored; restore the model, and make it sharper again")


class _SharperReader:
    """The model's reader (see `contract.Reader`)."""

    def __init__(self, model: Sharper, reader: Reader) -> None:
        self._model, self._reader = model, reader

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        return self._model.sharpened(self._reader.read(tokens))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._reader.keep(rows)


def sharper(model: LanguageModel, sharpness: float) -> LanguageModel:
    """Give the model as sharp as that: itself for 1."""
    return model if sharpness == 1.0 else Sharper(model, sharpness)
