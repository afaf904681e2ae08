"""What is in a list of lines, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from .lines import Lines


@dataclass(frozen=True)
class Summary:
    """Numbers about lines. `letters` are the characters by falling count; `lengths` in characters a line."""

    lines: int
    distinct: int
    repeated: list[tuple[str, int]]
    characters: int
    shortest: str
    median_length: int
    longest: str
    letters: list[tuple[str, int]]

    @classmethod
    def of(cls, lines: Lines) -> Summary:
        """Summarise all lines, repeated ones as often as they stand in the file."""
        counts = lines.counts
        lengths = np.array([len(line) for line in lines.distinct])
        letters: Counter[str] = Counter()
        for line, count in zip(lines.distinct, counts.tolist(), strict=True):
            for letter in line:
                letters[letter] += count
        return cls(
            lines=len(lines),
            distinct=len(lines.distinct),
            repeated=lines.repeated(),
            characters=int(lengths @ counts),
            shortest=lines.distinct[int(lengths.argmin())],
            median_length=int(np.sort(np.repeat(lengths, counts))[len(lines) // 2]),
            longest=lines.distinct[int(lengths.argmax())],
            letters=sorted(letters.items(), key=lambda item: (-item[1], item[0])),
        )

    def to_json(self) -> dict[str, Any]:
        """The summary as one JSON object."""
        return {
            "lines": self.lines,
            "distinct": self.distinct,
            "repeated": [{"line": line, "times": times} for line, times in self.repeated],
            "characters": self.characters,
            "shortest": self.shortest,
            "median_length": self.median_length,
            "longest": self.longest,
            "letters": dict(self.letters),
        }


def bigram_table(lines: Lines, letters: list[str]) -> np.ndarray:
    """How often each of `letters` is followed by each, (L + 1, L + 1) int64; index 0 is the line's boundary.

    Pairs with a character that is not among `letters` are left out.
    """
    place = {letter: i for i, letter in enumerate(letters, 1)}
    pairs: Counter[tuple[str, str]] = Counter()
    for line, count in zip(lines.distinct, lines.counts.tolist(), strict=True):
        for pair in zip("\n" + line, line + "\n", strict=True):
            pairs[pair] += count
    place["\n"] = 0
    table = np.zeros((len(letters) + 1, len(letters) + 1), np.int64)
    for (first, second), count in pairs.items():
        if first in place and second in place:
            table[place[first], place[second]] = count
    return table
