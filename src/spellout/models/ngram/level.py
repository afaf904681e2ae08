"""The n-grams of a model as sorted arrays: a trie of contexts that grows backwards in time.

Level m holds the contexts of m tokens. A context is found from its suffix, which stands one level below: its key
is `suffix * V + oldest token`, so 64 bits are enough for any order and any vocabulary, and one binary search a
level walks from the empty context to the longest one that was seen. If a context was never seen, no longer one
was, and the walk ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_MOST = 2.0**53
"""So far float64 holds every whole number."""


@dataclass
class Level:
    """Contexts of one length, and what followed them.

    `keys` (C,) sorted context keys; `offsets` (C + 1,) the entries of context i are `offsets[i]:offsets[i + 1]`;
    `tokens` (E,) the token of each entry, ascending within a context; `counts` (E,) positive.
    """

    keys: np.ndarray
    offsets: np.ndarray
    tokens: np.ndarray
    counts: np.ndarray
    vocabulary_size: int
    entry_keys: np.ndarray = field(init=False)
    """(E,) sorted `context * V + token`."""
    totals: np.ndarray = field(init=False)
    """(C,) float64, sum of the counts of a context."""
    kinds: np.ndarray = field(init=False)
    """(C, 4) float64: how many entries of a context have a count of 1, 2, and 3 or more (column 0 is 0)."""

    def __post_init__(self) -> None:
        lengths = np.diff(self.offsets)
        contexts = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
        self.entry_keys = contexts * np.uint64(self.vocabulary_size) + self.tokens
        self.totals = np.add.reduceat(self.counts, self.offsets[:-1]).astype(np.float64)
        place = contexts.astype(np.int64) * 4 + np.minimum(self.counts, 3)
        self.kinds = np.bincount(place, minlength=4 * len(lengths)).reshape(-1, 4).astype(np.float64)

    def counts_of(self, entries: np.ndarray) -> np.ndarray:
        """Give the count of each entry, 0 where `entries` is -1."""
        if not len(self.counts):  # no line is as long as this level's contexts
            return np.zeros(len(entries), np.int64)
        return np.where(entries >= 0, self.counts[entries], 0)

    def find_contexts(self, suffixes: np.ndarray, oldest: np.ndarray) -> np.ndarray:
        """Ids (N,) of the contexts made of a known suffix (id, -1: none) and one older token; -1 if not seen."""
        # An id of -1 becomes 2^64 - 1; what is found for it is not taken.
        wanted = suffixes.astype(np.uint64) * np.uint64(self.vocabulary_size) + oldest.astype(np.uint64)
        return np.where(suffixes >= 0, _find(self.keys, wanted), -1)

    def find_entries(self, contexts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Entries (N,) of these tokens after these contexts (-1: no context); -1 if never seen there."""
        wanted = contexts.astype(np.uint64) * np.uint64(self.vocabulary_size) + tokens.astype(np.uint64)
        return np.where(contexts >= 0, _find(self.entry_keys, wanted), -1)

    def entries_of(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give all entries of some contexts: their places in `contexts`, and the entries, both (S,)."""
        # Ranges of entries one after the other, without a loop: a running number, moved to each range's start.
        starts = self.offsets[contexts]
        lengths = self.offsets[contexts + 1] - starts
        before = np.cumsum(lengths) - lengths
        rows = np.repeat(np.arange(len(contexts)), lengths)
        return rows, np.arange(len(rows)) + np.repeat(starts - before, lengths)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.full(len(wanted), -1)
    places = np.searchsorted(keys, wanted)
    places[places == len(keys)] = 0  # larger than all: any place will do to see that it is not there
    return np.where(keys[places] == wanted, places, -1)


def checked_level(arrays: list[np.ndarray], vocabulary_size: int) -> Level:
    """Make a level from its four arrays as someone else wrote them. Raises ValueError if they cannot be one."""
    keys, offsets, tokens, counts = arrays
    sound = (
        all(array.ndim == 1 and array.dtype.kind in "ui" for array in arrays)
        and len(offsets) == len(keys) + 1
        and len(tokens) == len(counts) == offsets[-1]
        and offsets[0] == 0
        and bool((offsets[1:] > offsets[:-1]).all())
        and bool((keys[1:] > keys[:-1]).all())
        and bool((counts > 0).all())
        and bool((tokens < vocabulary_size).all())
        and float(counts.astype(np.float64).sum()) < _MOST  # sums of counts must not overflow
    )
    if not sound:
        raise ValueError("the counts are not sorted n-grams")
    level = Level(keys.astype(np.uint64), offsets.astype(np.int64), tokens, counts, vocabulary_size)
    if not (level.entry_keys[1:] > level.entry_keys[:-1]).all():
        raise ValueError("the tokens of a context are not sorted")
    return level


def walk(levels: list[Level], columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Ids of the contexts given by columns (newest first), one array (N,) a level; -1 where not seen."""
    size = len(columns[0]) if columns else 0
    ids = [np.zeros(size, np.int64)]
    for level, column in zip(levels[1:], columns, strict=False):  # there may be more columns than levels
        ids.append(level.find_contexts(ids[-1], column))
    return ids
