"""A set of lines that keeps eight bytes of each, not the line.

A line that was never added may seem to be there, if another one has the same fingerprint of 64 bits: among a
million lines, the chance that this happens to any is three in a hundred million. What was added is always found.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_SMALLEST = 1 << 12
_FULLEST = 0.7
"""If a larger share of the places is taken, it takes long to find a free one."""


class Fingerprints:
    """A table whose places are looked at one after the other (linear probing; Knuth, vol. 3, 6.4).

    It takes 11 to 23 bytes a line.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        keys = np.fromiter(map(hash, lines), np.int64)
        keys[keys == 0] = 1  # nothing is 0
        self._fill(np.unique(keys))

    def __len__(self) -> int:
        """Count the lines."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Say how much memory it takes."""
        return self._table.nbytes

    def __contains__(self, line: str) -> bool:
        """Say whether a line was added."""
        key = hash(line) or 1
        table, mask = self._table, self._mask
        place = key & mask
        while found := table[place]:
            if found == key:
                return True
            place = (place + 1) & mask
        return False

    def add(self, line: str) -> bool:
        """Add a line, and say whether it was not there before."""
        key = hash(line) or 1
        table, mask = self._table, self._mask
        place = key & mask
        while found := table[place]:
            if found == key:
                return False
            place = (place + 1) & mask
        table[place] = key
        self._count += 1
        if self._count > self._most:
            keys = np.asarray(table)
            self._fill(keys[keys != 0])
        return True

    def _fill(self, keys: np.ndarray) -> None:
        """Make a table of different keys, with room for as many more."""
        size = _SMALLEST
        while size * _FULLEST < len(keys):
            size *= 2
        self._count, self._mask, self._most = len(keys), size - 1, int(_FULLEST * size)
        places = keys & self._mask
        order = np.argsort(places)
        keys, places = keys[order], places[order]
        # Each to its own place, or behind the one before.
        steps = np.arange(len(keys))
        places = np.maximum.accumulate(places - steps) + steps
        table = np.zeros(size, np.int64)
        inside = places < size
        table[places[inside]] = keys[inside]
        self._table = memoryview(table.data)
        place = 0
        for key in keys[~inside].tolist():  # what would be beyond the end goes on at the beginning
            while self._table[place]:
                place += 1
            self._table[place] = key
