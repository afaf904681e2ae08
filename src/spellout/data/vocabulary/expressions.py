r"""Regular expressions, read into trees: what `--tokens` understands of them.

They are written as Python writes them: characters, `.`, classes `[a-z]` and `[^...]`, `\d \w \s` and their
opposites, groups `( )` and `(?: )`, alternatives `|`, and the repetitions `* + ? {m} {m,} {m,n}`. What an automaton
cannot do, or what makes no difference where the longest match is taken, is refused by name: references to groups,
looking around, places such as `^` and `\b`, flags, and repetitions that are lazy or possessive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MOST_CHARACTERS = 1000
"""Of an expression."""
DEEPEST = 50
"""So many groups in each other at most."""
LARGEST = 500
"""So many characters an expression may match without repeating itself, as when all its {m,n} are written out."""

_CLASSES: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "w": lambda one: one.isalnum() or one == "_",
    "s": str.isspace,
}
_CONTROL = {"t": "\t", "f": "\f", "v": "\v", "a": "\a"}
_CODES = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True)
class Symbol:
    """One character: of some ranges (first and last), or of some classes such as `d` and `W`; or none of these."""

    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False

    def holds(self, one: str) -> bool:
        """Whether a character is one of them."""
        inside = any(first <= one <= last for first, last in self.ranges) or any(
            _CLASSES[name.lower()](one) == name.islower() for name in self.classes
        )
        return inside != self.negated


@dataclass(frozen=True)
class Concatenation:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Alternation:
    """One of them."""

    choices: tuple[Node, ...]


@dataclass(frozen=True)
class Repetition:
    """A part so many times at least, and at most; None: without end."""

    part: Node
    least: int
    most: int | None


Node = Symbol | Concatenation | Alternation | Repetition


def parse(expression: str) -> Node:
    """Read an expression. ValueError says in words what is wrong with it, and where."""
    if not expression:
        raise ValueError("it is empty")
    if len(expression) > MOST_CHARACTERS:
        raise ValueError(f"it is longer than {MOST_CHARACTERS:,} characters")
    node = _Parser(expression).whole()
    if size_of(node) > LARGEST:
        raise ValueError(f"its repetitions, written out, are longer than {LARGEST:,} characters")
    return node


def size_of(node: Node) -> int:
    """Count the places for characters in an expression whose repetitions are written out."""
    match node:
        case Symbol():
            return 1
        case Concatenation(parts) | Alternation(parts):
            return sum(map(size_of, parts))
        case Repetition(part, least, most):
            return size_of(part) * max(1, least if most is None else most)


class _Parser:
    """Reads from left to right, a method for each kind of thing."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._depth = text, 0, 0

    def whole(self) -> Node:
        node = self._alternatives()
        if self._place < len(self._text):
            raise self._error("a ) that no ( opens")
        return node

    def _error(self, what: str, place: int | None = None) -> ValueError:
        return ValueError(f"{what}, at character {(self._place if place is None else place) + 1}")

    def _next(self, count: int = 1) -> str:
        return self._text[self._place : self._place + count]

    def _took(self, text: str) -> bool:
        there = self._text.startswith(text, self._place)
        self._place += len(text) * there
        return there

    def _alternatives(self) -> Node:
        choices = [self._sequence()]
        while self._took("|"):
            choices.append(self._sequence())
        return choices[0] if len(choices) == 1 else Alternation(tuple(choices))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return Concatenation(tuple(parts))

    def _repeated(self, part: Node) -> Node:
        start = self._place
        counts = self._counts()
        if counts is None:
            return part
        for after in ("?", "+"):
            if self._took(after):
                raise self._error("the longest match is taken, so no repetition is lazy or possessive", start)
        if self._counts() is not None:
            raise self._error("a repetition of a repetition; put ( ) around the first", start)
        least, most = counts
        if most is not None and most < least:
            raise self._error("a repetition whose most is less than its least", start)
        if max(least, most or 0) > LARGEST:
            raise self._error(f"a repetition of more than {LARGEST:,}", start)
        # What holds no character is nothing, however often: nobody is to count that.
        return part if size_of(part) == 0 else Repetition(part, least, most)

    def _counts(self) -> tuple[int, int | None] | None:
        """How often the part before may stand here, if this is said."""
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._took(sign):
                return counts
        if self._next() != "{" or (end := self._text.find("}", self._place)) < 0:
            return None
        least, comma, most = self._text[self._place + 1 : end].partition(",")
        if not (least + most).isascii() or not (least + most).isdigit():
            return None  # then { is a character, as it is in Python
        self._place = end + 1
        least_count = int(least or 0)
        if not comma:
            return least_count, least_count
        return least_count, int(most) if most else None

    def _atom(self) -> Node:
        start, one = self._place, self._next()
        if one == "(":
            return self._group()
        if one == "[":
            return self._class()
        self._place += 1
        match one:
            case ".":
                return Symbol(negated=True)
            case "\\":
                return self._escaped(start)
            case "^" | "$":
                raise self._error(f"{one} stands for a place, and tokens are found everywhere; leave it out", start)
            case "*" | "+" | "?":
                raise self._error(f"nothing stands before {one} to be repeated; write \\{one} for itself", start)
        return Symbol(((one, one),))

    def _group(self) -> Node:
        start = self._place
        self._place += 1
        if self._next() == "?" and not self._took("?:"):
            raise self._error("of groups only ( ) and (?: ) are known here", start)
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} groups in each other", start)
        node = self._alternatives()
        if not self._took(")"):
            raise self._error("a ( that no ) closes", start)
        self._depth -= 1
        return node

    def _class(self) -> Symbol:
        start = self._place
        self._place += 1
        negated = self._took("^")
        ranges: list[tuple[str, str]] = []
        classes: list[str] = []
        first = True
        while first or self._next() != "]":
            first = False
            here, low = self._place, self._member(start)
            if self._next() == "-" and self._next(2) not in ("-", "-]"):
                self._place += 1
                high = self._member(start)
                if low.classes or high.classes or low.ranges[0][0] > high.ranges[0][0]:
                    raise self._error("a range that goes from nothing to nothing", here)
                ranges.append((low.ranges[0][0], high.ranges[0][0]))
            else:
                ranges += low.ranges
                classes += low.classes
        self._place += 1
        return Symbol(tuple(ranges), tuple(classes), negated)

    def _member(self, start: int) -> Symbol:
        here, one = self._place, self._next()
        if not one:
            raise self._error("a [ that no ] closes", start)
        self._place += 1
        return self._escaped(here) if one == "\\" else Symbol(((one, one),))

    def _escaped(self, start: int) -> Symbol:
        """What a backslash makes of the next character."""
        one = self._next()
        self._place += 1
        if one.lower() in _CLASSES and one:
            return Symbol(classes=(one,))
        if one in _CODES:
            code = self._next(_CODES[one])
            self._place += len(code)
            try:
                one = chr(int(code, 16)) if len(code) == _CODES[one] and code.isalnum() else ""
            except (ValueError, OverflowError):
                one = ""
            if not one:
                raise self._error("a code that stands for no character", start)
        elif one in _CONTROL:
            one = _CONTROL[one]
        elif not one or (one.isascii() and one.isalnum()):
            raise self._error(f"\\{one} is not known here", start)
        return Symbol(((one, one),))
