"""How lines are written: in lower, upper or title case, or as the words of a list are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from .config import Case

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]{1,2}(?![^\W\d_]))?")
"""A run of letters; what is short after an apostrophe, as in "don't", belongs to it, and "Neil" in "O'Neil" not."""
SHARE = 0.01
"""A way of writing words that is rarer than that in a list is not its own."""
Writing = Callable[[str], str]


def writing_of(case: Case | None, lines: Iterable[str]) -> Writing | None:
    """Give the way of writing that was asked for; None: as they are made. `lines` are those of the list."""
    ways: dict[Case | None, Callable[[], Writing | None]] = {
        None: lambda: None,
        "lower": lambda: str.lower,
        "upper": lambda: str.upper,
        "title": lambda: _title,
        "as-in-list": lambda: _as_in(lines),
    }
    return ways[case]()


def variants(character: str, case: Case | None) -> tuple[str, ...]:
    """Give the texts that a character may be written as, wherever it stands."""
    if case is None:
        return (character,)
    if case in ("lower", "upper"):
        return (character.lower() if case == "lower" else character.upper(),)
    one = {character.lower(), character.upper()} | ({character} if case == "as-in-list" else set())
    return tuple(sorted(text for text in one if len(text) == 1)) or (character,)


def _title(line: str) -> str:
    return _WORD.sub(lambda word: _capital(word[0]), line)


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:].lower()


def _as_in(lines: Iterable[str]) -> Writing:
    """Leave words that are written as those of a list, and write others as most are; first words by themselves."""
    counts: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for line in lines:
        for number, word in enumerate(_WORD.finditer(line)):
            counts[number > 0][_shape(word[0])] += 1
    usual = [{shape for shape, count in one.items() if count >= SHARE * one.total()} for one in counts]
    plain: list[tuple[str, Writing]] = [("l", str.lower), ("Ul", _capital), ("UU", str.upper)]
    ways = [max(plain, key=lambda way: one[way[0]])[1] for one in counts]

    def write(line: str) -> str:
        numbers = iter(range(len(line)))

        def rewritten(word: re.Match[str]) -> str:
            later = next(numbers) > 0
            known = not counts[later] or _shape(word[0]) in usual[later]
            return word[0] if known else ways[later](word[0])

        return _WORD.sub(rewritten, line)

    return write


def _shape(word: str) -> str:
    """Say where large and small letters stand: `Ul` for Emma, `UlUl` for McDonald, `UU` for USA, `UUl` for EMma."""
    cases = ("U" if one.isupper() else "l" if one.islower() else "" for one in word)
    return re.sub("U{2,}", "UU", re.sub("l+", "l", "".join(cases)))
