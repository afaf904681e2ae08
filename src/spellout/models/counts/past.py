"""What a view can look at: the last tokens, their classes, the place in the line and the line's first tokens.

Each is a column with a whole number below V for every position, and 0 where there is nothing: a context ends there
(see `ngram/counts.py`). Columns are named in one or two characters: `c3` is the third last token, `k3` its class,
`f2` the line's second token, if it was read, `place` how many tokens of the line were read.

    N positions · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..ngram.counts import Columns, context_columns
from .views import FIRST, RECENT


class Past:
    """What was read before each of N positions.

    Attributes:
        recent: the last tokens, the newest first, (N,) each, 0 beyond the start of the line.
        place: how many tokens of the line were read, (N,).
        first: the line's first tokens, (N,) each, 0 if not read yet.
    """

    def __init__(self, recent: Columns, place: np.ndarray, first: Columns) -> None:
        self.recent, self.place, self.first = recent, place, first

    @classmethod
    def of(cls, tokens: np.ndarray) -> Past:
        """Say what was read when each of `tokens` (..., T) had been, one axis of all positions."""
        recent = [column.ravel() for column in context_columns(tokens, RECENT)]
        places = np.broadcast_to(np.arange(tokens.shape[-1]), tokens.shape)
        begins = np.maximum.accumulate(np.where(tokens == 0, places, 0), axis=-1)  # where each one's line begins
        place = places - begins
        first = []
        for number in range(1, FIRST + 1):
            there = np.minimum(begins + number, tokens.shape[-1] - 1)
            first.append(np.where(place >= number, np.take_along_axis(tokens, there, axis=-1), 0).ravel())
        return cls(recent, place.ravel(), first)

    @classmethod
    def nothing(cls, lines: int) -> Past:
        """Before the first boundary of so many lines."""
        recent = [np.zeros(lines, np.int64) for _ in range(RECENT)]
        return cls(recent, np.full(lines, -1), [np.zeros(lines, np.int64) for _ in range(FIRST)])

    def read(self, tokens: np.ndarray) -> Past:
        """Say what has been read after one more token of every line (N,)."""
        going_on = tokens != 0  # nothing before a boundary is part of this line
        place = np.where(going_on, self.place + 1, 0)
        recent = [tokens, *(column * going_on for column in self.recent[:-1])]
        first = [
            np.where(place == number, tokens, column * going_on) for number, column in enumerate(self.first, 1)
        ]
        return Past(recent, place, first)

    def __getitem__(self, rows: np.ndarray | slice) -> Past:
        """Give the same at some positions only."""
        return Past([c[rows] for c in self.recent], self.place[rows], [c[rows] for c in self.first])

    def columns(self, names: tuple[str, ...], classes: np.ndarray) -> Columns:
        """Give the columns of these names, of the type of the tokens, 0 after the first that is; `classes` (V,)."""
        dtype = self.recent[0].dtype
        found: Columns = []
        for name in names:
            column = self._column(name, classes).astype(dtype, copy=False)
            if found:
                column = column * (found[-1] != 0)
            found.append(column)
        return found

    def _column(self, name: str, classes: np.ndarray) -> np.ndarray:
        if name == "place":
            return np.minimum(self.place, len(classes) - 1)
        kind, number = name[0], int(name[1:])
        column = (self.first if kind == "f" else self.recent)[number - 1]
        return classes[column] if kind == "k" else column
