"""A set of lines that keeps eight bytes of each, not the line.

A line that was never added may seem to be there, if another one has the same fingerprint of 64 bits: among a
million lines, the chance that this happens to any is three in a hundred million. What was added is always found.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_SMALLEST_BITS = 12
_FULLEST = 0.7
"""If a larger share of the places is taken, it takes long to find a free one."""


class Fingerprints:
    """A table whose places are looked at one after the other (linear probing; Knuth, vol. 3, 6.4).

    It takes 11 to 23 bytes a line.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        keys = np.fromiter(map(hash, lines), np.int64)
        keys[keys == 0] = 1  # nothing is 0
        self._fill(keys)

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
        place = (key >> self._shift) & mask
        while found := table[place]:
            if found == key:
                return True
            place = (place + 1) & mask
        return False

    def add(self, line: str) -> bool:
        """Add a line, and say whether it was not there before."""
        key = hash(line) or 1
        table, mask = self._table, self._mask
        place = (key >> self._shift) & mask
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
        """Make a table of keys, with room for more."""
        # The highest bits of a key say where its place is, so that sorted keys are in the order of their places.
        unsigned = np.sort(keys.view(np.uint64))
        unsigned = unsigned[np.append(unsigned[1:] != unsigned[:-1], True)[: len(keys)]]
        bits = _SMALLEST_BITS
        while (1 << bits) * _FULLEST < len(unsigned):
            bits += 1
        size = 1 << bits
        self._count, self._most, self._mask, self._shift = len(unsigned), int(_FULLEST * size), size - 1, 64 - bits
        # Each to its own place, or behind the one before.
        steps = np.arange(len(unsigned))
        places = np.maximum.accumulate((unsigned >> np.uint64(64 - bits)).astype(np.int64) - steps) + steps
        table, inside = np.zeros(size, np.int64), places < size
        table[places[inside]] = unsigned[inside].view(np.int64)
        self._table = memoryview(table.data)
        place = 0
        for key in unsigned[~inside].view(np.int64).tolist():  # what is beyond the end goes on at the beginning
            while self._table[place]:
                place += 1
            self._table[place] = key
