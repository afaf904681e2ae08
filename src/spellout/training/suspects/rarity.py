"""How rare something is among the lines of a list, as a surprise in nats: what different signs are compared by.

A sign that many lines have tells nothing, whatever it is. So each becomes minus the logarithm of the share of lines
that have it as strongly; of a measured sign, where the strongest would be rarer than any share, its tail is taken
to fall exponentially beyond the upper quartile (peaks over a threshold, Pickands 1975). Median excesses fit it,
which wrong lines hardly move.

    L lines
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

_TAIL = 0.25


def of_values(values: Sequence[Hashable]) -> np.ndarray:
    """Give the surprise (L,) of a value as rare as each, among the values of all lines."""
    times = Counter(values)
    ascending = np.array(sorted(times.values()))
    rarer = np.cumsum(ascending)  # lines with values of so few lines
    counts = np.array([times[value] for value in values])
    return -np.log((rarer[np.searchsorted(ascending, counts, side="right") - 1] - 0.5) / len(values))


def of_ranks(numbers: np.ndarray) -> np.ndarray:
    """Give the surprise (L,) of a number as high as each, among those of all lines."""
    as_high = len(numbers) - np.searchsorted(np.sort(numbers), numbers, side="left")
    return -np.log((as_high - 0.5) / len(numbers))


def of_tail(numbers: np.ndarray, narrowest: float = 1e-6) -> np.ndarray:
    """Give the surprise (L,) of a number as high as each, where the highest may be beyond all others.

    `narrowest` is the least scale that the tail is taken to have.
    """
    threshold, median = np.quantile(numbers, [1 - _TAIL, 1 - _TAIL / 2])
    scale = max((median - threshold) / np.log(2.0), narrowest)
    return np.maximum(-np.log(_TAIL) + (numbers - threshold) / scale, 0.0)


def of_ratios(ratios: np.ndarray) -> np.ndarray:
    """Give the same of the logarithms of likelihood ratios.

    Where the model is right, a ratio of t nats has a chance of e^-t at most (Wald 1945); no tail is steeper.
    """
    return of_tail(ratios, narrowest=1.0)
