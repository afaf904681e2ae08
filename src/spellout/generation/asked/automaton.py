"""Automata over letters: for every state and letter one next state (Rabin & Scott 1959).

State 0 is the dead one, from which no line is accepted. A letter is a column of the table; which characters it may
be written as, whoever makes the automaton knows.

    Q states · A letters
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MOST_STATES = 5_000
_MOST_CELLS = 1 << 25
_LARGE = 1_000
DEAD = 0


@dataclass(frozen=True)
class Automaton:
    """A table of next states (Q, A) int32, which states accept (Q,) bool, and the state where a line begins."""

    next: np.ndarray
    accepts: np.ndarray
    start: int

    def __len__(self) -> int:
        """Count the states."""
        return len(self.next)

    @property
    def is_empty(self) -> bool:
        """Say whether no line is accepted, once it is `minimal`."""
        return self.start == DEAD

    def walk(self, letters: Iterable[int]) -> int:
        """Give the state after some letters."""
        state = self.start
        for letter in letters:
            state = int(self.next[state, letter])
        return state

    def both(self, other: Automaton) -> Automaton:
        """Accept what both accept. OverflowError if that takes too many states."""
        return self.product(other)[0]

    def product(self, other: Automaton) -> tuple[Automaton, np.ndarray]:
        """Give the automaton of both, and of each of its states (Q,) that of the other. OverflowError as above."""
        numbers = np.array([0, self.start * len(other) + other.start])
        known, frontier = numbers, numbers
        following = []
        while len(frontier):
            mine, yours = np.divmod(frontier, len(other))
            after = self.next[mine].astype(np.int64) * len(other) + other.next[yours]
            after[(self.next[mine] == DEAD) | (other.next[yours] == DEAD)] = DEAD
            following.append(after)
            new = np.setdiff1d(after, known)
            known, frontier = np.concatenate([known, new]), new
            if len(known) > MOST_STATES or len(known) * after.shape[1] > _MOST_CELLS:
                raise OverflowError
        order = np.argsort(known, kind="stable")
        table = order[np.searchsorted(known[order], np.concatenate(following))].astype(np.int32)
        mine, yours = np.divmod(known, len(other))
        start = int(np.flatnonzero(known == numbers[1])[0])
        return Automaton(table, self.accepts[mine] & other.accepts[yours], start), yours

    def everything(self) -> np.ndarray:
        """Say of each state (Q,) of tokens whether whatever follows is accepted."""
        hopes = self.accepts.copy()
        while not ((fewer := hopes & hopes[self.next[:, 1:]].all(axis=1)) == hopes).all():
            hopes = fewer
        return hopes

    def minimal(self) -> Automaton:
        """Give the automaton with the fewest states that accepts the same (Moore 1956); of a large one only those
        from which a line can be accepted."""
        columns = np.unique(self.next, axis=1)  # letters that lead the same ways are looked at once
        alive = self.accepts.copy()
        while not ((more := alive | alive[columns].any(axis=1)) == alive).all():
            alive = more
        if len(self) > _LARGE:
            classes = np.where(alive, np.cumsum(alive), DEAD)
        else:
            classes, count = np.where(alive, 1 + self.accepts, DEAD), 0
            while len(np.unique(classes)) > count:  # the dead ones are alike, and come first
                count = len(np.unique(classes))
                rows = np.column_stack([classes, classes[columns]])
                classes = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
        table = np.zeros((int(classes.max()) + 1, self.next.shape[1]), np.int32)
        accepts = np.zeros(len(table), bool)
        table[classes[alive]], accepts[classes[alive]] = classes[self.next[alive]], self.accepts[alive]
        return Automaton(table, accepts, int(classes[self.start]))

    def shortest(self) -> int | None:
        """Count the letters of the shortest line that is accepted; None if there is none."""
        here, steps = np.array([self.start]), 0
        seen = np.zeros(len(self), bool)
        while len(here):
            if self.accepts[here].any():
                return steps
            seen[here] = True
            here = np.unique(self.next[here])
            here, steps = here[~seen[here] & (here != DEAD)], steps + 1
        return None

    def tied(self) -> list[np.ndarray]:
        """Group the states other than the dead one: those that lead to each other and back are together, and
        whatever a group leads to comes before it (Tarjan 1972)."""
        after = [np.unique(row[row != DEAD]).tolist() for row in self.next]
        low: dict[int, int] = {}
        number: dict[int, int] = {}
        on: set[int] = set()
        stack: list[int] = []
        found: list[np.ndarray] = []
        for root in range(1, len(self)):
            work = [] if root in number else [(root, iter(after[root]))]
            if work:
                low[root] = number[root] = len(number)
                stack.append(root)
                on.add(root)
            while work:
                state, rest = work[-1]
                child = next(rest, None)
                if child is None:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[state])
                    if low[state] == number[state]:
                        place = stack.index(state)
                        found.append(np.array(sorted(stack[place:])))
                        on.difference_update(stack[place:])
                        del stack[place:]
                elif child not in number:
                    low[child] = number[child] = len(number)
                    stack.append(child)
                    on.add(child)
                    work.append((child, iter(after[child])))
                elif child in on:
                    low[state] = min(low[state], number[child])
        return found


def of_lengths(least: int, most: int | None, letters: int) -> Automaton:
    """Accept lines of so many letters, of which there are so many different ones."""
    last = most if most is not None else least
    table = np.repeat(np.arange(2, last + 3, dtype=np.int32)[:, None], letters, axis=1)
    table[-1] = last + 1 if most is None else DEAD
    table = np.concatenate([np.zeros((1, letters), np.int32), table])
    lengths = np.arange(-1, last + 1)
    return Automaton(table, lengths >= least, 1)
