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
        spans = trie.spans(most)  # what the model remembers of more lines would not fit in memory
        blocks = -(-len(trie.leaves) // most)
        for block in range(blocks):
            reader, nodes, tokens = model.reader(1), np.zeros(1, np.int64), np.zeros(1, np.int64)
            for level in spans:
                rows = np.array(reader.read(tokens), np.float64)  # a copy, as it is written to
                parents, tokens, children = trie.edges_of(nodes)
                along[children] = rows[parents, tokens]
                # Added up, not subtracted from 1: of lines that are known by heart nothing would be left.
                rows[parents, tokens] = -np.inf
                leaving[nodes] = log_sum(rows)
                first, last = level[block]
                here = (tokens != 0) & (children >= first) & (children <= last)
                nodes, tokens = children[here], tokens[here]
                if not len(nodes):
                    break
                reader.keep(parents[here])
            progress((block + 1) / blocks)
        return cls(trie, along, leaving)

    def lines(self) -> np.ndarray:
        """Give the log-probability (L,) of every line, its end included, in the order of the trie's leaves."""
        trie, total = self.trie, self.along.copy()
        for above, below, starts in trie.families():
            sizes = np.diff(starts, append=below.stop - below.start)
            total[below] += np.repeat(total[above], sizes)
        return total[trie.leaves]

    def ratios(self, ends: np.ndarray, new: float) -> np.ndarray:
        """By how much weights change the probability of all lines through a node, (N,), as logarithms.

        `ends` (L,) are the logarithms of the weights of the known lines, `new` that of all others. Every ratio is a
        sum of positive terms, what leaves the trie here and what goes on along each edge, from the leaves up.
        """
        trie = self.trie
        ratios = self.leaving + new
        ratios[trie.leaves] = ends
        for above, below, starts in trie.families(upwards=True):
            through = np.logaddexp.reduceat(self.along[below] + ratios[below], starts)
            ratios[above] = np.logaddexp(ratios[above], through)
        return ratios


def log_sum(rows: np.ndarray) -> np.ndarray:
    """Add up probabilities (B, V) that are given as logarithms, to (B,)."""
    highest = rows.max(axis=1)
    safe = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(rows - safe[:, None]).sum(axis=1)) + safe
