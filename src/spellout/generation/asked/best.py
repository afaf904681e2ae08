"""The best of many lines: likely ones that are unlike the list and unlike each other.

Each line has three numbers from 0 to 1, and those are chosen, one after the other, of which the product is largest
(as by maximal marginal relevance, Carbonell & Goldstein 1998):

    good   which share of these lines, of those about as long, the model finds no likelier for their length
    far    how far the nearest line of the list is
    apart  how far the nearest line that is chosen already is

A distance is the number of letters to change, insert or delete (Levenshtein 1966) over the letters of the longer
line; a third of them is far enough, and counts as 1.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

ENOUGH = 1 / 3
ALIKE = 100
"""A line is compared with so many that are about as long: of lines of other lengths others are likely. What a
character more costs is taken from every surprise before, as there may not be so many of nearly the same length; so
a fragment is not better than a whole line for being short."""


def choose(lines: Sequence[str], surprises: np.ndarray, known: Sequence[str], count: int) -> list[int]:
    """Choose so many of some lines (L,), of which a model has these surprises (L,); the best one comes first."""
    values = _good(surprises, np.array([len(line) for line in lines]))
    # A line's value only falls while others are chosen, so that who is first with what is known of it, and has been
    # compared with all of these, is the best. `compared` counts them, the list as the first.
    heap = [(-value, number) for number, value in enumerate(values.tolist())]
    heapq.heapify(heap)
    apart, compared = np.ones(len(lines)), np.zeros(len(lines), np.int64)
    chosen: list[int] = []
    while heap and len(chosen) < count:
        _, number = heapq.heappop(heap)
        if compared[number] == 1 + len(chosen):
            chosen.append(number)
            continue
        if not compared[number]:
            values[number] *= _distance(lines[number], known)
            compared[number] = 1
        others = [lines[other] for other in chosen[compared[number] - 1 :]]
        apart[number] = min(apart[number], _distance(lines[number], others))
        compared[number] = 1 + len(chosen)
        heapq.heappush(heap, (-float(values[number] * apart[number]), number))
    return chosen


def _good(surprises: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rank surprises (L,) among those of lines of nearly the same lengths (L,): 1 for the smallest.

    Each is compared with what the lines' straight line (least squares) gives for its length.
    """
    values, middle = np.empty(len(lengths)), lengths - lengths.mean()
    surprises = surprises - middle * (middle @ surprises) / max(float(middle @ middle), 1.0)
    for length in np.unique(lengths):
        apart = np.abs(lengths - length)
        alike = surprises[apart <= np.sort(apart)[:ALIKE][-1]]
        here = lengths == length
        values[here] = (alike >= surprises[here][:, None]).mean(axis=1)
    return values


def _distance(line: str, others: Sequence[str]) -> float:
    """Give the distance to the nearest of some lines, where far enough is 1."""
    from rapidfuzz.distance import Levenshtein  # only who asks for the best lines waits for this import
    from rapidfuzz.process import extractOne

    scorer = Levenshtein.normalized_distance
    found = extractOne(line, others, scorer=scorer, processor=None, score_cutoff=ENOUGH)
    return 1.0 if found is None else min(1.0, float(found[1]) / ENOUGH)
