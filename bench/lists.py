"""Lists of every kind and size, made by rule from a seed, so that a script needs no file to measure on.

They are not language, but they have what makes lists hard: many lines, repetition, long lines, structure that is
longer than any n-gram sees (rings and brackets of the molecules).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate

_ONSETS = [*"bcdfghklmnprstvw", "br", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "sl", "sp", "st", "str", "th", "tr"]
_VOWELS = [*"aeiou", "ai", "ea", "ee", "ia", "ie", "oa", "ou"]
_CODAS = ["", "", "", *"nrsltmdkx", "nd", "ng", "nt", "rd", "rk", "rn", "rt", "ss", "st", "th"]


def _syllables(draw: random.Random) -> tuple[list[str], list[float]]:
    """All syllables in a random order, and the running sum of their weights: the k-th is 1/k as likely."""
    found = [onset + vowel + coda for onset in _ONSETS for vowel in _VOWELS for coda in _CODAS]
    draw.shuffle(found)
    return found, list(accumulate(1.0 / rank for rank in range(2, len(found) + 2)))


def words(count: int, seed: int = 0) -> list[str]:
    """Different words of one to five syllables."""
    draw = random.Random(seed)
    syllables, weights = _syllables(draw)
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(draw.choices(syllables, cum_weights=weights, k=draw.choice((1, 2, 2, 3, 3, 4, 5))))] = None
    return list(made)


def short_lines(count: int, seed: int = 0) -> list[str]:
    """Lines of about eight characters, such as user names: a syllable or two and perhaps a number; some repeat."""
    draw = random.Random(seed)
    syllables, weights = _syllables(draw)
    return [
        "".join(draw.choices(syllables, cum_weights=weights, k=draw.choice((1, 2, 2))))
        + draw.choice(("", "", str(draw.randrange(100)), f"_{draw.randrange(10)}"))
        for _ in range(count)
    ]


def molecules(count: int, seed: int = 0) -> list[str]:
    """Strings in the grammar of SMILES (Weininger 1988): chains with branches, rings and charges."""
    draw = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        line = _chain(draw, draw.randint(4, 14), rings=1)
        if 8 <= len(line) <= 80:
            made[line] = None
    return list(made)


def _chain(draw: random.Random, atoms: int, rings: int) -> str:
    parts = []
    while atoms > 0:
        kind = draw.random()
        if kind < 0.25 and rings <= 4:
            parts.append(_ring(draw, rings))
            rings, atoms = rings + 1, atoms - 5
        elif kind < 0.45:
            parts.append("(" + draw.choice(("", "=")) + _chain(draw, draw.randint(1, 3), rings=5) + ")")
            atoms -= 2
        else:
            parts.append(draw.choice(("C", "C", "C", "C", "N", "O", "S", "=O", "CC", "C(=O)", "[NH+]", "Cl", "F")))
            atoms -= 1
    return ("C" if parts[0].startswith(("(", "=")) else "") + "".join(parts)


def _ring(draw: random.Random, number: int) -> str:
    inside = ["c", "c", draw.choice("ccn"), "c", draw.choice(("c", "c", "n", "c(C)", "c(F)", "c(OC)"))]
    return f"{draw.choice('cn')}{number}{''.join(inside[: draw.choice((4, 5, 5))])}c{number}"


LISTS: dict[str, Callable[[], list[str]]] = {
    "350,000 words": lambda: words(350_000),
    "1,000,000 short lines": lambda: short_lines(1_000_000),
    "20,000 molecules": lambda: molecules(20_000),
}
