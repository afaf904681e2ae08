"""A regular expression as an automaton: the longest match at a place of a text, in a time nobody can blow up.

Python's own `re` goes back and tries again: ten characters of a pattern can keep it busy for years, and a pattern
may come with a stranger's run. An automaton reads on only. It is Glushkov's (1961, "The abstract theory of
automata"): its positions are the places for a character in the expression, and after some characters it is at all
positions that the last one may have been. Such sets become states as they are first met (Thompson 1968, "Regular
expression search algorithm"); here a set is a whole number with a bit for each position.

Of several matches at a place the longest is taken, as programs that cut programming languages into words do.
"""

from __future__ import annotations

from .expressions import Alternation, Concatenation, Node, Repetition, Symbol, parse

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


class Automaton:
    """Finds matches of an expression. ValueError says what is wrong with it."""

    def __init__(self, expression: str) -> None:
        self._symbols: list[Symbol] = []
        self._after: list[int] = []
        _, self._first, self._last = self._built(parse(expression))
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
        if one not in self._positions:
            alike = {symbol: symbol.holds(one) for symbol in dict.fromkeys(self._symbols)}
            self._positions[one] = sum(1 << at for at, symbol in enumerate(self._symbols) if alike[symbol])
        here = state.following & self._positions[one]
        if here not in self._states:
            following, left = 0, here
            while left:
                at = left.bit_length() - 1
                following |= self._after[at]
                left ^= 1 << at
            self._states[here] = _State(following, bool(here & self._last))
        state.next[one] = self._states[here]
        return self._states[here]

    def _forget(self) -> None:
        self._states: dict[int, _State] = {}
        self._positions: dict[str, int] = {}
        self._start, self._steps = _State(self._first, False), 0

    def _built(self, node: Node) -> tuple[bool, int, int]:
        """Number the positions of a part: whether it may be nothing, and where it may begin and end."""
        match node:
            case Symbol():
                self._symbols.append(node)
                self._after.append(0)
                here = 1 << (len(self._symbols) - 1)
                return False, here, here
            case Alternation(choices):
                empty, first, last = False, 0, 0
                for choice in choices:
                    may_be_nothing, begins, ends = self._built(choice)
                    empty, first, last = empty or may_be_nothing, first | begins, last | ends
                return empty, first, last
            case Concatenation(parts):
                return self._in_a_row([self._built(part) for part in parts])
            case Repetition(part, least, most):
                built = [self._built(part) for _ in range(max(1, least) if most is None else most)]
                if most is None:
                    self._follows(built[-1][2], built[-1][1])  # the last one goes round
                return self._in_a_row([(one[0] or time >= least, *one[1:]) for time, one in enumerate(built)])

    def _in_a_row(self, parts: list[tuple[bool, int, int]]) -> tuple[bool, int, int]:
        empty, first, last = True, 0, 0
        for may_be_nothing, begins, ends in parts:
            self._follows(last, begins)
            first = first | begins if empty else first
            last = last | ends if may_be_nothing else ends
            empty = empty and may_be_nothing
        return empty, first, last

    def _follows(self, before: int, after: int) -> None:
        """Let the positions of one set come after those of another."""
        for at in range(before.bit_length()):
            if before >> at & 1:
                self._after[at] |= after
