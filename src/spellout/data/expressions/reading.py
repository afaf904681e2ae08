r"""Regular expressions, read into trees.

What one character may be, such as `[^\W\d]`, `.` or `\N{DIGIT ONE}`, is left to Python's `re`: this file only
knows how such pieces are put together, so classes, case and Unicode mean what they mean in Python (in interegular
and greenery, which turn expressions into automata too, `\w` and `\d` are ASCII, and `$` and `(?i)` are not known
by one or by both). What needs more memory than an automaton has, such as a group that comes again, is a sentence.

An expression may come with a stranger's run: its length, its groups in each other and its repetitions are bounded,
and `re` never matches more than one character by it.
"""

from __future__ import annotations

import re
import warnings

from .trees import Alternation, Concatenation, Place, Repetition, Tree, size_of

DEEPEST = 50
"""So many groups in each other at most."""
LARGEST = 500
"""So many characters an expression of tokens may match without repeating itself, all its {m,n} written out."""
LARGEST_OF_LINES = 10_000
"""The same, of lines, which comes with no run."""

_PLACES = re.compile(r"\^|\$|\\[AZz]")
_CHARACTER = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[0-3][0-7]{2}|[^0-9])|[^\\]",
    re.DOTALL,
)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_TIMES = re.compile(r"\{(?:(\d+)|(\d*),(\d*))\}", re.ASCII)
_FLAGS = re.compile(r"\(\?([aimsux]*)(?:-([imsx]+))?([:)])", re.ASCII)
_OPENED = re.compile(r"\((?!\?)|\(\?P<\w+>|\(\?[aimsu]*(?:-[imsx]+)?:")
_CANNOT = [
    (re.compile(r"\(\?<?[=!]"), "it looks ahead or back"),
    (re.compile(r"\(\?P=|\\(?![1-3][0-7]{2})[1-9]"), "it has a group come again"),
    (re.compile(r"\(\?>"), "it keeps what it took"),
    (re.compile(r"\(\?\("), "it asks whether a group was there"),
    (re.compile(r"\\[bB]"), "it asks for the border of a word"),
    (re.compile(r"\(\?\w*x\w*(?:-\w+)?[:)]"), "after it, white space means nothing"),
]
_CANNOT_OF_TOKENS = [(re.compile(r"\(\?(?!:)"), "of groups only ( ) and (?: ) are")]


def read(expression: str, *, lines: bool = False) -> Tree:
    """Read an expression of tokens, or of whole lines, which may ask for places and flags and be lazy.

    ValueError says in words what is wrong with it, and where.
    """
    largest = LARGEST_OF_LINES if lines else LARGEST
    if not expression and not lines:
        raise ValueError("it is empty")
    if len(expression) > 2 * largest:
        raise ValueError(f"it is longer than {2 * largest:,} characters")
    tree = _Reader(expression, lines, largest).whole()
    if size_of(tree) > largest:
        raise ValueError(f"its repetitions, written out, are longer than {largest:,} characters")
    return tree


class _Reader:
    """Reads from left to right, a method for each kind of thing."""

    def __init__(self, text: str, lines: bool, largest: int) -> None:
        self._text, self._lines, self._largest = text, lines, largest
        self._place = self._depth = 0

    def whole(self) -> Tree:
        flags = 0
        while self._next() and self._lines and (found := _FLAGS.match(self._text, self._place)) and found[3] == ")":
            self._refuse_unknown()
            flags, self._place = _changed(flags, found), found.end()
        tree = self._alternatives(flags)
        if self._place < len(self._text):
            raise self._error("a ) that no ( opens")
        return tree

    def _error(self, what: str, place: int | None = None) -> ValueError:
        return ValueError(f"{what}, at character {(self._place if place is None else place) + 1}")

    def _refuse_unknown(self) -> None:
        for cannot, what in [*([] if self._lines else _CANNOT_OF_TOKENS), *_CANNOT]:
            if found := cannot.match(self._text, self._place):
                raise self._error(f"{found[0]} is not known here: {what}")

    def _next(self) -> str:
        """Give the next character that is in no comment; nothing at the end."""
        while self._lines and self._text.startswith("(?#", self._place):
            end = self._text.find(")", self._place)
            if end < 0:
                raise self._error("a (?# that no ) closes")
            self._place = end + 1
        return self._text[self._place : self._place + 1]

    def _took(self, text: str) -> bool:
        there = self._text.startswith(text, self._place)
        self._place += len(text) * there
        return there

    def _alternatives(self, flags: int) -> Tree:
        choices = [self._sequence(flags)]
        while self._took("|"):
            choices.append(self._sequence(flags))
        return choices[0] if len(choices) == 1 else Alternation(tuple(choices))

    def _sequence(self, flags: int) -> Tree:
        parts: list[Tree] = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._one(flags)))
        return Concatenation(tuple(parts))

    def _repeated(self, part: Tree) -> Tree:
        self._next()
        start = self._place
        counts = self._counts()
        if counts is None:
            return part
        if self._took("+") or (not self._lines and self._took("?")):
            what = "the longest match is taken, so no repetition is lazy or possessive"
            raise self._error("it repeats what it does not give back" if self._lines else what, start)
        self._took("?")  # as few as can be: the same lines match
        self._next()
        if self._counts() is not None:
            raise self._error("a repetition of a repetition; put ( ) around the first", start)
        least, most = counts
        if most is not None and most < least:
            raise self._error("a repetition whose most is less than its least", start)
        if max(least, most or 0) > self._largest:
            raise self._error(f"a repetition of more than {self._largest:,}", start)
        # What holds no character is nothing, however often: nobody is to count that.
        return part if size_of(part) == 0 else Repetition(part, least, most)

    def _counts(self) -> tuple[int, int | None] | None:
        """How often the part before may stand here, if this is said."""
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._took(sign):
                return counts
        found = _TIMES.match(self._text, self._place)
        if found is None:
            return None  # then { is a character, as it is in Python
        self._place = found.end()
        exactly, least, most = found.groups()
        if exactly:
            return int(exactly), int(exactly)
        return int(least or 0), int(most) if most else None

    def _one(self, flags: int) -> Tree:
        """Read one piece without what says how often it comes."""
        self._refuse_unknown()
        start = self._place
        if self._counts() is not None:
            sign = self._text[start : self._place]
            raise self._error(f"nothing stands before {sign} to be repeated; write \\{sign} for itself", start)
        if self._text[start] == "(":
            return self._group(flags)
        if place := _PLACES.match(self._text, start):
            if not self._lines:
                what = f"{place[0]} stands for a place, and tokens are found everywhere; leave it out"
                raise self._error(what)
            self._place = place.end()
            return Place.START if place[0] in ("^", r"\A") else Place.END
        in_class = self._text[start] == "["
        piece = (_CLASS if in_class else _CHARACTER).match(self._text, start)
        if piece is None:
            raise self._error("a [ that no ] closes" if in_class else f"{self._text[start:]} is not known here")
        character = self._character(piece[0], flags)
        self._place = piece.end()
        return character

    def _group(self, flags: int) -> Tree:
        start, opened = self._place, _OPENED.match(self._text, self._place)
        if opened is None:
            raise self._error(f"{self._text[start : start + 3]} is not known here")
        self._place = opened.end()
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} groups in each other", start)
        scoped = _FLAGS.match(self._text, start)
        tree = self._alternatives(_changed(flags, scoped) if scoped else flags)
        if not self._took(")"):
            raise self._error("a ( that no ) closes", start)
        self._depth -= 1
        return tree

    def _character(self, text: str, flags: int) -> re.Pattern[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return re.compile(text, flags)
        except re.error as error:
            place = error.pos or 0
            wrong = text[place : place + 2]
            what = f"{wrong} is not known here"
            if error.msg.startswith("bad character range"):
                what = "a range that goes from nothing to nothing"
            elif wrong[1:] in ("x", "u", "U", "N"):
                what = "a code that stands for no character"
            raise self._error(what, self._place + place) from None


def _changed(flags: int, found: re.Match[str]) -> int:
    """Put flags on and off as `(?i-s:` says; of the others none says what a character is."""
    for letter, flag in (("i", re.IGNORECASE), ("s", re.DOTALL), ("a", re.ASCII)):
        if letter in found[1]:
            flags |= int(flag)
        if letter in (found[2] or "") or (letter == "a" and "u" in found[1]):
            flags &= ~int(flag)
    return flags
