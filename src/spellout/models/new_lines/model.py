"""A model of lines that are not in its list.

A left-to-right model gives about a third of its probability to the lines that it has learned from. Who asks for a
line wants a new one: P(x | new) = P(x) / (1 - Σ over known lines t of P(t)). Letter by letter that is exact along a
trie of the known lines: with R(u) the probability of all lines that begin with u and are not known, the next letter
c after u has probability R(uc) / R(u), and off the trie the model's own.

Where lines may recur there are two parts: with some chance one of the known lines, else a new one. Both are a model
whose lines have weights: here each known line its own, and all others one.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..contract import LanguageModel, Reader
from .known import Known
from .trie import NOWHERE, Trie


class Weighted:
    """A model that gives every line its probability by another one, times a weight, over the sum of all of these.

    Attributes:
        model: the other one.
        trie: the lines that have weights of their own.
        ratios: (N,) float64 (see `Known.ratios`).
        new: the logarithm of the weight of all other lines.
    """

    def __init__(self, model: LanguageModel, trie: Trie, ratios: np.ndarray, new: float = 0.0) -> None:
        self.model, self.trie, self.ratios, self.new = model, trie, ratios, new
        self.vocabulary_size, self.parameters = model.vocabulary_size, model.parameters
        self.context: int | None = None  # whether a line is known, all of its tokens say

    @classmethod
    def of_new_lines(cls, model: LanguageModel, known: Known) -> Self:
        """Condition on lines that are not known. ValueError if the model makes none."""
        ratios = known.ratios_of_new_lines()
        if not np.isfinite(ratios[0]):
            raise ValueError("the model makes no line that is not among those it learned from")
        return cls(model, known.trie, ratios)

    @property
    def new_share(self) -> float:
        """Say what the model gives to lines that are not known, if known ones have no weight."""
        return float(np.exp(self.ratios[0]))

    def can_begin(self, tokens: np.ndarray) -> bool:
        """Say whether any line with a weight begins with these tokens (T,), a boundary not among them."""
        node = self.trie.walk(np.concatenate([[0], tokens])[None])[0, -1]
        return bool(np.isfinite(self.new if node == NOWHERE else self.ratios[node]))

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Turn (B, T) token ids into (B, T, V) log-probabilities."""
        rows = self.model.log_probabilities(tokens)
        nodes = self.trie.walk(tokens)
        return self.reweighted(rows.reshape(-1, rows.shape[-1]), nodes.ravel()).reshape(rows.shape)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens."""
        nodes = self.trie.walk(tokens)
        there = self.trie.child(nodes, targets.astype(np.int64))
        after = np.where(there == NOWHERE, self.new, self.ratios[there])
        before = np.where(np.isfinite(self.ratios[nodes]), self.ratios[nodes], 0.0)
        return self.model.score(tokens, targets) + np.where(nodes == NOWHERE, 0.0, after - before)

    def reader(self, lines: int) -> Reader:
        """Give a reader that also knows where in the trie each line is."""
        return _WeightedReader(self, lines)

    def reweighted(self, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Change rows (B, V) of the model at nodes (B,) of the trie."""
        on = np.flatnonzero(nodes != NOWHERE)
        before = self.ratios[nodes[on]]
        on, before = on[np.isfinite(before)], before[np.isfinite(before)]
        if not len(on):
            return rows
        parents, tokens, children = self.trie.edges_of(nodes[on])
        edges = on[parents] * rows.shape[1] + tokens
        along = np.take(rows, edges) + (self.ratios[children] - before[parents])
        change = np.zeros(len(rows))
        change[on] = self.new - before
        rows = rows + change[:, None]  # all at once is faster than those alone
        np.put(rows, edges, along)
        return rows

    def settings(self) -> dict[str, Any]:
        """Give the weight of new lines and the settings of the model."""
        return {"new": self.new, "model": self.model.settings()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the ratios, and the arrays of the model under `model.`."""
        return {"ratios": self.ratios} | {f"model.{name}": array for name, array in self.model.arrays().items()}

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Always raises ValueError: it takes the model's family and the lines to restore it."""
        raise ValueError("a model of new lines is not restored; restore the model, and condition it again")


class _WeightedReader:
    """The model's reader, and the node that every line has reached (see `contract.Reader`)."""

    def __init__(self, model: Weighted, lines: int) -> None:
        self._model, self._reader = model, model.model.reader(lines)
        self._nodes: np.ndarray | None = None

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        if self._nodes is None:  # the boundary at the start leads to the root
            self._nodes = np.zeros(len(tokens), np.int64)
        else:
            on = np.flatnonzero(self._nodes != NOWHERE)  # most have left it before they end
            there = self._model.trie.child(self._nodes[on], tokens[on])
            self._nodes[on] = np.where(tokens[on] == 0, NOWHERE, there)
        return self._model.reweighted(self._reader.read(tokens), self._nodes)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._reader.keep(rows)
        assert self._nodes is not None
        self._nodes = self._nodes[rows]
