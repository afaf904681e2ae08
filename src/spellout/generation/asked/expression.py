"""Regular expressions, read into the states and edges of an automaton (Thompson 1968).

What one character may be, such as `[^\\W\\d]`, `.` or `\\N{DIGIT ONE}`, is left to Python's `re`: this file only
knows how such pieces are put together, so classes, case and Unicode mean what they mean in Python (in interegular
and greenery, which turn expressions into automata too, `\\w` and `\\d` are ASCII, and `$` and `(?i)` are not known
by one or by both). What needs more memory than an automaton has, such as a group that comes again, is a sentence.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from ...errors import UsageError

MOST_STATES = 20_000
ALWAYS, AT_START, AT_END = range(3)
"""When an edge without a character may be taken: always, before the first character only, or after the last."""
_CHARACTER = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[0-3][0-7]{2}|[^0-9])|[^\\]",
    re.DOTALL,
)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_TIMES = re.compile(r"\{(\d*)(,?)(\d*)\}", re.ASCII)
_FLAGS = re.compile(r"\(\?([aimsux]*)(?:-([imsx]+))?([:)])", re.ASCII)
_NAMED = re.compile(r"\(\?P<\w+>")
_CANNOT = [
    (r"\(\?<?[=!]", "looks ahead or back"),
    (r"\(\?P=|\\[1-9]", "has a group come again"),
    (r"\(\?>", "has a group that keeps what it took"),
    (r"\(\?\(", "asks whether a group was there"),
    (r"\\[bB]", "asks for the border of a word"),
]
_OF_ATOMS = re.IGNORECASE | re.ASCII | re.DOTALL

Atom = tuple[str, int]
"""What one character may be: a piece of a regular expression, and its flags."""


@dataclass
class States:
    """The states 0 to `size` - 1 of an automaton that may be in several of them at once.

    Attributes:
        edges: from each state, with a character, to another: (atom, state).
        silent: from each state, without one, to another: (when, state).
        first, last: where it begins, and where it has to be in the end.
    """

    edges: list[list[tuple[Atom, int]]] = field(default_factory=list)
    silent: list[list[tuple[int, int]]] = field(default_factory=list)
    first: int = 0
    last: int = 0

    @property
    def size(self) -> int:
        """Count the states."""
        return len(self.edges)

    def new(self) -> int:
        """Add a state."""
        if self.size >= MOST_STATES:
            raise OverflowError
        self.edges.append([])
        self.silent.append([])
        return self.size - 1


Tree = tuple[Any, ...]
"""What was read: which kind it is, and its parts."""


def states_of(pattern: str, said: str) -> States:
    """Read a regular expression. `UsageError`, which begins with what was `said`, where that cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flags = re.compile(pattern).flags
    except (re.error, OverflowError) as error:
        raise UsageError(f"{said}: not a regular expression as Python knows them: {error}") from None
    except RecursionError:
        raise UsageError(f"{said}: its groups are nested too deeply") from None
    reader, states = _Reader(pattern, said), States()
    if flags & re.VERBOSE:
        reader.refuse("is written with white space that means nothing, (?x)")
    try:
        states.first, states.last = _build(states, reader.choice(flags & _OF_ATOMS))
    except RecursionError:
        raise UsageError(f"{said}: its groups are nested too deeply") from None
    except OverflowError:
        raise UsageError(
            f"{said}: takes more than {MOST_STATES:,} states, as repeats within repeats do; ask for less"
        ) from None
    return states


class _Reader:
    """Reads a pattern that `re` understands, from left to right, into a tree."""

    def __init__(self, pattern: str, said: str) -> None:
        self._pattern, self._said, self._place = pattern, said, 0

    def refuse(self, what: str) -> None:
        raise UsageError(f"{self._said}: {what}, which cannot be asked of lines that are made letter by letter")

    def choice(self, flags: int) -> Tree:
        """Read alternatives up to the end, or up to the parenthesis that ends them."""
        parts: list[Tree] = []
        branches: list[Tree] = []
        while self._place < len(self._pattern) and self._pattern[self._place] != ")":
            if self._pattern[self._place] == "|":
                branches.append(("row", *parts))
                parts, self._place = [], self._place + 1
                continue
            group = _FLAGS.match(self._pattern, self._place)
            if group and group[3] == ")":  # of the whole pattern, and so known already
                self._place = group.end()
                continue
            if self._pattern.startswith("(?#", self._place):
                self._place = self._pattern.index(")", self._place) + 1
                continue
            parts.append(self._repeated(self._one(flags), flags))
        return ("choice", *branches, ("row", *parts))

    def _one(self, flags: int) -> Tree:
        """Read one piece without what says how often it comes."""
        rest = self._pattern[self._place :]
        for cannot, what in _CANNOT:
            if re.match(cannot, rest) and not re.match(r"\\[1-3][0-7]{2}", rest):
                self.refuse(what)
        if rest[0] == "(":
            return self._group(flags)
        anchor = {"^": AT_START, r"\A": AT_START, "$": AT_END, r"\Z": AT_END, r"\z": AT_END}
        for text, when in anchor.items():
            if rest.startswith(text):
                self._place += len(text)
                return ("silent", when)
        match = _CLASS.match(rest) if rest[0] == "[" else _CHARACTER.match(rest)
        assert match is not None, rest
        self._place += match.end()
        return ("atom", (match[0], flags))

    def _group(self, flags: int) -> Tree:
        scoped, named = (one.match(self._pattern, self._place) for one in (_FLAGS, _NAMED))
        if scoped:
            self._place = scoped.end()
            if "x" in scoped[1]:
                self.refuse("is written with white space that means nothing, (?x:")
            letters = {"i": int(re.IGNORECASE), "s": int(re.DOTALL), "a": int(re.ASCII)}
            for letter, flag in letters.items():
                flags |= flag * (letter in scoped[1])
                flags &= ~(flag * (letter in (scoped[2] or "")))
            if "u" in scoped[1]:
                flags &= ~int(re.ASCII)
        else:
            self._place = named.end() if named else self._place + 1
        tree = self.choice(flags)
        self._place += 1
        return tree

    def _repeated(self, tree: Tree, flags: int) -> Tree:
        while self._place < len(self._pattern):
            sign = self._pattern[self._place]
            times = _TIMES.match(self._pattern, self._place) if sign == "{" else None
            if sign in "*+?":
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
                self._place += 1
            elif times and (times[1] or times[2]):
                least = int(times[1] or 0)
                most = (int(times[3]) if times[3] else None) if times[2] else least
                self._place = times.end()
            else:
                break
            more = self._pattern[self._place : self._place + 1]
            if more == "+":
                self.refuse("repeats what it does not give back")
            self._place += more == "?"  # as few as can be: the same lines match
            tree = ("repeat", tree, least, most)
        return tree


def _build(states: States, tree: Tree) -> tuple[int, int]:
    """Add the states of a tree; give the first and the last."""
    kind, *parts = tree
    first = states.new()
    if kind == "atom":
        last = states.new()
        states.edges[first].append((parts[0], last))
        return first, last
    if kind == "silent":
        last = states.new()
        states.silent[first].append((parts[0], last))
        return first, last
    if kind == "row":
        last = first
        for part in parts:
            begin, end = _build(states, part)
            states.silent[last].append((ALWAYS, begin))
            last = end
        return first, last
    if kind == "choice":
        last = states.new()
        for part in parts:
            begin, end = _build(states, part)
            states.silent[first].append((ALWAYS, begin))
            states.silent[end].append((ALWAYS, last))
        return first, last
    return first, _build_repeat(states, first, *parts)


def _build_repeat(states: States, first: int, tree: Tree, least: int, most: int | None) -> int:
    """Add the states of a tree that comes so many times, from `first` on; give the last."""
    last = first
    for _ in range(least):
        begin, end = _build(states, tree)
        states.silent[last].append((ALWAYS, begin))
        last = end
    if most is None:
        around = states.new()
        states.silent[last].append((ALWAYS, around))
        begin, end = _build(states, tree)
        states.silent[around].append((ALWAYS, begin))
        states.silent[end].append((ALWAYS, around))
        return around
    final = states.new()
    for _ in range(most - least):
        states.silent[last].append((ALWAYS, final))
        begin, end = _build(states, tree)
        states.silent[last].append((ALWAYS, begin))
        last = end
    states.silent[last].append((ALWAYS, final))
    return final
