"""A model that makes only lines that will do, guided by how likely they are to come of each beginning.

With the sums b of the n-gram itself (see `backward`) the next token has P(c | s) · b(s·c, q·c) / b(s, q), so that a
line has exactly its probability among those that will do. Another model has its own P there, and the sums of an
n-gram of the same lines: then lines come nearly so, and what they come too often or too seldom is known (see
`thinning`).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ...models.contract import LanguageModel, Reader
from ...models.softmax import log_softmax, picked
from .automaton import DEAD
from .backward import Backward


class Conditioned:
    """A model of the lines that an automaton accepts (see `contract.LanguageModel`)."""

    def __init__(self, model: LanguageModel, backward: Backward) -> None:
        self.model, self.backward = model, backward
        self.vocabulary_size, self.parameters = model.vocabulary_size, model.parameters
        self.context: int | None = None  # what the automaton has seen, all tokens say

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Turn (B, T) token ids into (B, T, V) log-probabilities."""
        reader = self.reader(len(tokens))
        return np.stack([reader.read(column.astype(np.int64)) for column in tokens.T], axis=1)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens."""
        return picked(self.log_probabilities(tokens), targets)

    def log_share(self, tokens: np.ndarray) -> float:
        """Say, as a logarithm, which part of the n-gram's lines that begin with these tokens (T,) will do."""
        reader = self.backward.states.reader(1)
        for token in [0, *tokens.tolist()]:
            reader.read(np.array([token]))
        return float(self.backward.logs(reader.here, np.array([self.backward.automaton.walk(tokens)]))[0])

    def reader(self, lines: int) -> Reader:
        """Give a reader that also knows where in the automaton each line is."""
        return _ConditionedReader(self, lines)

    def settings(self) -> dict[str, Any]:
        """Give the settings of the model."""
        return {"model": self.model.settings()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the arrays of the model."""
        return self.model.arrays()

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Always raises ValueError: what was asked is not kept."""
        raise ValueError("a model of lines that were asked for is not restored; restore the model, and ask again")


class _ConditionedReader:
    """The model's reader, the n-gram's state and the automaton's of every line (see `contract.Reader`)."""

    def __init__(self, model: Conditioned, lines: int) -> None:
        self._backward = model.backward
        self._reader, self._states = model.model.reader(lines), model.backward.states.reader(lines)
        self._nodes: np.ndarray | None = None

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows; none but -inf where nothing can."""
        automaton = self._backward.automaton
        if self._nodes is None:
            self._nodes = np.full(len(tokens), automaton.start)
        else:
            self._nodes = np.where(tokens == 0, DEAD, automaton.next[self._nodes, tokens]).astype(np.int64)
        log_b = self._backward.logs(self._states.read(tokens), automaton.next[self._nodes].astype(np.int64))
        log_b[:, 0] = np.where(automaton.accepts[self._nodes], 0.0, -np.inf)
        rows = self._reader.read(tokens) + log_b
        dead = ~np.isfinite(rows.max(axis=1))
        rows = log_softmax(rows)
        rows[dead] = -np.inf
        return rows

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._reader.keep(rows)
        self._states.keep(rows)
        assert self._nodes is not None
        self._nodes = self._nodes[rows]
