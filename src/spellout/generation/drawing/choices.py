"""Choosing tokens by random numbers: what is kept of a model's probabilities in each slot of tables.

A token is chosen by inverting the cumulative distribution, and it is the one that `sampling` chooses, to the last
bit. Which token a random number falls to, its highest bits tell in most cases: a guide table holds the token for
each value of theirs (Chen & Asau 1974, "On Generating Random Variates from an Empirical Distribution"), or that
several share it; then the number is compared with the sums.

    N lines · S slots · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ...uniform import uniform

GUIDE_BITS = 8
PARTS = 1 << GUIDE_BITS
_AT_ONCE = 1 << 10


def grown(array: np.ndarray, used: int, room: int) -> np.ndarray:
    """An array with so much room and what was used of it, the rest 0."""
    wider = np.zeros((room, *array.shape[1:]), array.dtype)
    wider[:used] = array[:used]
    return wider


def inverted(weights: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """One token for each of the weights (N, V) and uniform numbers (N,) in [0, 1)."""
    sums = np.cumsum(weights, axis=1)
    wanted = numbers * sums[:, -1]
    # <= and not <: a token without any weight is not chosen even where the number drawn is 0
    chosen = (sums <= wanted[:, None]).sum(axis=1)
    # Rounding can put `wanted` on the total itself: then the last token with any weight is meant.
    last = weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(chosen, last)


class Choices:
    """The sums of the weights of each slot, and their guide."""

    def __init__(self, vocabulary_size: int) -> None:
        self._size = vocabulary_size
        self._several = vocabulary_size  # in the guide: more than one token has a share
        self._sums = np.zeros((0, vocabulary_size))
        self._totals = np.zeros(0)
        self._guide = np.zeros((0, PARTS), np.min_scalar_type(self._several))

    def make_room(self, used: int, room: int) -> None:
        """Have room for so many slots, and keep the first."""
        for name in ("_sums", "_totals", "_guide"):
            setattr(self, name, grown(getattr(self, name), used, room))

    def put(self, slots: np.ndarray, weights: np.ndarray) -> None:
        """Keep the weights (N, V) of some slots (N,)."""
        sums = np.cumsum(weights, axis=1)
        self._totals[slots] = totals = sums[:, -1].copy()
        # Rounding can put the number drawn on the total itself: then the last token with any weight is meant.
        last = self._size - 1 - (weights[:, ::-1] > 0).argmax(axis=1)
        sums[np.arange(self._size) >= last[:, None]] = np.inf
        self._sums[slots], self._guide[slots] = sums, self._guides(sums, totals)

    def tokens(self, slots: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """One token for each slot (N,) and random number of 64 bits (N,), of which the lowest 11 do not count."""
        parts = (numbers >> np.uint64(64 - GUIDE_BITS)).astype(np.int64)
        parts += slots * PARTS
        tokens = self._guide.reshape(-1).take(parts)
        unclear = np.flatnonzero(tokens == self._several)
        for start in range(0, len(unclear), _AT_ONCE):
            some = unclear[start : start + _AT_ONCE]
            of = slots[some]
            wanted = uniform(numbers[some]) * self._totals[of]
            tokens[some] = (self._sums.take(of, axis=0) <= wanted[:, None]).sum(axis=1)
        return tokens

    def _guides(self, sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The token of each part of the random numbers (S, parts), or that there are several."""

        def edge_of(part: np.ndarray) -> np.ndarray:
            """The least number of a part, as it is compared with the sums."""
            return (part / PARTS) * totals[:, None]

        # The first part whose edge is no less than each sum, at first but for rounding: there, it is passed by.
        part = np.clip(np.ceil(sums / totals[:, None] * PARTS), 0, PARTS + 1)
        part += (part <= PARTS) & (edge_of(part) < sums)
        part -= (part > 0) & (edge_of(part - 1) >= sums)
        ends = np.minimum(part, PARTS).astype(np.int64)
        tokens = np.broadcast_to(np.arange(self._size, dtype=self._guide.dtype), sums.shape)
        guides = np.repeat(tokens.ravel(), np.diff(ends, axis=1, prepend=0).ravel())
        # In the part before it is passed by, it may be or not.
        ends += np.arange(len(sums))[:, None] * PARTS - 1
        guides[ends[(part > 0) & (part <= PARTS)]] = self._several
        return guides.reshape(-1, PARTS)
