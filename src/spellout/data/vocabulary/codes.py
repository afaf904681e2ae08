"""Characters as numbers in arrays, and how many of each there are."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

LINES_AT_ONCE = 1 << 16
HALVES = "surrogatepass"  # a byte of a command line that is not UTF-8 becomes a character, though never known


def smallest_dtype(size: int) -> np.dtype[Any]:
    """The smallest unsigned integer type that holds the ids 0 to size - 1."""
    return np.min_scalar_type(max(size - 1, 0))


def code_points(text: str) -> np.ndarray:
    """The code of every character, uint8 for ASCII text, else uint32."""
    if text.isascii():
        # a byte a character is a quarter of the memory, and the faster lookup
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", HALVES), np.uint32)


def times_of_codes(parts: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> np.ndarray:
    """How often each code stands in some parts, by code; each place counts as its weight, if there are weights.

    Line ends, code 10, are not counted.
    """
    times: np.ndarray = np.zeros(128, np.int64)
    for codes, weights in parts:
        here: np.ndarray = np.bincount(codes, weights, minlength=len(times))
        # bincount gives at least as many as asked for, and more where a higher code stands
        here[: len(times)] += times
        times = here
    times[10] = 0
    return times


def could_be_read(line: str) -> bool:
    """Whether reading a file could give this line: not blank, trimmed, one line, composed characters."""
    return bool(line) and line == line.strip() and unicodedata.is_normalized("NFC", line)
