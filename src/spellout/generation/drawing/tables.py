"""Drawing tokens from tables of what a model says in its states, without asking it again.

A token is chosen by inverting the cumulative distribution, and it is the one that `sampling` chooses, to the last
bit. Which token a random number falls to, its highest bits tell in most cases: a guide table holds the token for
each value of theirs (Chen & Asau 1974, "On Generating Random Variates from an Empirical Distribution"), or that
several share it; then the number is compared with the sums. Another table holds the state that each token leads to.
They grow as states are met, are made of all states once many were, and begin anew when they are full.

    N lines · S slots of the tables · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...models.automata.automaton import Automaton
from ...uniform import uniform

GUIDE_BITS = 8
_PARTS = 1 << GUIDE_BITS
_NUMBERS = 1 << 23
"""Sums in the tables together: with the guide, about 100 megabytes."""
_FEWEST = 1 << 14
"""Tables with fewer slots would begin anew all the time."""
_AT_ONCE = 1 << 10
"""States whose tables are worked out together: so many fit into a processor's cache."""
_PAYS = 4
"""If so-manieth part of all states was met, tables of all pay."""
_BEGIN = 1 << 8

Weights = Callable[[np.ndarray, list[int]], np.ndarray]
"""Log-probabilities (N, V), and tokens never to be chosen, to weights (N, V)."""


def slots_for(vocabulary_size: int) -> int:
    """How many states have room in the tables; 0 where too few would have for tables to pay."""
    most = _NUMBERS // vocabulary_size
    return most if most >= _FEWEST else 0


class Tables:
    """The tables of one model's states.

    Lines begin with `prefix` (P,); `weigh` makes weights of log-probabilities, none of tokens that are `banned`, as
    the boundary is at the beginning of a line: no line is blank.
    """

    def __init__(self, automaton: Automaton, prefix: np.ndarray, banned: list[int], weigh: Weights) -> None:
        self._automaton, self._prefix, self._banned, self._weigh = automaton, prefix, banned, weigh
        self._size = automaton.vocabulary_size
        self._most = slots_for(self._size)
        self._several = self._size  # in the guide: more than one token has a share
        self._dtype = np.min_scalar_type(self._several)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._used = 0
        self._start: int | None = None
        # Of each state, its slot plus 1; 0 for none. What is never touched of it takes no memory.
        self._slot_of = np.zeros(self._automaton.states, np.int32)
        self._states = np.zeros(0, np.int64)
        self._sums = np.zeros((0, self._size))
        self._totals = np.zeros(0)
        self._guide = np.zeros((0, _PARTS), self._dtype)
        self._targets = np.zeros((0, self._size), np.int32)  # the slot a token leads to, plus 1; 0 if not known

    def start(self) -> int:
        """The slot of the state where the lines that are drawn begin, for now."""
        if self._start is None:
            state = np.array([self._automaton.start()])
            for token in self._prefix.tolist():
                state = self._automaton.after(state, np.array([token]))
            # At the beginning of a line, the slot is not that of the same state elsewhere.
            slots = self._slots(state) if len(self._prefix) else self._added(state, [0, *self._banned])
            self._start = int(slots[0])
        return self._start

    def tokens(self, slots: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """One token for each slot (N,) and random number of 64 bits (N,), of which the lowest 11 do not count."""
        parts = (numbers >> np.uint64(64 - GUIDE_BITS)).astype(np.int64)
        parts += slots * _PARTS
        tokens = self._guide.reshape(-1).take(parts)
        unclear = np.flatnonzero(tokens == self._several)
        for start in range(0, len(unclear), _AT_ONCE):
            some = unclear[start : start + _AT_ONCE]
            of = slots[some]
            wanted = uniform(numbers[some]) * self._totals[of]
            tokens[some] = (self._sums.take(of, axis=0) <= wanted[:, None]).sum(axis=1)
        return tokens

    def after(self, slots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The slots of the states that tokens (N,), no boundaries, lead to."""
        edges = slots * self._size
        edges += tokens
        targets = self._targets.reshape(-1).take(edges)
        if not targets.all():
            number = self._automaton.states
            if number // _PAYS < self._used < self._most - number:
                self._work_out_all()
                return self._targets.reshape(-1).take(edges).astype(np.int64) - 1
            unknown = np.unique(edges[targets == 0])
            if self._used + len(unknown) > self._most:
                return self._moved(slots, tokens)
            states = self._automaton.after(self._states[unknown // self._size], unknown % self._size)
            found = self._slots(states)
            self._targets.reshape(-1)[unknown] = found + 1
            targets = self._targets.reshape(-1).take(edges)
        return targets.astype(np.int64) - 1

    def _work_out_all(self) -> None:
        """Make tables of all states."""
        states = self._automaton.all_states()
        self._slots(states)
        for start in range(0, self._used, _AT_ONCE):
            here = slice(start, min(start + _AT_ONCE, self._used))
            targets = self._automaton.targets(self._states[here])
            self._targets[here] = self._slot_of[targets]

    def _moved(self, slots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Begin the tables anew with the states that tokens lead to."""
        states = self._automaton.after(self._states[slots], tokens.astype(np.int64))
        self._begin_anew()
        return self._slots(states)

    def _slots(self, states: np.ndarray) -> np.ndarray:
        """The slots of states (N,), which are added if they are not there yet."""
        new = np.unique(states[self._slot_of[states] == 0])
        if len(new):
            self._slot_of[new] = self._added(new, self._banned) + 1
        return self._slot_of[states].astype(np.int64) - 1

    def _added(self, states: np.ndarray, banned: list[int]) -> np.ndarray:
        """Work out the tables of different states, in new slots."""
        slots = np.arange(self._used, self._used + len(states))
        self._make_room(self._used + len(states))
        for start in range(0, len(states), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            weights = self._weigh(self._automaton.rows(states[here]), banned)
            there = slots[here]
            sums = np.cumsum(weights, axis=1)
            self._totals[there] = totals = sums[:, -1].copy()
            # Rounding can put the number drawn on the total itself: then the last token with any weight is meant.
            last = self._size - 1 - (weights[:, ::-1] > 0).argmax(axis=1)
            sums[np.arange(self._size) >= last[:, None]] = np.inf
            self._sums[there], self._guide[there] = sums, self._guides(sums, totals)
        self._states[slots], self._targets[slots] = states, 0
        self._used += len(states)
        return slots

    def _make_room(self, slots: int) -> None:
        if slots <= len(self._states):
            return
        room = max(_BEGIN, 2 * len(self._states), slots)
        for name in ("_states", "_sums", "_totals", "_guide", "_targets"):
            before = getattr(self, name)
            grown = np.zeros((room, *before.shape[1:]), before.dtype)
            grown[: self._used] = before[: self._used]
            setattr(self, name, grown)

    def _guides(self, sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The token of each part of the random numbers (S, parts), or that there are several."""

        def edge_of(part: np.ndarray) -> np.ndarray:
            """The least number of a part, as it is compared with the sums."""
            return (part / _PARTS) * totals[:, None]

        # The first part whose edge is no less than each sum, at first but for rounding: there, it is passed by.
        part = np.clip(np.ceil(sums / totals[:, None] * _PARTS), 0, _PARTS + 1)
        part += (part <= _PARTS) & (edge_of(part) < sums)
        part -= (part > 0) & (edge_of(part - 1) >= sums)
        ends = np.minimum(part, _PARTS).astype(np.int64)
        tokens = np.broadcast_to(np.arange(self._size, dtype=self._dtype), sums.shape)
        guides = np.repeat(tokens.ravel(), np.diff(ends, axis=1, prepend=0).ravel())
        # In the part before it is passed by, it may be or not.
        ends += np.arange(len(sums))[:, None] * _PARTS - 1
        guides[ends[(part > 0) & (part <= _PARTS)]] = self._several
        return guides.reshape(-1, _PARTS)
