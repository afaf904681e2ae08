"""The positions of a regular expression, which an automaton is at, and which of them come after which.

They are Glushkov's (1961, "The abstract theory of automata"): the places for a character in the expression whose
repetitions are written out. After some characters an automaton is at all positions that the last one may have
been; a set of positions is a whole number with a bit for each. `^` and `$` are positions too, which hold no
character: one gets past them without, before the first character and after the last.
"""

from __future__ import annotations

from .trees import Alternation, Concatenation, Place, Repetition, Symbol, Tree

Reached = tuple[int, bool]
"""After some characters: the positions that the next may be, and whether a match may end here."""


class Positions:
    """Those of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._symbols: list[Symbol] = []
        self._after: list[int] = []
        self._empty, self._first, self._last = self._built(tree)
        self._starts, self._ends = (self._where(place) for place in Place)

    def start(self) -> Reached:
        """Give what is reached before the first character."""
        following, matched = self._reached(self._past(self._first, self._starts), 0)
        # Where nothing is read, its end is at its start.
        nothing = self._past(self._first, self._starts | self._ends) & (self._starts | self._ends)
        return following, matched or self._empty or bool(nothing & self._last)

    def reached(self, here: int) -> Reached:
        """Give what is reached once a character may have been any of some positions."""
        return self._reached(self._all_after(here), here)

    def fitting(self, one: str) -> int:
        """Give the positions that a character may be."""
        alike = {
            symbol: not isinstance(symbol, Place) and symbol.fullmatch(one) is not None
            for symbol in dict.fromkeys(self._symbols)
        }
        return sum(1 << at for at, symbol in enumerate(self._symbols) if alike[symbol])

    def _where(self, place: Place) -> int:
        return sum(1 << at for at, symbol in enumerate(self._symbols) if symbol is place)

    def _reached(self, following: int, here: int) -> Reached:
        ended = here | self._past(following, self._ends) & self._ends
        return following & ~(self._starts | self._ends), bool(ended & self._last)

    def _past(self, following: int, places: int) -> int:
        """Add what comes after some places to the positions that may come next."""
        passed = 0
        while left := following & places & ~passed:
            passed |= left
            following |= self._all_after(left)
        return following

    def _all_after(self, here: int) -> int:
        following = 0
        while here:
            at = here.bit_length() - 1
            following |= self._after[at]
            here ^= 1 << at
        return following

    def _built(self, tree: Tree) -> tuple[bool, int, int]:
        """Number the positions of a part: whether it may be nothing, and where it may begin and end."""
        match tree:
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
            case symbol:
                self._symbols.append(symbol)
                self._after.append(0)
                here = 1 << (len(self._symbols) - 1)
                return False, here, here

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
        while before:
            at = before.bit_length() - 1
            self._after[at] |= after
            before ^= 1 << at
