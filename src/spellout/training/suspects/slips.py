"""Slips of the fingers: lines that are much likelier once two neighbouring letters change places, or one goes.

What was meant need not stand in the list, so it is not looked up but judged: by counts of other lines, the line
without the slip against the line as it stands (the noisy channel, Kernighan, Church & Gale 1990, "A spelling
correction program based on a noisy channel model").

    L lines · P positions, one for each letter and each end of a line
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.ngram.config import NgramConfig
from ...models.ngram.counts import Counts
from ...models.ngram.model import NgramModel
from .unseen import encoded

_FOLDS = 8
_ORDER = 6
_REACH = 3
"""A slip shows in so many letters from where it is, at least."""
MOST_TRIED = 1 << 18
"""Characters of lines without a slip that are judged: where the surprise is greatest."""


@dataclass(frozen=True)
class Slips:
    """What each line would be without its likeliest slip.

    Attributes:
        nats: how much likelier the line is then, the slip itself paid for, (L,); -inf where none was tried.
        meant: that line.
        told: what the slip was, in a few words.
        places: the letters it concerns, from and to, of each line.
    """

    nats: np.ndarray
    meant: list[str]
    told: list[str]
    places: list[tuple[int, int]]


@dataclass(frozen=True)
class _Try:
    line: int
    meant: str
    told: str
    cost: float
    place: tuple[int, int]


def slips(lines: Sequence[str], nats: np.ndarray) -> Slips:
    """Find them by n-grams that are trained without the lines that they judge.

    `nats` (P,) is the surprise of every letter: a slip is looked for where that is high.
    """
    found = Slips(np.full(len(lines), -np.inf), [""] * len(lines), [""] * len(lines), [(0, 0)] * len(lines))
    tries = _tries(lines, nats)
    stream, size = encoded(lines)
    codes = np.unique(np.frombuffer(("\n" + "\n".join(lines)).encode("utf-32-le", "surrogatepass"), np.uint32))
    ends = np.flatnonzero(stream == 0)
    fold = np.random.default_rng(0).permutation(len(lines)) % _FOLDS
    line_of = np.repeat(np.arange(len(lines)), np.diff(ends))
    for number in range(_FOLDS):
        here = [one for one in tries if fold[one.line] == number]
        if not here or not (fold != number).any():
            continue
        others = stream[np.concatenate([[True], fold[line_of] != number])]
        model = NgramModel.estimate(Counts.of(others, _ORDER, size), NgramConfig(smoothing="closed-form"))
        asked = sorted({one.line for one in here})
        own = dict(zip(asked, _nats(model, [lines[one] for one in asked], codes).tolist(), strict=True))
        for one, meant in zip(here, _nats(model, [one.meant for one in here], codes).tolist(), strict=True):
            gain = own[one.line] - meant - one.cost
            if gain > found.nats[one.line]:
                found.nats[one.line], found.meant[one.line] = gain, one.meant
                found.told[one.line], found.places[one.line] = one.told, one.place
    return found


def _tries(lines: Sequence[str], nats: np.ndarray) -> list[_Try]:
    """List what lines would be without a slip, where the surprise is the greatest first, as many as are tried."""
    lengths = np.array([len(line) for line in lines])
    ends = np.cumsum(lengths + 1) - 1
    line_of = np.repeat(np.arange(len(lines)), lengths + 1)
    places = np.arange(len(nats))
    sums = np.concatenate([[0.0], np.cumsum(nats)])
    costs = np.log(2.0 * lengths)
    near = sums[np.minimum(places + _REACH, ends[line_of] + 1)] - sums[:-1] - costs[line_of]
    near[places >= ends[line_of] - 1] = 0.0  # a slip takes two letters
    order = np.argsort(-near, kind="stable")
    order = order[near[order] > 0]
    order = order[np.cumsum(lengths[line_of[order]]) <= MOST_TRIED]
    tries = []
    for number, place in zip(
        line_of[order].tolist(), (order - (ends - lengths)[line_of[order]]).tolist(), strict=True
    ):
        line, cost = lines[number], float(costs[number])
        first, second = line[place], line[place + 1]
        if first != second:
            meant, told = line[:place] + second + first + line[place + 2 :], f"with {second + first} swapped"
            tries.append(_Try(number, meant, told, cost, (place, place + 2)))
            continue
        for many in (1, 2):
            if line[place : place + 1 + many] == first * (1 + many):
                meant, where = line[:place] + line[place + many :], (place, place + 1 + many)
                tries.append(_Try(number, meant, f"with {first} doubled", cost, where))
    return tries


def _nats(model: NgramModel, lines: Sequence[str], codes: np.ndarray) -> np.ndarray:
    """Give minus the log-probability of each line; `codes` are the characters that have tokens, in order."""
    text = np.frombuffer(("\n" + "\n".join(lines) + "\n").encode("utf-32-le", "surrogatepass"), np.uint32)
    stream, end = np.searchsorted(codes, text), int(np.searchsorted(codes, 10))
    stream = np.where(stream == end, 0, np.where(stream < end, stream + 1, stream)).astype(np.int64)
    ends = np.flatnonzero(stream == 0)
    return -np.add.reduceat(model.score(stream[None, :-1], stream[None, 1:])[0], ends[:-1])
