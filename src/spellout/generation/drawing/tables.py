"""Drawing tokens from tables of what a model says in its states, without asking it again.

One table holds what tokens are chosen by (see `choices`), another one the state that each token leads to. They grow
as states are met, are made of all states once many were, and begin anew when they are full.

    N lines · S slots of the tables · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np

from ...models.automata.automaton import Automaton
from .choices import Choices, grown

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


class Kept(Protocol):
    """What is kept of the weights of every slot, to choose tokens by."""

    def make_room(self, used: int, room: int) -> None:
        """Have room for so many slots, and keep the first."""
        ...

    def put(self, slots: np.ndarray, weights: np.ndarray) -> None:
        """Keep the weights (N, V) of some slots (N,)."""
        ...


K = TypeVar("K", bound=Kept)


class Drawing(Protocol):
    """What lines are drawn from, token by token."""

    def start(self) -> int:
        """The slot where the lines that are drawn begin, for now."""
        ...

    def tokens(self, slots: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """One token for each slot (N,) and random number of 64 bits (N,), of which the lowest 11 do not count."""
        ...

    def after(self, slots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The slots of the states that tokens (N,), no boundaries, lead to."""
        ...


def slots_for(vocabulary_size: int) -> int:
    """How many states have room in the tables; 0 where too few would have for tables to pay."""
    most = _NUMBERS // vocabulary_size
    return most if most >= _FEWEST else 0


class Tables(Generic[K]):
    """The tables of one model's states.

    Lines begin with `prefix` (P,); `weigh` makes weights of log-probabilities, none of tokens that are `banned`, as
    the boundary is at the beginning of a line: no line is blank. `kept` makes what holds the choices.
    """

    def __init__(
        self,
        automaton: Automaton,
        prefix: np.ndarray,
        banned: list[int],
        weigh: Weights,
        kept: Callable[[int], K],
    ) -> None:
        self._automaton, self._prefix, self._banned, self._weigh = automaton, prefix, banned, weigh
        self._size, self._kept = automaton.vocabulary_size, kept
        self._most = slots_for(self._size)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._used = 0
        self._start: int | None = None
        # Of each state, its slot plus 1; 0 for none. What is never touched of it takes no memory.
        self._slot_of = np.zeros(self._automaton.states, np.int32)
        self.states = np.zeros(0, np.int64)  # of every slot
        self.choices = self._kept(self._size)
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

    def after(self, slots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The slots of the states that tokens (N,), no boundaries, lead to."""
        edges = slots * self._size
        edges += tokens
        targets = self._targets.reshape(-1).take(edges)
        if not targets.all():
            number = self._automaton.states
            if number // _PAYS < self._used and number < self._most:  # the start has a slot of its own
                self._work_out_all()
                return self._targets.reshape(-1).take(edges).astype(np.int64) - 1
            unknown = np.unique(edges[targets == 0])
            if self._used + len(unknown) > self._most:
                return self._moved(slots, tokens)
            states = self._automaton.after(self.states[unknown // self._size], unknown % self._size)
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
            targets = self._automaton.targets(self.states[here])
            self._targets[here] = self._slot_of[targets]

    def _moved(self, slots: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Begin the tables anew with the states that tokens lead to."""
        states = self._automaton.after(self.states[slots], tokens.astype(np.int64))
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
            self.choices.put(slots[here], self._weigh(self._automaton.rows(states[here]), banned))
        self.states[slots], self._targets[slots] = states, 0
        self._used += len(states)
        return slots

    def _make_room(self, slots: int) -> None:
        if slots <= len(self.states):
            return
        room = max(_BEGIN, 2 * len(self.states), slots)
        self.states = grown(self.states, self._used, room)
        self._targets = grown(self._targets, self._used, room)
        self.choices.make_room(self._used, room)


class StateTables(Tables[Choices]):
    """Tables that choose tokens by what the model says in each state."""

    def __init__(self, automaton: Automaton, prefix: np.ndarray, banned: list[int], weigh: Weights) -> None:
        super().__init__(automaton, prefix, banned, weigh, Choices)

    def tokens(self, slots: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """One token for each slot (N,) and random number of 64 bits (N,), of which the lowest 11 do not count."""
        return self.choices.tokens(slots, numbers)
