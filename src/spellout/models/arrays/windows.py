"""Networks that see a window, the last k tokens: one example is one position of the text."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from ..neural import NeuralModel
from ..ngram.counts import context_columns
from ..parameters import Shapes, Weights, flatten

_ROWS_AT_ONCE = 1 << 15


class WindowModel(NeuralModel):
    """A network of a window. A family gives its functions and its `Config`, which has the field `context`."""

    Config: ClassVar[type[Any]]

    @staticmethod
    @abstractmethod
    def shapes(config: Any, vocabulary_size: int, prior: bool) -> Shapes:
        """The weights' names and shapes; with a prior, what weighs it is among them."""

    @staticmethod
    @abstractmethod
    def start(config: Any, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Weights before training."""

    @abstractmethod
    def window_logits(self, windows: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Windows (N, C), the newest token first, and the prior's rows (N, V), to logits (N, V), float64.

        Those of a window are the same to the last bit, whatever stands beside it.
        """

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        columns = context_columns(tokens.astype(np.int64), self.config.context)
        rows = None if prior is None else prior.reshape(-1, self.vocabulary_size)
        return self._in_pieces([column.ravel() for column in columns], rows).reshape(*tokens.shape, -1)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        columns = context_columns(tokens, self.config.context)
        return self._in_pieces([column[:, -1] for column in columns], prior)

    def check(self) -> None:
        """See `NeuralModel`."""
        flatten(self.weights, self.shapes(self.config, self.vocabulary_size, self.prior is not None))

    def _in_pieces(self, columns: list[np.ndarray], prior: np.ndarray | None) -> np.ndarray:
        windows = np.stack(columns, axis=1).astype(np.int64, copy=False)
        result = np.empty((len(windows), self.vocabulary_size))
        for start in range(0, len(result), _ROWS_AT_ONCE):
            piece = slice(start, start + _ROWS_AT_ONCE)
            result[piece] = self.window_logits(windows[piece], None if prior is None else prior[piece])
        return result
