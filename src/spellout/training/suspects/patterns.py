"""The pattern of a line: for each letter its class, so that `MK53 YYW` is `AA00 AAA`.

`a` is a small letter, `A` a capital, `l` a letter of a script without capitals, `m` a mark that belongs to a
letter, `0` a digit; every other character is its own class. Small letters and capitals of other scripts than Latin
are `α` and `Ω`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LETTERS = "aAlαΩ"


@lru_cache(maxsize=1 << 16)
def class_of(character: str) -> str:
    """Give the class of a character."""
    category = unicodedata.category(character)
    if category[0] == "N":
        return "0"
    if category[0] == "M":
        return "m"
    if category[0] != "L":
        return character
    kind = {"Ll": 0, "Lu": 1, "Lt": 1}.get(category, 2)
    return ("aAl" if script_of(character) == "Latin" else "αΩl")[kind]


@lru_cache(maxsize=1 << 16)
def script_of(letter: str) -> str:
    """Give the script that a letter belongs to, by its name in Unicode."""
    return unicodedata.name(letter, "unknown").split()[0].split("-")[0].capitalize()


def patterns_of(lines: Iterable[str]) -> list[str]:
    """Give the pattern of each line."""
    text = "\n".join(lines)
    return text.translate({ord(one): class_of(one) for one in set(text) - {"\n"}}).split("\n")
