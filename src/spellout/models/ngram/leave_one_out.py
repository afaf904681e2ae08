"""What a network with a prior learns from: the n-gram at every training position, without that very occurrence.

Counts that include the token to be predicted would teach the network to trust what is only memorised.
"""

from __future__ import annotations

import numpy as np

from .counts import context_columns, numbered_rows
from .model import NgramModel

_MOST_KEPT = 1 << 28  # numbers: one gibibyte of float32
_ROWS_AT_ONCE = 256
_FEW = 1 << 20
"""Of more positions, many are asked for before it pays to number all of them."""


class LeaveOneOut:
    """The prior's log-probabilities at positions of a training stream.

    Each is worked out when it is first asked for, and kept unless text and vocabulary are large. Where the same
    token follows the same context, they are the same: among names there are a third as many as positions.
    """

    def __init__(self, prior: NgramModel, stream: np.ndarray) -> None:
        self._prior = prior
        self._columns = [column[:-1] for column in context_columns(stream, max(prior.order - 1, 1))]
        self._targets = stream[1:]
        self._states = None if prior.shape is None else prior.shape.states_of(stream)[:-1]
        self._asked = 0
        self._kept: np.ndarray | None = None

    def at(self, places: np.ndarray) -> np.ndarray:
        """(N,) positions to the log-probabilities (N, V), float32, of the token that follows each."""
        rows = self._without_shape(places)
        if self._prior.shape is None or self._states is None:
            return rows
        # The factors were fitted to all positions, but each is of many.
        rows += self._prior.shape.of_tokens(self._states[places], logarithms=True)
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return rows

    def _without_shape(self, places: np.ndarray) -> np.ndarray:
        self._asked += len(places)
        if self._kept is None and self._pays():
            # Numbered in their order, so that what is worked out together is found close together.
            size = self._prior.vocabulary_size
            self._numbers, self._where = numbered_rows([*self._columns, self._targets], size)
            self._kept = np.empty((len(self._where), size), np.float32)
            self._known = np.zeros(len(self._where), bool)
        if self._kept is None:
            return self._rows(places)
        numbers = self._numbers[places]
        new = np.unique(numbers[~self._known[numbers]])  # those that nobody has asked for yet
        if new.size:
            self._kept[new] = self._rows(self._where[new])
            self._known[new] = True
        return np.take(self._kept, numbers, axis=0)

    def of_tokens(self, places: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Give the same of some tokens (T,) only: (N, T). It is worked out every time, as the tokens change.

        Where there is a shape, a number is missing that is the same for all tokens, which makes no difference to a
        softmax.
        """
        result = np.empty((len(places), len(tokens)), np.float32)
        # A few rows at a time, so that they stay in a cache, and those of one last token together.
        order = np.argsort(self._columns[0][places], kind="stable")
        for start in range(0, len(order), _ROWS_AT_ONCE):
            piece = order[start : start + _ROWS_AT_ONCE]
            columns = [column[places[piece]] for column in self._columns]
            targets = self._targets[places[piece]].astype(np.int64)
            result[piece] = self._prior.leave_one_out_rows(columns, targets, tokens)
            if self._prior.shape is not None and self._states is not None:
                states = self._states[places[piece]]
                result[piece] += self._prior.shape.of_tokens(states, logarithms=True)[:, tokens]
        return result

    def _pays(self) -> bool:
        # Numbering sorts all positions once; in a long text that is not worth it for a few steps.
        positions = self._targets.size
        fits = positions * self._prior.vocabulary_size <= _MOST_KEPT
        return fits and (positions <= _FEW or self._asked > positions // 4)

    def _rows(self, places: np.ndarray) -> np.ndarray:
        columns = [column[places] for column in self._columns]
        return self._prior.leave_one_out_rows(columns, self._targets[places].astype(np.int64)).astype(np.float32)
