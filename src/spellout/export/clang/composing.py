"""Which of a model's characters Unicode composes or puts into another order: what a header must know to tell lines.

A line that is not in the composed form (NFC, Unicode Standard Annex 15) could not be read from a file. Lists of
Unicode's would be larger than most models, so a header has what its own characters need, and nothing for most.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

NEVER = 255
"""Stands for a character that no composed text has; combining classes are below it."""
_HANGUL = range(0xAC00, 0xD7A4)


class Composing(NamedTuple):
    """What matters of some characters.

    Attributes:
        classes: the combining class of those that have one, or `NEVER`, by code, ascending.
        pairs: codes of two that become one, ascending.
    """

    classes: dict[int, int]
    pairs: list[tuple[int, int]]


def composing(texts: Iterable[str]) -> Composing:
    """Say it of all characters that tokens can write, together with others if they are bytes."""
    letters = {letter for text in texts for letter in text}
    raw = frozenset(ord(one) - 0xDC00 for one in letters if 0xDC80 <= ord(one) <= 0xDCFF)
    if max(map(ord, letters), default=0) < 0x80:
        return Composing({}, [])

    def there(code: int) -> bool:
        return chr(code) in letters or (code >= 0x80 and raw.issuperset(chr(code).encode()))

    classes, pairs = _unicodes()
    marks = {code: kind for code, kind in classes.items() if there(code)}
    found = [(first, second) for first, second in pairs if there(second) and there(first)]
    # A mark may go between a letter and the mark that it is composed with.
    composed = {_composed(*pair) for pair in pairs}.difference(_HANGUL) if marks else ()
    for first in filter(there, composed):
        for second, kind in marks.items():
            if kind != NEVER and not unicodedata.is_normalized("NFC", chr(first) + chr(second)):
                found.append((first, second))
    return Composing(marks, sorted(set(found)))


def _composed(first: int, second: int) -> int:
    return ord(unicodedata.normalize("NFC", chr(first) + chr(second)))


@cache
def _unicodes() -> tuple[dict[int, int], list[tuple[int, int]]]:
    """The classes of all characters, and all pairs."""
    classes: dict[int, int] = {}
    pairs: list[tuple[int, int]] = []
    for code in range(0x80, sys.maxunicode + 1):
        one = chr(code)
        if unicodedata.combining(one):
            classes[code] = unicodedata.combining(one)
        if code in _HANGUL:
            apart = unicodedata.normalize("NFD", one)
            pairs.append((ord(unicodedata.normalize("NFC", apart[:-1])), ord(apart[-1])))
        elif not unicodedata.is_normalized("NFC", one):
            classes[code] = NEVER
        elif (parts := unicodedata.decomposition(one).split()) and parts[0][0] != "<":
            pairs.append((int(parts[0], 16), int(parts[1], 16)))
    return classes, pairs
