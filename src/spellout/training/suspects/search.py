"""Searches a list for lines that look wrong, of any size: a long one in parts, each of lines from everywhere in
it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest

import numpy as np

from ...data.lines import Lines
from ...errors import DataError
from .suspects import Judge, Listed, Suspect, find_suspects
from .unseen import ByOthers

MOST_TOGETHER = 1 << 20
"""Characters of lines that are judged by one another: more than that, and each line is judged by a part of them."""

ODD = 3.0
"""A score of so many nats beyond that of one line in all has a chance of 1 in 20, for one sign."""


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        suspects: the most suspicious lines, the most suspicious first.
        together: so many different lines, at least, were judged by one another.
        odd: so many lines are odder than any line should be among so many.
    """

    suspects: list[Suspect]
    together: int
    odd: int


def parts_of(lines: Lines) -> int:
    """Say in how many parts a list is searched."""
    return -(-(sum(map(len, lines.distinct)) + len(lines.distinct)) // MOST_TOGETHER)


def search(
    lines: Lines, most: int, advance: Callable[[float], None] = lambda done: None, judge: Judge | None = None
) -> Found:
    """Find the `most` suspicious lines of a list. `advance` hears how many lines more were judged.

    `judge` gives the surprise of every character, if counts of the other lines are not to do it.

    `DataError` if there is only one different line, with which nothing can be compared.
    """
    if len(lines.distinct) < 2:
        raise DataError(f"{lines.name} holds only one different line, and nothing to compare it with")
    parts = parts_of(lines)
    _, first = np.unique(lines.order, return_index=True)
    times = lines.counts
    by_counts, by_patterns = ByOthers(), ByOthers()
    best: list[Suspect] = []
    odd, together = 0, len(lines.distinct)
    for part in range(parts):
        here = slice(part, None, parts)
        listed = Listed(lines.distinct[here], first[here].tolist(), times[here].tolist())
        found, scores = find_suspects(listed, most, judge or by_counts, by_patterns)
        together = min(together, len(scores))
        odd += int(np.count_nonzero(scores > np.log(len(lines.distinct)) + ODD))
        best = nlargest(most, [*best, *found], key=lambda one: one.nats)
        advance(float(times[here].sum()))
    return Found(best, together, odd)
