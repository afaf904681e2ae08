"""Drawing tokens where what a model says is what it says in a context, times a factor for each class of tokens.

Contexts have tables, and so have the factors; pairs of both, many times as many, have none. Tokens of one class
that follow each other in the vocabulary are a run, in which a context's probabilities keep their proportions: a
random number that falls into a run is moved to where it would have fallen without the factors, and the context's
guide says the token there.

That token must be the one that the sums of the products give, to the last bit. So the guide, and then the sums, say
a token only where no other one is nearer than any rounding. Who is that near, one in millions of draws, has the
products worked out as the model does; and so has who falls to a class with a very small factor, where all is near.

    N lines · C slots of contexts · S states of the shape · R runs · V vocabulary
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ...models.automata.apart import Apart
from ...uniform import uniform
from .choices import PARTS, grown, inverted
from .tables import Tables, Weights

NEAR = 1e-8
"""In shares of the whole: many times what the factors and the sums are rounded by, and less than half a part."""
_SMALL = 1e-3
"""Below that share of the largest one, a factor is too small to divide by."""
_FAR = 1e200
MOST_RUNS = 8
"""Each run takes time; with more of them, tables of pairs are faster."""
COLDEST = 0.1
"""At lower temperatures, the products are rounded by more."""


def runs_of(classes: np.ndarray) -> np.ndarray:
    """Where runs of tokens of one class begin, (R,)."""
    return np.flatnonzero(np.diff(classes.astype(np.int64), prepend=-1))


class RunChoices:
    """Of each slot: the share of every run, where it begins, the sums of all shares, and their guide."""

    def __init__(self, begins: np.ndarray, vocabulary_size: int) -> None:
        self._begins, self._several = begins, vocabulary_size
        self.shares = [np.zeros(0) for _ in begins]
        self.starts = [np.zeros(0) for _ in begins]
        self._sums = np.zeros((0, vocabulary_size))
        self._guide = np.zeros((0, PARTS), np.min_scalar_type(vocabulary_size))

    def make_room(self, used: int, room: int) -> None:
        """Have room for so many slots, and keep the first."""
        self.shares, self.starts = (
            [grown(one, used, room) for one in several] for several in (self.shares, self.starts)
        )
        self._sums, self._guide = grown(self._sums, used, room), grown(self._guide, used, room)

    def put(self, slots: np.ndarray, weights: np.ndarray) -> None:
        """Keep the weights (N, V) of some slots (N,)."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        sums = np.cumsum(shares, axis=1)
        of_runs = np.add.reduceat(shares, self._begins, axis=1)
        for run, begin in enumerate(self._begins.tolist()):
            self.shares[run][slots] = of_runs[:, run]
            self.starts[run][slots] = sums[:, begin - 1] if begin else 0.0
        self._sums[slots], self._guide[slots] = sums, self._guides(sums)

    def tokens(self, slots: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The token at each place (N,) among the sums, and which (M,) of them are too near to another one."""
        parts = np.minimum(places * PARTS, PARTS - 1).astype(np.int64)
        parts += slots * PARTS
        tokens = self._guide.reshape(-1).take(parts)
        some = np.flatnonzero(tokens == self._several)
        sums, places = self._sums.take(slots[some], axis=0), np.minimum(places[some], 1.0)[:, None]
        passed = (sums <= places - NEAR).sum(axis=1)
        tokens[some] = passed
        return tokens, some[passed != (sums <= places + NEAR).sum(axis=1)]

    def _guides(self, sums: np.ndarray) -> np.ndarray:
        """The token of each part (N, parts), or that there are several in it or near it."""
        ends = np.minimum(np.ceil(sums * PARTS), PARTS).astype(np.int64)
        ends[:, -1] = PARTS
        tokens = np.broadcast_to(np.arange(self._several, dtype=self._guide.dtype), sums.shape)
        guides = np.repeat(tokens.ravel(), np.diff(ends, axis=1, prepend=0).ravel()).reshape(-1, PARTS)
        rows = np.arange(len(sums))[:, None]
        for moved in (-NEAR, NEAR):
            guides[rows, np.clip((sums + moved) * PARTS, 0, PARTS - 1).astype(np.int64)] = self._several
        return guides


class ShapedTables:
    """Tables (see `tables.Tables`) whose slots are one of a context and a state of the shape."""

    def __init__(
        self, apart: Apart, prefix: np.ndarray, banned: list[int], weigh: Weights, temperature: float
    ) -> None:
        self._apart, self._banned, self._weigh, self._prefix = apart, banned, weigh, prefix
        shape, self._size = apart.shape, apart.vocabulary_size
        begins = runs_of(shape.classes)
        self._bits = len(shape.factors).bit_length()
        self._next = shape.following[:, shape.classes].reshape(-1).astype(np.int64)
        # In states that are whole, the factors are 1: these stand below the others.
        logs = shape.log_factors[:, shape.classes[begins]] * (apart.power / temperature)
        factors = np.exp(logs - logs.max(axis=1, keepdims=True))
        factors = np.concatenate([factors, np.ones_like(factors)])
        inverse = np.where(factors < _SMALL, _FAR, 1 / np.maximum(factors, _SMALL))
        self._factors, self._inverse = factors.T.copy(), inverse.T.copy()
        self._tables = Tables(apart, prefix, banned, weigh, partial(RunChoices, begins))

    def start(self) -> int:
        """Where the lines that are drawn begin, for now."""
        shape = 0
        for token in self._prefix.tolist():
            shape = int(self._next[shape * self._size + token])
        return self._tables.start() << self._bits | shape

    def tokens(self, slots: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """One token for each slot (N,) and random number of 64 bits (N,), of which the lowest 11 do not count."""
        contexts, shapes = slots >> self._bits, slots & ((1 << self._bits) - 1)
        choices, rows = self._tables.choices, shapes
        if self._apart.whole:
            rows = shapes + (self._tables.states[contexts] < self._apart.whole) * len(self._apart.shape.factors)
        total, before = np.zeros(len(slots)), []
        for shares, factors in zip(choices.shares, self._factors, strict=True):
            before.append(total)
            total = total + shares.take(contexts) * factors.take(rows)
        wanted = uniform(numbers) * total
        places = wanted * self._inverse[0].take(rows)
        for run in range(1, len(before)):
            moved = wanted - before[run]
            there = moved >= 0
            moved *= self._inverse[run].take(rows)
            moved += choices.starts[run].take(contexts)
            np.copyto(places, moved, where=there)
        tokens, near = choices.tokens(contexts, places)
        if len(near):
            tokens[near] = self._worked_out(contexts[near], shapes[near], numbers[near])
        return tokens

    def after(self, slots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The slots of the states that tokens (N,), no boundaries, lead to."""
        shapes = slots & ((1 << self._bits) - 1)
        shapes *= self._size
        shapes += tokens
        found = self._tables.after(slots >> self._bits, tokens)
        found <<= self._bits
        found |= self._next.take(shapes)
        return found

    def _worked_out(self, contexts: np.ndarray, shapes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The tokens, from what the model says in each pair."""
        begun = contexts == self._tables.start() if not len(self._prefix) else np.zeros(len(contexts), bool)
        pairs = self._apart.paired(self._tables.states[contexts], shapes)
        tokens = np.zeros(len(contexts), np.int64)
        for these, banned in ((begun, [0, *self._banned]), (~begun, self._banned)):
            if these.any():
                weights = self._weigh(self._apart.pairs.rows(pairs[these]), banned)
                tokens[these] = inverted(weights, uniform(numbers[these]))
        return tokens
