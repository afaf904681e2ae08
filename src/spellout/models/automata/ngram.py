"""The states of an n-gram model: its contexts, of all lengths.

What a model says after the beginning of a line, its longest context that was seen decides. All parts of such a
context were seen, too, so the longest one after the next token is a part of this one and that token.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..ngram.counts import Columns
from ..ngram.model import NgramModel

_PAYS = 4
"""If so-manieth part of the states was asked for, a table of all tokens after all states pays."""
_LARGEST = 1 << 24
"""Numbers of four bytes in it."""


class NgramAutomaton:
    """The contexts of all levels, numbered from the shortest to the longest (see `automaton.Automaton`)."""

    def __init__(self, model: NgramModel) -> None:
        self._model = model
        self.vocabulary_size = model.vocabulary_size
        # Where the numbers of each level's contexts begin, and all of them end.
        self._begins = np.cumsum([0, *(len(level.keys) for level in model.levels)])
        self.states = int(self._begins[-1])
        self._asked = 0

    def start(self) -> int:
        """The state after the boundary at the beginning of a line."""
        return int(self._longest([np.zeros(1, np.int64)])[0])

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states that tokens lead to."""
        self._asked += len(states)
        if self.states // _PAYS < self._asked and self.states <= _LARGEST // self.vocabulary_size:
            return self._table[states, tokens].astype(np.int64)
        size, columns = np.uint64(self.vocabulary_size), [tokens.astype(np.int64)]
        # The tokens of a context, the newest first: each is the oldest one of a part of it; -1 beyond its end.
        for level, ids in zip(self._model.levels[1:-1], self._contexts(states)[1:-1], strict=True):
            oldest = np.full(len(ids), -1)
            there = np.flatnonzero(ids >= 0)
            oldest[there] = level.keys[ids[there]] % size
            columns.append(oldest)
        return self._longest(columns)

    def all_states(self) -> np.ndarray:
        """All contexts."""
        return np.arange(self.states)

    def targets(self, states: np.ndarray) -> np.ndarray:
        """The states that all tokens lead to."""
        return self._table[states].astype(np.int64)

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states."""
        return np.log(self.chances(states))

    def chances(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states, as probabilities."""
        contexts = self._contexts(states)
        if not self._model.interpolated:
            self._only_whole(contexts)
        return self._model.distributions(contexts)

    @cached_property
    def _table(self) -> np.ndarray:
        """The states (states, V) that all tokens lead to from all states."""
        size = self.vocabulary_size
        table = np.zeros((self.states, size), np.int32)
        for depth, (level, begin) in enumerate(zip(self._model.levels, self._begins, strict=False)):
            here, keys = table[begin : begin + len(level.keys)], level.keys.astype(np.int64)
            if depth:  # what was not seen after a context leads where it leads from the shorter one
                np.take(table[self._begins[depth - 1] : begin], keys // size, axis=0, out=here, mode="clip")
            if depth + 1 == len(self._model.levels):
                break
            # Each token that was seen makes a context of one more, if anything was seen after that; it is found
            # from its own part without the oldest token, to which the token leads from the shorter context.
            contexts = np.repeat(np.arange(len(keys)), np.diff(level.offsets))
            tokens = level.tokens.astype(np.int64)
            if depth:
                shorter, oldest = here[contexts, tokens] - self._begins[depth], keys[contexts] % size
            else:
                shorter, oldest = np.zeros(len(tokens), np.int64), tokens
            found = self._model.levels[depth + 1].find_contexts(np.maximum(shorter, -1), oldest)
            there = np.flatnonzero((found >= 0) & (tokens > 0))
            here[contexts[there], tokens[there]] = self._begins[depth + 1] + found[there]
        return table

    def _longest(self, columns: Columns) -> np.ndarray:
        """The state of each context that was seen, of columns (N,), newest token first and -1 beyond the oldest."""
        ids = np.zeros(len(columns[0]), np.int64)
        states = ids.copy()
        for begin, level, column in zip(self._begins[1:], self._model.levels[1:], columns, strict=False):
            ids = np.where(column >= 0, level.find_contexts(ids, column), -1)
            states = np.where(ids >= 0, begin + ids, states)
        return states

    def _contexts(self, states: np.ndarray) -> list[np.ndarray]:
        """The id of each state's context at every level, -1 at those above its own."""
        depths = np.searchsorted(self._begins, states, side="right") - 1
        found, ids = [], np.full(len(states), -1)
        for depth in range(len(self._model.levels) - 1, -1, -1):
            # A context's key is made of the id of its suffix (see `level.py`), one level below.
            if depth + 1 < len(self._model.levels):
                there = np.flatnonzero(ids >= 0)
                suffixes = self._model.levels[depth + 1].keys[ids[there]] // np.uint64(self.vocabulary_size)
                # In a damaged file, what no line comes to may have a suffix that is not there.
                ids[there] = np.minimum(suffixes, np.uint64(max(0, len(self._model.levels[depth].keys) - 1)))
            here = depths == depth
            ids[here] = states[here] - self._begins[depth]
            found.append(ids.copy())
        return found[::-1]

    def _only_whole(self, contexts: list[np.ndarray]) -> None:
        """Without shorter contexts, leave those only that are as long as can be, in place."""
        longest, size = len(contexts) - 1, np.uint64(self.vocabulary_size)
        for depth in range(longest - 1, -1, -1):
            ids = contexts[depth]
            there = np.flatnonzero(ids >= 0)
            # Whole is what begins with a line, too: then its oldest token is the boundary.
            begun = self._model.levels[depth].keys[ids[there]] % size == 0 if depth else np.zeros(len(there), bool)
            ids[there[~begun]] = -1
