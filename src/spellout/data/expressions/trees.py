"""What a regular expression is made of: characters and places, one after the other, one of several, repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Place(Enum):
    """Where no character is: before the first one, or after the last one."""

    START = "start"
    END = "end"


@dataclass(frozen=True)
class Concatenation:
    """One after the other."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Alternation:
    """One of them."""

    choices: tuple[Tree, ...]


@dataclass(frozen=True)
class Repetition:
    """A part so many times at least, and at most; None: without end."""

    part: Tree
    least: int
    most: int | None


Symbol = re.Pattern[str] | Place
"""One character, as a pattern that matches it and nothing longer; or a place."""
Tree = Symbol | Concatenation | Alternation | Repetition


def size_of(tree: Tree) -> int:
    """Count the characters and places in an expression whose repetitions are written out."""
    match tree:
        case Concatenation(parts) | Alternation(parts):
            return sum(map(size_of, parts))
        case Repetition(part, least, most):
            return size_of(part) * max(1, least if most is None else most)
    return 1
