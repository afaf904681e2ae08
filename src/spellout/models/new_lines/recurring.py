"""Which lines of a list come again: with what chance the next line is one seen before, and which one.

Good & Turing (Good 1953, "The Population Frequencies of Species and the Estimation of Population Parameters"): take
each line out of the list and ask what the rest would have said of it. It is new to the rest if it stood there once
only, so the next line is new with the share of such lines. In the same way, how often lines come again that the
rest holds once, two or three times, four to seven times and so on, gives the share of each of these groups. Lines
of one group are likely as they were often; but those seen once are all alike in that, so the model says which of
them: its probability to a power, as it has learned them by heart, the likelier ones too. The power is fitted on
held-out training lines, by an n-gram of the others, which has learned none of them. Measured on the course's
names, 0.51 to 0.67, where 0.6 was best on the dev lines (bench/new_lines.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ngram.quick import QUICK_TOKENS, quick_ngram
from ..ngram.streams import every_kth_apart, some_lines
from .known import Known
from .trie import NOWHERE, Trie

USUAL_POWER = 0.6
HELD_OUT = 10
"""Every so-manieth line is held out for the power."""
FEWEST = 20
"""With fewer held-out lines that come again, the power is the usual one."""
PRIOR = 0.5
"""So many lines, which were never seen, are counted in every group: no chance is 0."""


@dataclass(frozen=True)
class Recurrence:
    """Says how lines come again.

    Attributes:
        chance: of the next line to be a known one.
        power: of the model's probabilities of the lines seen once.
    """

    chance: float
    power: float

    @classmethod
    def of(cls, trie: Trie, stream: np.ndarray) -> Recurrence:
        """Estimate it from the training lines alone: a stream, and the trie of those that can be known."""
        again = int(trie.times[trie.times > 1].sum())
        lines = int(np.count_nonzero(stream == 0)) - 1
        return cls((again + PRIOR) / (lines + 2 * PRIOR), fitted_power(stream, trie.vocabulary_size))

    def log_shares(self, times: np.ndarray, logs: np.ndarray | None) -> np.ndarray:
        """Divide the chance among the known lines: logarithms (L,) of shares whose sum is 1.

        `times` (L,) says how often each was seen, and `logs` (L,) what the model gives it. Without the model, lines
        seen once are equally likely.
        """
        weights = np.where(times > 1, np.log(times), 0.0 if logs is None else self.power * logs)
        groups = _group(times)
        again = np.where(times > 1, times, 0)
        events = PRIOR + np.bincount(_group(np.maximum(times - 1, 1)), again, minlength=groups.max() + 1)
        there = np.unique(groups)
        shares = np.empty(len(times))
        for group in there:
            members = groups == group
            inside = weights[members]
            shares[members] = np.log(events[group] / events[there].sum()) + inside - np.logaddexp.reduce(inside)
        return shares


def fitted_power(stream: np.ndarray, vocabulary_size: int) -> float:
    """Fit the power on held-out lines that the others hold once."""
    rest, last = every_kth_apart(some_lines(stream, QUICK_TOKENS), HELD_OUT)
    if len(last) < 2 or len(rest) < 2:
        return USUAL_POWER
    trie = Trie(rest, vocabulary_size)
    found = trie.find(last)
    found = found[(found != NOWHERE) & (trie.times[found] == 1)]
    if len(found) < FEWEST:
        return USUAL_POWER
    logs = Known.of(quick_ngram(rest, vocabulary_size), trie).lines()
    once, wanted = logs[trie.times == 1], float(logs[found].mean())
    # Where the likelihood is highest, the mean of all lines, by their shares, is that of those that came.
    low, high = 0.0, 2.0
    for _ in range(30):
        power = (low + high) / 2
        shares = np.exp(power * (once - once.max()))
        low, high = (power, high) if shares @ once < wanted * shares.sum() else (low, power)
    return power


def _group(times: np.ndarray) -> np.ndarray:
    """1 for once, 2 for two and three times, 3 for four to seven times and so on."""
    return np.frexp(times.astype(np.float64))[1].astype(np.int64)
