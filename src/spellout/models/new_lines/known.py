"""What a model says along a trie of lines: one pass, after which weights of known and new lines cost little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..contract import LanguageModel
from .trie import Trie

LINES_AT_ONCE = 1 << 12
_CELLS_AT_ONCE = 1 << 23  # probabilities in memory together


class Known:
    """Log-probabilities of a model along a trie.

    Attributes:
        trie: the lines.
        along: (N,) float64, of each node but the root: of its token, given those before it.
        leaving: (N,) float64, of each inner node: of all tokens that lead off the trie together.
    """

    def __init__(self, trie: Trie, along: np.ndarray, leaving: np.ndarray) -> None:
        self.trie, self.along, self.leaving = trie, along, leaving

    @classmethod
    def of(cls, model: LanguageModel, trie: Trie, progress: Callable[[float], None] = lambda share: None) -> Known:
        """Ask the model once at every inner node. `progress` hears which share of the lines is done."""
        along, leaving = np.zeros(len(trie)), np.full(len(trie), -np.inf)
        most = max(1, min(LINES_AT_ONCE, _CELLS_AT_ONCE // model.vocabulary_size))
        for start in range(0, len(trie.leaves), most):  # what the model remembers of more would not fit in memory
            stop = start + most
            reader, nodes, tokens = model.reader(1), np.zeros(1, np.int64), np.zeros(1, np.int64)
            while len(nodes):
                rows = np.array(reader.read(tokens), np.float64)  # a copy, as it is written to
                parents, tokens, children = trie.edges_of(nodes)
                along[children] = rows[parents, tokens]
                # Added up, not subtracted from 1: of lines that are known by heart nothing would be left.
                rows[parents, tokens] = -np.inf
                leaving[nodes] = log_sum(rows)
                first = trie.begins[children]
                here = (tokens != 0) & (first < stop) & (first + trie.holds[children] > start)
                nodes, tokens = children[here], tokens[here]
                if len(nodes):
                    reader.keep(parents[here])
            progress(min(1.0, stop / len(trie.leaves)))
        return cls(trie, along, leaving)

    def lines(self) -> np.ndarray:
        """Give the log-probability (L,) of every line, its end included, in the order of the trie's leaves."""
        trie, total = self.trie, self.along.copy()
        for below in trie.below():
            total[below] += total[trie.parents(below)]
        return total[trie.leaves]

    def ratios(self, ends: np.ndarray, new: float) -> np.ndarray:
        """By how much weights change the probability of all lines through a node, (N,), as logarithms.

        `ends` (L,) are the logarithms of the weights of the known lines, `new` that of all others. Every ratio is a
        sum of positive terms, what leaves the trie here and what goes on along each edge, from the leaves up.
        """
        trie = self.trie
        ratios = self.leaving + new
        ratios[trie.leaves] = ends
        for below in trie.below()[::-1]:
            np.logaddexp.at(ratios, trie.parents(below), self.along[below] + ratios[below])
        return ratios


def log_sum(rows: np.ndarray) -> np.ndarray:
    """Add up probabilities (B, V) that are given as logarithms, to (B,)."""
    highest = rows.max(axis=1)
    safe = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(rows - safe[:, None]).sum(axis=1)) + safe
