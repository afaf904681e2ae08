"""The vocabulary of some lines."""

from __future__ import annotations

from collections.abc import Iterable

from ..config import Unit, check_unit
from .characters import MOST_CHARACTERS, Characters
from .pieces import Pieces
from .protocol import Vocabulary
from .words import WhiteSpace


def build_vocabulary(lines: Iterable[str], unit: Unit = "char", min_count: int = 1) -> Vocabulary:
    """The vocabulary of some lines by unit; `min_count` is for words."""
    check_unit(unit, min_count)
    if unit == "word":
        return Pieces.of(WhiteSpace(), lines, min_count)
    return Characters.of(lines, most=0 if unit == "byte" else MOST_CHARACTERS)
