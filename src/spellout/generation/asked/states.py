"""An n-gram as an automaton: its states are the contexts that were seen, and every token leads to the next one.

After a line the model knows what the longest context says that was seen, so that is the state. Where a token was
seen after a context, the next state is listed; where it was not, the next one is that of the shorter context. So is
the probability, but for the weight of the shorter context (see `models/ngram`). A sum over all tokens then is a sum
over those that were seen, and the shorter context's sum less what was in it of these: the cost is that of the
entries, not of the states times the vocabulary.

Each probability may be taken to a power (see `models/new_lines/sharpness`), which changes the weights alone.

Some n-grams also have factors on the classes of tokens, by the state of an automaton that follows the shape of a
line. With the automaton of what was asked, that is one automaton again, so they are conditioned as exactly.

    S contexts of all lengths · E entries · V tokens
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.ngram.level import walk
from ...models.ngram.model import NgramModel
from ...models.shape.automaton import Shape
from .automaton import Automaton


class States:
    """The contexts of an n-gram, one length after the other, and what is known of each.

    Attributes:
        model: the n-gram.
        first: where the contexts of each length begin, and S.
        power: that each probability is taken to.
    """

    def __init__(self, model: NgramModel, power: float = 1.0) -> None:
        if not model.interpolated:
            raise ValueError("the model does not mix its shorter contexts in")
        self.model, self.power = model, power
        levels, size = model.levels, model.vocabulary_size
        self.first = np.concatenate([[0], np.cumsum([len(level.keys) for level in levels])])
        self._bottom = size**-power  # of a token that no line holds, before weights
        self._levels: list[_Entries] = []
        columns: list[np.ndarray] = []
        for depth, level in enumerate(levels):
            suffixes, oldest = np.divmod(level.keys.astype(np.int64), size)
            columns = [column[suffixes] for column in columns] + ([oldest] if depth else [])
            owners = np.repeat(np.arange(len(level.keys)), np.diff(level.offsets))
            tokens = level.tokens.astype(np.int64)
            followed = walk(levels, [tokens, *(column[owners] for column in columns)])
            after = np.zeros(len(tokens), np.int64)
            for length, ids in enumerate(followed):
                after = np.where(ids >= 0, self.first[length] + ids, after)
            amounts, concentration = model.discounts.amounts[depth], model.discounts.concentrations[depth]
            total = level.totals + concentration
            weight = (level.kinds @ amounts + concentration) / total
            chances = (level.counts - amounts[np.minimum(level.counts, 3)]) / total[owners]
            if depth:
                shorter = levels[depth - 1].find_entries(suffixes[owners], tokens)
                if (shorter < 0).any():
                    raise ValueError("a token was seen after a context and not after a shorter one")
                chances += weight[owners] * self._levels[-1].chances[shorter]
            else:
                shorter = np.zeros(0, np.int64)
                chances += weight[owners] / size
            starts = level.offsets[:-1].astype(np.int64)
            self._levels.append(_Entries(starts, tokens, after, chances, shorter, weight**power, suffixes))
        for entries in self._levels:
            entries.chances **= power
        everything, first = np.arange(size), self._levels[0].tokens
        nowhere = [(tokens, np.zeros_like(tokens)) for tokens in (everything, first)]
        self.edges = nowhere + [(entries.tokens, entries.after) for entries in self._levels]
        """Tokens (E,), and the states (E,) that they lead to: all of them where no context was seen, those that any
        line has there, and what was seen after contexts of each length."""
        self.totals = np.ones(len(self))
        if power != 1.0:  # what all tokens have together is no longer 1
            self.totals = self.sums([np.ones(len(tokens)) for tokens, _ in self.edges])

    def __len__(self) -> int:
        """Count the contexts."""
        return int(self.first[-1])

    def sums(self, values: list[np.ndarray]) -> np.ndarray:
        """Add up, in every state, weight times value of every token: (S, ...).

        There is a value (E, ...) for each of the `edges`. Weights are probabilities, to the power; of these
        `totals` are the sums.
        """
        shorter = (self._bottom * values[0].sum(axis=0))[None]
        lost = self._bottom * values[1]
        parts: list[np.ndarray] = []
        for entries, here in zip(self._levels, values[2:], strict=True):
            if parts:
                before = values[1 + len(parts)]
                lost = entries.of(self._levels[len(parts) - 1].chances, before)[entries.shorter]
            seen = np.add.reduceat(entries.of(entries.chances, here), entries.starts, axis=0)
            gone = np.add.reduceat(lost, entries.starts, axis=0)
            # What is not seen after a context is what is left of the shorter one; rounding must not make it less
            # than nothing.
            left = np.maximum(shorter[entries.suffixes] - gone, 0.0)
            parts.append(seen + entries.of(entries.weights, left))
            shorter = parts[-1]
        return np.concatenate(parts)

    def reader(self, lines: int) -> StatesReader:
        """Give a reader of so many lines that tells where tokens lead."""
        return StatesReader(self, lines)


@dataclass
class _Entries:
    """What was seen after contexts of one length (see `models/ngram/level`).

    Attributes:
        starts: (C,) the first entry of each context.
        tokens, after: (E,) the token of each entry, and the state that it leads to.
        chances: (E,) of each token, to the power.
        shorter: (E,) the entry of the same token after the shorter context.
        weights: (C,) of the shorter context, to the power.
        suffixes: (C,) the shorter context, among those of its length.
    """

    starts: np.ndarray
    tokens: np.ndarray
    after: np.ndarray
    chances: np.ndarray
    shorter: np.ndarray
    weights: np.ndarray
    suffixes: np.ndarray

    @staticmethod
    def of(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Multiply weights (N,) and values (N, ...)."""
        return weights.reshape(-1, *[1] * (values.ndim - 1)) * values


class StatesReader:
    """The states that many lines have reached; it reads a token of each at a time."""

    def __init__(self, states: States, lines: int) -> None:
        self._states = states
        self._columns = [np.zeros(lines, np.int64) for _ in range(max(states.model.order - 1, 1))]
        self.here = np.zeros(lines, np.int64)
        """The state (B,) of every line."""

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Take the next token of every line (B,); give the state (B, V) that each token would lead to."""
        states, size = self._states, self._states.model.vocabulary_size
        self._columns = [tokens, *self._columns[:-1]]
        contexts = states.model.contexts_of(self._columns)
        after = np.zeros((len(tokens), size), np.int64)
        self.here = np.zeros(len(tokens), np.int64)
        for first, level, entries, ids in zip(
            states.first, states.model.levels, states._levels, contexts, strict=False
        ):
            places = np.flatnonzero(ids >= 0)
            self.here[places] = first + ids[places]
            owners, seen = level.entries_of(ids[places])
            after.reshape(-1)[places[owners] * size + entries.tokens[seen]] = entries.after[seen]
        return after

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._columns = [column[rows] for column in self._columns]


def with_shape(automaton: Automaton, shape: Shape, power: float = 1.0) -> tuple[Automaton, np.ndarray]:
    """Give the automaton of both, and the gains (Q, V) of tokens in its states, to a power. OverflowError if that
    takes too many states."""
    classes = shape.classes.astype(np.int64)
    table = np.concatenate(
        [np.zeros((1, len(classes)), np.int32), 1 + shape.following[:, classes].astype(np.int32)]
    )
    follower = Automaton(table, np.arange(len(table)) > 0, 1)
    both, states = automaton.product(follower)
    factors = np.concatenate([np.ones((1, shape.factors.shape[1])), shape.factors])
    return both, factors[states][:, classes] ** power
