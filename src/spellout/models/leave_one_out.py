"""What a network with a prior learns from: the n-gram at every training position, without that very occurrence.

Counts that include the token to be predicted would teach the network to trust what is only memorised.
"""

from __future__ import annotations

import numpy as np

from .ngram import NgramModel
from .ngram_counts import context_columns

_AT_ONCE = 1 << 15
_MOST_KEPT = 1 << 28


class LeaveOneOut:
    """The prior's log-probabilities at positions of a training stream; kept, unless text and vocabulary are
    large."""

    def __init__(self, prior: NgramModel, stream: np.ndarray) -> None:
        self._prior = prior
        self._columns = [column[:-1] for column in context_columns(stream, max(prior.order - 1, 1))]
        self._targets = stream[1:].astype(np.int64)
        self._kept: np.ndarray | None = None
        if self._targets.size * prior.vocabulary_size <= _MOST_KEPT:
            starts = range(0, self._targets.size, _AT_ONCE)
            self._kept = np.concatenate([self._rows(slice(start, start + _AT_ONCE)) for start in starts])

    def at(self, places: np.ndarray) -> np.ndarray:
        """(N,) positions to the log-probabilities (N, V), float32, of the token that follows each."""
        return self._rows(places) if self._kept is None else self._kept[places]

    def _rows(self, places: np.ndarray | slice) -> np.ndarray:
        columns = [column[places] for column in self._columns]
        return self._prior.leave_one_out_rows(columns, self._targets[places]).astype(np.float32)
