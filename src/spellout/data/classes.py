"""Classes of characters: digits, lower and upper case, white space, and every ASCII sign a class of its own.

Plates, dates and identifiers are patterns of these, whatever letters and digits they hold. Characters of other
scripts are told apart by their general category (The Unicode Standard, chapter 4.5).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np

_TITLE = "Lt"
"""A digraph such as Dž, upper case as far as patterns go."""


def class_of(symbol: str) -> str:
    """Name the class of a token by the character that it begins with, as a token may be a word or an atom."""
    first = symbol[0]
    if first == "<" and len(symbol) == len("<0x00>") and symbol.startswith("<0x"):  # a byte, or a word like one
        try:
            code = int(symbol[3:5], 16)
        except ValueError:
            return first
        if code >= 128:
            return "byte"
        first = chr(code)
    if first.isascii() and not first.isalnum():
        return first
    category = unicodedata.category(first)
    return "Lu" if category == _TITLE else category


def classes_of(symbols: Iterable[str]) -> np.ndarray:
    """Number the classes of tokens, given as they are shown, in the order of their first tokens: (V,) uint8.

    The first token is the boundary, whose class is 0 and nobody else's.
    """
    _, *others = symbols
    numbers: dict[str, int] = {}
    found = [0, *(numbers.setdefault(class_of(one), len(numbers) + 1) for one in others)]
    return np.array(found, np.uint8)
