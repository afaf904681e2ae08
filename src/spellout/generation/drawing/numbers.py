"""The random numbers of every candidate, from NumPy's Philox generator (see `sampling`)."""

from __future__ import annotations

import numpy as np

_PAGE = 32  # numbers drawn for a candidate at a time
_STEPS = 8  # of those that are made ready together: a line of a processor's cache
_BLOCK = 4  # 64-bit numbers in one step of Philox's counter


class Numbers:
    """Random numbers of 64 bits of candidates from `first` on, for each step of their lines."""

    def __init__(self, seed: int, first: int) -> None:
        self._seed, self._first = seed, first
        self._page = self._group = -1
        self._begin = 0
        self._raw = self._steps = np.zeros((0, 0), np.uint64)

    def at(self, step: int, rows: np.ndarray) -> np.ndarray:
        """Those of some candidates (N,), ascending, none of them another than at the step before."""
        group, place = divmod(step, _STEPS)
        if group != self._group:
            page, part = divmod(group, _PAGE // _STEPS)
            if page != self._page:
                # Both parts of the counter are needed: who the candidate is, and how far its line has come.
                counter = [(self._first + int(rows[0])) * (_PAGE // _BLOCK), page, 0, 0]
                source = np.random.Philox(key=self._seed, counter=counter)
                self._page, self._begin = page, int(rows[0])
                self._raw = source.random_raw((int(rows[-1]) + 1 - self._begin) * _PAGE).reshape(-1, _PAGE)
            # Numbers of one candidate stand side by side in memory, and those of one step are asked for.
            self._group, self._steps = group, self._raw[:, part * _STEPS : (part + 1) * _STEPS].T.copy()
        numbers: np.ndarray = self._steps[place].take(rows - self._begin)
        return numbers
