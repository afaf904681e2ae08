"""How surprising every letter of a list is to counts of the *other* lines.

A model that has learned a line finds nothing odd in it. So each line is scored by modified Kneser–Ney counts (Chen
& Goodman 1998) from which that whole line is taken away, exactly and without a second training: at the longest
context the line's own occurrences, and below it, where different older tokens are counted, those n-grams that stand
in no other line. Leaving out letter by letter (`models/ngram/leave_one_out.py`) would not do: what a line holds
twice would vouch for itself. The order under which unseen lines are likeliest is taken.

    P positions, one for each letter and each end of a line · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


class ByOthers:
    """Gives the surprise of every character of lines by counts of the others; the order is found with the first."""

    def __init__(self) -> None:
        self.order: int | None = None

    def __call__(self, lines: Sequence[str]) -> np.ndarray:
        """Give minus the log-probability of every character and end of the lines, (P,)."""
        found = unseen(*encoded(lines), self.order)
        self.order = found.order
        return found.nats


@dataclass(frozen=True)
class _Depth:
    """The n-grams of one length, and where those of the positions stand in them.

    Attributes:
        level: contexts and what followed them.
        contexts, entries: the context and the entry of each position, (P,).
        same_context, same_entry: a number for each pair of a line and a context or entry, (P,).
        times: how often the entry stands in the position's own line, (P,); 0 where a line is too short for one.
    """

    level: Level
    contexts: np.ndarray
    entries: np.ndarray
    same_context: np.ndarray
    same_entry: np.ndarray
    times: np.ndarray

    @property
    def only_here(self) -> np.ndarray:
        """Say where an n-gram stands in no other line, (P,) bool."""
        return (self.times > 0) & (self.times == self.level.counts_of(self.entries))


def encoded(lines: Sequence[str]) -> tuple[np.ndarray, int]:
    """Give the stream `0 line 0 line 0`, a token for every different character, and how many these are.

    The boundary is one of them.
    """
    text = "\n" + "\n".join(lines) + "\n"
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    different, stream = np.unique(codes, return_inverse=True)
    place = int(np.searchsorted(different, 10))
    moved = np.where(stream == place, 0, np.where(stream < place, stream + 1, stream))
    return moved.astype(np.min_scalar_type(len(different))), len(different)


def unseen(stream: np.ndarray, vocabulary_size: int, order: int | None = None) -> Unseen:
    """Score the lines of a stream `0 line 0 line 0`, each by the others, by the best order or the one given."""
    best: Unseen | None = None
    for n, nats in by_order(stream, vocabulary_size):
        if order is not None and n < order:
            continue
        one = Unseen(nats(), n)
        if best is None or one.nats.sum() < best.nats.sum() - 1.0:  # one nat in all is no accident
            best = one
        if n == order or n - best.order == WORSE_IN_A_ROW:
            break
    if best is None:  # no line is long enough for that order
        return unseen(stream, vocabulary_size)
    return best


def by_order(stream: np.ndarray, vocabulary_size: int) -> Iterator[tuple[int, Callable[[], np.ndarray]]]:
    """Give what n-grams of rising order say, if asked, as they share most of the work."""
    lengths = np.diff(np.flatnonzero(stream == 0))
    lines = np.repeat(np.arange(len(lengths)), lengths)
    targets = stream[1:].astype(np.int64)
    shorter, below, newer = np.full(len(targets), 1.0 / vocabulary_size), None, stream[:0]
    for n, column in enumerate(islice(back_in_time(stream), HIGHEST_ORDER), 1):
        table = Counts.of(stream, n, vocabulary_size)
        level = longest_level(table)
        if not len(level.keys):  # no line is so long
            return
        here = _depth(level, below, newer, targets, lines)
        if below is not None:
            lower = replace(below.level, counts=longest_level(table.continuations()).counts)
            shorter = _interpolated(lower, below, _different(below, here), shorter)

        def nats(level: Level = level, here: _Depth = here, shorter: np.ndarray = shorter) -> np.ndarray:
            return -np.log(_interpolated(level, here, here.times, shorter))

        yield n, nats
        below, newer = here, column[:-1]


def _depth(level: Level, below: _Depth | None, newer: np.ndarray, targets: np.ndarray, lines: np.ndarray) -> _Depth:
    """Find the n-grams of all positions, one token longer than those `below`; `newer` is that token of each."""
    none = np.zeros(len(targets), np.int64)
    contexts = none if below is None else level.find_contexts(below.contexts, newer)
    entries = level.find_entries(contexts, targets)
    same_context, _ = _paired(lines, contexts, len(level.keys))
    same_entry, times = _paired(lines, entries, len(level.counts))
    return _Depth(level, contexts, entries, same_context, same_entry, np.where(entries >= 0, times, 0))


def _different(below: _Depth, here: _Depth) -> np.ndarray:
    """Count how many different n-grams of a line, of those that no other line has, end in each of its shorter ones.

    (P,) so much of a shorter one's count of older tokens is the line's own. At the beginning of a line there is no
    older token, and occurrences are counted.
    """
    starts = (here.contexts < 0) & (below.times > 0)  # nothing stands before these
    share = np.where(starts, 1.0, here.only_here / np.maximum(here.times, 1))
    own = np.bincount(below.same_entry, share)[below.same_entry]
    return np.where(below.times > 0, np.rint(own).astype(np.int64), 0)


def _interpolated(level: Level, at: _Depth, times: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Mix what a level has counted in other lines with what shorter contexts say: (P,) probabilities.

    Of each position's entry, `times` (P,) in its count are its own line's.
    """
    amounts = closed_form([level]).amounts[0]
    before = level.counts_of(at.entries)
    counts = before - times
    taken = amounts[np.minimum(counts, 3)]
    # Each entry of a line's context counts once, however often it stands there.
    share = 1.0 / np.maximum(at.times, 1)
    less = np.bincount(at.same_context, times * share)[at.same_context]
    lighter = np.bincount(at.same_context, (amounts[np.minimum(before, 3)] - taken) * share)[at.same_context]
    totals = level.totals[at.contexts] - less
    mass = (level.kinds @ amounts)[at.contexts] - lighter
    alone = (totals < 0.5) | (at.contexts < 0)  # nobody else has this context: the shorter one decides
    mixed = counts - taken + mass * shorter
    return np.where(alone, shorter, mixed / np.where(alone, 1.0, totals))


def _paired(lines: np.ndarray, things: np.ndarray, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the pairs of a line and a thing in it (P,), and count how often each stands there (P,)."""
    _, pairs, times = np.unique(lines * (kinds + 1) + things + 1, return_inverse=True, return_counts=True)
    return pairs, times[pairs]
