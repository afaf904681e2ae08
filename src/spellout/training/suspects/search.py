"""Searches a list for lines that look wrong, of any size: a long one in parts, each of lines from everywhere in
it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest

import numpy as np

from ...data.lines import Lines
from ...errors import DataError
from .suspects import Suspect, find_suspects

MOST_TOGETHER = 1 << 20
"""Characters of lines that are judged by one another: more than that, and each line is judged by a part of them."""


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


def search(lines: Lines, most: int, advance: Callable[[float], None] = lambda done: None) -> Found:
    """Find the `most` suspicious lines of a list. `advance` hears how many lines more were judged.

    `DataError` if there is only one different line, with which nothing can be compared.
    """
    if len(lines.distinct) < 2:
        raise DataError(f"{lines.name} holds only one different line, and nothing to compare it with")
    characters = sum(map(len, lines.distinct)) + len(lines.distinct)
    parts = -(-characters // MOST_TOGETHER)
    _, first = np.unique(lines.order, return_index=True)
    times = lines.counts
    best: list[Suspect] = []
    odd, together = 0, len(lines.distinct)
    for part in range(parts):
        some = lines.distinct[part::parts]
        found = find_suspects(some, first[part::parts].tolist(), times[part::parts].tolist())
        together = min(together, len(some))
        odd += sum(one.nats > np.log(len(lines.distinct)) + np.log(len(one.reasons) + 1) for one in found)
        best = nlargest(most, [*best, *found[:most]], key=lambda one: one.nats)
        advance(float(times[part::parts].sum()))
    return Found(best, together, odd)
