"""The vocabulary of some lines."""

from __future__ import annotations

from collections.abc import Iterable

from ..config import Unit, check_unit
from .characters import MOST_CHARACTERS, Characters
from .graphemes import Graphemes
from .patterns import pattern_of
from .pieces import Pieces
from .protocol import Vocabulary
from .words import WhiteSpace


def build_vocabulary(
    lines: Iterable[str], unit: Unit = "char", min_count: int = 1, tokens: str | None = None
) -> Vocabulary:
    """The vocabulary of some lines by unit, or by a pattern of `tokens`; `min_count` is for words."""
    check_unit(unit, min_count, tokens)
    if tokens is not None:
        return Pieces.of(pattern_of(tokens), lines)
    if unit == "grapheme":
        return Pieces.of(Graphemes(), lines)
    if unit == "word":
        return Pieces.of(WhiteSpace(), lines, min_count)
    return Characters.of(lines, most=0 if unit == "byte" else MOST_CHARACTERS)
