"""The longest match of a regular expression at a place of a text, in a time nobody can blow up.

Python's own `re` goes back and tries again: ten characters of a pattern can keep it busy for years, and a pattern
may come with a stranger's run. An automaton reads on only. Its sets of `positions` become states as they are first
met (Thompson 1968, "Regular expression search algorithm").

Of several matches at a place the longest is taken, as programs that cut programming languages into words do.
"""

from __future__ import annotations

from .positions import Positions
from .reading import read

LONGEST_TOKEN = 100
"""A match has so many characters at most: so many steps for each character of a text, whatever it is."""
MOST_STEPS = 1 << 16
"""So many steps from state to state are remembered, and characters; after that they are found anew."""


class _State:
    """After some characters: the positions that may come next, whether a match ends here, states by character."""

    __slots__ = ("following", "matched", "next")

    def __init__(self, following: int, matched: bool) -> None:
        self.following, self.matched = following, matched
        self.next: dict[str, _State] = {}


class Longest:
    """Finds the longest matches of an expression. ValueError says what is wrong with it."""

    def __init__(self, expression: str) -> None:
        self._of = Positions(read(expression))
        self._forget()

    def cut(self, text: str) -> list[str]:
        """The text from match to match; what none begins is a piece of one character."""
        pieces, start = [], 0
        while start < len(text):
            one = text[start]
            state = self._start.next.get(one) or self._step(self._start, one)
            end = self._end(text, start, state) if state.following else start + 1  # mostly nothing can follow
            pieces.append(text[start:end])
            start = end
        return pieces

    def _end(self, text: str, start: int, state: _State) -> int:
        """Where the longest match from a place ends, after whose character the state is this; or the next place."""
        end = start + 1
        for place in range(start + 1, min(len(text), start + LONGEST_TOKEN)):
            one = text[place]
            state = state.next.get(one) or self._step(state, one)
            if state.matched:
                end = place + 1
            if not state.following:
                break
        return end

    def _step(self, state: _State, one: str) -> _State:
        if self._steps >= MOST_STEPS:
            self._forget()
        self._steps += 1
        if one not in self._fitting:
            self._fitting[one] = self._of.fitting(one)
        here = state.following & self._fitting[one]
        if here not in self._states:
            self._states[here] = _State(*self._of.reached(here))
        state.next[one] = self._states[here]
        return self._states[here]

    def _forget(self) -> None:
        self._states: dict[int, _State] = {}
        self._fitting: dict[str, int] = {}
        self._start, self._steps = _State(*self._of.start()), 0
