"""How surprising every letter of a list is to counts of the *other* lines.

A model that has learned a line finds nothing odd in it. So each line is scored by modified Kneser–Ney counts (Chen
& Goodman 1998) from which that whole line is taken away, exactly and without a second training: at the longest
context the line's own occurrences, and below it, where different older tokens are counted, those n-grams that stand
in no other line. Leaving out letter by letter (`models/ngram/leave_one_out.py`) would not do: what a line holds
twice would vouch for itself. The order under which unseen lines are likeliest is taken.

    P positions, one for each letter and each end of a line · V vocabulary
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ...models.ngram.counts import Counts, back_in_time
from ...models.ngram.discounts import closed_form
from ...models.ngram.level import Level
from ...models.ngram.levels import longest_level

HIGHEST_ORDER = 12
WORSE_IN_A_ROW = 2
"""After so many orders without a gain no longer one is tried."""


@dataclass(frozen=True)
class Unseen:
    """What counts of other lines say of each position.

    Attributes:
        nats: minus the log-probability of every token, (P,) float64.
        order: the n of the n-grams, found on these lines.
    """

    nats: np.ndarray
    order: int


@dataclass(frozen=True)
class _Depth:
    """The n-grams of one length, and where those of the positions stand in them.

    Attributes:
        level: contexts and what followed them.
        contexts, entries: the context and the entry of each position, (P,); -1 if it was not counted.
        times: how often the entry stands in the position's own line, (P,); 0 in a line that was not counted.
    """

    level: Level
    contexts: np.ndarray
    entries: np.ndarray
    times: np.ndarray

    @property
    def only_here(self) -> np.ndarray:
        """Say where an n-gram stands in no other line, (P,) bool."""
        return (self.times > 0) & (self.times == self.level.counts_of(self.entries))


def unseen(stream: np.ndarray, vocabulary_size: int, counted: np.ndarray | None = None) -> Unseen:
    """Score the lines of a stream `0 line 0 line 0`, each by counts of the others.

    Those that are not `counted` (lines,) bool, if that is given, are scored by all that are.
    """
    best: Unseen | None = None
    for one in by_order(stream, vocabulary_size, counted):
        if best is None or one.nats.sum() < best.nats.sum() - 1.0:  # one nat in all is no accident
            best = one
        elif one.order - best.order == WORSE_IN_A_ROW:
            break
    assert best is not None
    return best


def by_order(stream: np.ndarray, vocabulary_size: int, counted: np.ndarray | None = None) -> Iterator[Unseen]:
    """Give what n-grams of rising order say, as they share most of the work."""
    lengths = np.diff(np.flatnonzero(stream == 0))
    lines, learned = np.repeat(np.arange(len(lengths)), lengths), stream
    if counted is not None:
        learned = stream[np.concatenate([[True], counted[lines]])]
        lines = np.where(counted[lines], lines, -1)
    targets = stream[1:].astype(np.int64)
    shorter, below, newer = np.full(len(targets), 1.0 / vocabulary_size), None, stream[:0]
    for n, column in enumerate(islice(back_in_time(stream), HIGHEST_ORDER), 1):
        table = Counts.of(learned, n, vocabulary_size)
        level = longest_level(table)
        if not len(level.keys):  # no line is so long
            return
        here = _depth(level, below, newer, targets, lines)
        if below is not None:
            lower = replace(below.level, counts=longest_level(table.continuations()).counts)
            shorter = _interpolated(lower, below, _different(below, here, lines), lines, shorter)
        yield Unseen(-np.log(_interpolated(level, here, here.times, lines, shorter)), n)
        below, newer = here, column[:-1]


def _depth(level: Level, below: _Depth | None, newer: np.ndarray, targets: np.ndarray, lines: np.ndarray) -> _Depth:
    """Find the n-grams of all positions, one token longer than those `below`; `newer` is that token of each."""
    none = np.zeros(len(targets), np.int64)
    contexts = none if below is None else level.find_contexts(below.contexts, newer)
    entries = level.find_entries(contexts, targets)
    times, _ = _grouped(lines, entries, len(level.counts))
    return _Depth(level, contexts, entries, np.where((lines >= 0) & (entries >= 0), times, 0))


def _different(below: _Depth, here: _Depth, lines: np.ndarray) -> np.ndarray:
    """Count how many different n-grams of a line, of those that no other line has, end in each of its shorter ones.

    (P,) so much of a shorter one's count of older tokens is the line's own. At the beginning of a line there is no
    older token, and occurrences are counted.
    """
    starts = here.contexts < 0  # nothing stands before these
    share = np.where(here.only_here, 1.0 / np.maximum(here.times, 1), 0.0)
    share = np.where(starts & (below.times > 0), 1.0, share)
    _, group = _grouped(lines, below.entries, len(below.level.counts))
    own = np.bincount(group, share)[group]
    return np.where(below.times > 0, np.rint(own).astype(np.int64), 0)


def _interpolated(
    level: Level, at: _Depth, times: np.ndarray, lines: np.ndarray, shorter: np.ndarray
) -> np.ndarray:
    """Mix what a level has counted in other lines with what shorter contexts say: (P,) probabilities.

    Of each position's entry, `times` (P,) in its count are its own line's.
    """
    amounts = closed_form([level]).amounts[0]
    before = level.counts_of(at.entries)
    counts = before - times
    # Each entry of a line's context counts once, however often it stands there.
    share = 1.0 / np.maximum(at.times, 1)
    _, group = _grouped(lines, at.contexts, len(level.keys))
    known = (lines >= 0) & (at.contexts >= 0)
    less = np.bincount(group, np.where(known, times * share, 0.0))[group]
    added = (amounts[np.minimum(before, 3)] - amounts[np.minimum(counts, 3)]) * share
    lighter = np.bincount(group, np.where(known, added, 0.0))[group]
    totals = level.totals[at.contexts] - np.where(known, less, 0.0)
    mass = level.kinds[at.contexts] @ amounts - np.where(known, lighter, 0.0)
    alone = (totals < 0.5) | (at.contexts < 0)  # nobody else has this context: the shorter one decides
    mixed = counts - amounts[np.minimum(counts, 3)] + mass * shorter
    return np.where(alone, shorter, mixed / np.where(alone, 1.0, totals))


def _grouped(lines: np.ndarray, things: np.ndarray, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Count for each position how often its thing stands in its line, (P,), and number the pairs of both, (P,)."""
    keys = (lines + 1) * (kinds + 1) + things + 1
    _, group, times = np.unique(keys, return_inverse=True, return_counts=True)
    return times[group], group
