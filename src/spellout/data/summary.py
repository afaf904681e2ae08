"""What is in a list of lines, in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .lines import Lines
from .vocabulary.codes import LINES_AT_ONCE, code_points, times_of_codes


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
        times = times_of_codes((codes[1:], weights) for codes, weights in _coded(lines))
        letters = {chr(code): int(times[code]) for code in np.flatnonzero(times)}
        return cls(
            lines=len(lines),
            distinct=len(lines.distinct),
            repeated=lines.repeated(),
            characters=int(lengths @ counts),
            shortest=lines.distinct[int(lengths.argmin())],
            # the upper median: a length that a line really has
            median_length=int(np.sort(np.repeat(lengths, counts))[len(lines) // 2]),
            longest=lines.distinct[int(lengths.argmax())],
            letters=sorted(letters.items(), key=lambda item: (-item[1], item[0])),
        )

    def to_json(self) -> dict[str, Any]:
        """The summary as one JSON object."""
        repeated = [{"line": line, "times": times} for line, times in self.repeated]
        return asdict(self) | {"repeated": repeated, "letters": dict(self.letters)}


def bigram_table(lines: Lines, letters: list[str]) -> np.ndarray:
    """How often each of `letters` is followed by each, (L + 1, L + 1) int64; index 0 is the line's boundary.

    Pairs with a character that is not among `letters` are left out.
    """
    size = len(letters) + 2  # the last is for all the others
    highest = max(map(ord, ["\n", *letters]))
    place = np.full(highest + 2, size - 1)
    place[[ord(letter) for letter in ("\n", *letters)]] = np.arange(size - 1)
    table = np.zeros(size * size)
    for codes, weights in _coded(lines):
        places = place[np.minimum(codes, highest + 1)]
        table += np.bincount(places[:-1] * size + places[1:], weights, minlength=size * size)
    return table.reshape(size, size)[:-1, :-1].astype(np.int64)


def _coded(lines: Lines) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of the distinct lines: the codes of `\\n line \\n line \\n`, and for each code but the first how often
    its line stands in the file."""
    counts = lines.counts
    for start in range(0, len(counts), LINES_AT_ONCE):
        some = lines.distinct[start : start + LINES_AT_ONCE]
        lengths = [len(line) + 1 for line in some]
        yield code_points("\n" + "\n".join(some) + "\n"), np.repeat(counts[start : start + len(some)], lengths)
