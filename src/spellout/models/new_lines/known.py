"""What a model says along a trie of lines: one pass, after which weights of known and new lines cost little."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..contract import LanguageModel
from .trie import Trie

LINES_AT_ONCE = 1 << 12
FEW = 4
"""So few lines, all others having ended, are read at many places at once; else each token would take a round."""
WINDOW = 16
"""Models that look back no further can read so."""
_CELLS_AT_ONCE = 1 << 23  # probabilities in memory together


class Known:
    """Log-probabilities of a model along a trie.

    Attributes:
        trie: the lines.
        along: (N,) float64, of each node but the root: of its token, given those before it.
        leaving: (N,) float64, of each inner node: of all tokens that lead off the trie together.
        as_it_is: (N,) float64, `along` before the model was made sharper.
    """

    def __init__(
        self, trie: Trie, along: np.ndarray, leaving: np.ndarray, as_it_is: np.ndarray | None = None
    ) -> None:
        self.trie, self.along, self.leaving = trie, along, leaving
        self.as_it_is = along if as_it_is is None else as_it_is

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        trie: Trie,
        progress: Callable[[float], None] = lambda share: None,
        sharpness: float = 1.0,
    ) -> Known:
        """Ask the model once at every inner node. `progress` hears which share of the lines is done.

        What it says is made sharper (see `sharpness`).
        """
        along, leaving = np.zeros(len(trie)), np.full(len(trie), -np.inf)
        as_it_is = None if sharpness == 1.0 else np.zeros(len(trie))
        for nodes, rows in asked(model, trie, progress):
            parents, tokens, children = trie.edges_of(nodes)
            if as_it_is is not None:
                as_it_is[children] = rows[parents, tokens]
                rows *= sharpness
                rows -= log_sum(rows)[:, None]
            along[children] = rows[parents, tokens]
            # Added up, not subtracted from 1: of lines that are known by heart nothing would be left.
            rows[parents, tokens] = -np.inf
            leaving[nodes] = log_sum(rows)
        return cls(trie, along, leaving, as_it_is)

    def lines(self, as_it_is: bool = False, given_first: bool = False) -> np.ndarray:
        """Give the log-probability (L,) of every line, its end included, in the order of the trie's leaves.

        With `as_it_is`, before the model was made sharper; with `given_first`, given its first token.
        """
        along = self.as_it_is if as_it_is else self.along
        if given_first:
            along = along.copy()
            along[: self.trie.levels[2]] = 0.0
        return self.trie.along_lines(along)

    def ends(self, as_it_is: bool = False) -> np.ndarray:
        """Give the log-probability (L,) of the end alone of every line, as `lines` does of the whole."""
        return (self.as_it_is if as_it_is else self.along)[self.trie.leaves]

    def ratios(self, ends: np.ndarray, new: float) -> np.ndarray:
        """Say by how much weights change the probability of all lines through a node, (N,), as logarithms.

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

    def ratios_of_new_lines(self) -> np.ndarray:
        """Give the `ratios` where known lines have no weight: what of each node's lines is new."""
        return self.ratios(np.full(len(self.trie.leaves), -np.inf), 0.0)


def asked(
    model: LanguageModel, trie: Trie, progress: Callable[[float], None] = lambda share: None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give some inner nodes (B,) and the model's log-probabilities (B, V) there, which may be written to, until all
    were there; a node of several blocks of lines is there in each of them."""
    most = max(1, min(LINES_AT_ONCE, _CELLS_AT_ONCE // model.vocabulary_size))
    spans = trie.spans(most)  # what the model remembers of more lines would not fit in memory
    blocks = -(-len(trie.leaves) // most)
    for block in range(blocks):
        reader, nodes, tokens = model.reader(1), np.zeros(1, np.int64), np.zeros(1, np.int64)
        paths, since, context = None, 0, model.context or 0
        for depth, level in enumerate(spans):
            if paths is None and depth >= trie.alone and len(nodes) <= FEW and 0 < context <= WINDOW:
                paths, since = [trie.path(int(node)) for node in nodes], depth
            if paths is not None and depth == since + context:
                for path in paths:
                    yield from _along(model, trie, path, most)
                break
            yield nodes, np.array(reader.read(tokens), np.float64)
            parents, tokens, children = trie.edges_of(nodes)
            first, last = level[block]
            here = (tokens != 0) & (children >= first) & (children <= last)
            nodes, tokens = children[here], tokens[here]
            if not len(nodes):
                break
            reader.keep(parents[here])
        progress((block + 1) / blocks)


def _along(
    model: LanguageModel, trie: Trie, path: np.ndarray, most: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same of all nodes of a path but the first, as many as the model looks back: of each it reads the last
    tokens, beside those of others."""
    context, tokens = model.context or 0, trie.tokens[path].astype(np.int64)
    for begin in range(context, len(path), most):
        end = min(begin + most, len(path))
        reader = model.reader(end - begin)
        for back in range(context - 1, -1, -1):
            rows = reader.read(tokens[begin - back : end - back])
        yield path[begin:end], np.array(rows, np.float64)


def log_sum(rows: np.ndarray) -> np.ndarray:
    """Add up probabilities (B, V) that are given as logarithms, to (B,)."""
    highest = rows.max(axis=1)
    safe = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(rows - safe[:, None]).sum(axis=1)) + safe
