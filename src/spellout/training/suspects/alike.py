"""Lines that are almost another line of the list: one edit away, or the same but for case, space and marks.

Lines one edit apart share what is left when the right letter is taken out of each (Mor & Fraenkel 1982; "symmetric
deletes"). What is left is hashed for every place of every line at once, so that a list is searched in one sort;
rapidfuzz then says what was done. Whether this is a sign depends on the list: most names have such a neighbour, and
no molecule that was typed twice.

    L lines · P positions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .patterns import LETTERS, class_of

_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse in the arithmetic of 64 bits
_INVERSE = pow(_BASE, -1, 1 << 64)
_CROWD = 8
"""If more lines share what is left without a letter, being alike is the rule."""
_SHORTEST = 4
"""Shorter lines are always like others."""


@dataclass(frozen=True)
class Alike:
    """A line that is almost another one.

    Attributes:
        line, other: the numbers of both.
        what: in which way they differ, in a few words.
        ways: in so many ways could the other line have become a line that differs like this.
    """

    line: int
    other: int
    what: str
    ways: float


def pairs_one_edit_apart(codes: np.ndarray, lengths: np.ndarray, crowd: int = _CROWD) -> set[tuple[int, int]]:
    """Give pairs of lines, smaller number first, that may be one edit or one swap apart, and all that are.

    `codes` are the characters of all lines one after the other, `lengths` (L,) how many each has.
    """
    with np.errstate(over="ignore"):
        ends = np.cumsum(lengths)
        first = ends - lengths
        line = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(len(codes)) - first[line]
        powers, inverses = (_powers(base, int(lengths.max())) for base in (_BASE, _INVERSE))
        parts = (codes.astype(np.uint64) + np.uint64(1)) * powers[place]
        sums = np.cumsum(parts)
        sums -= (sums - parts)[first][line]
        whole = sums[ends - 1]
        # Without its letter, what stands behind moves one place to the front.
        left = (sums - parts) + (whole[line] - sums) * inverses[1]
    few = lengths >= _SHORTEST
    # The lengths tell apart what was taken from a line and a line that is whole.
    hashes = np.concatenate([left[few[line]], whole[few]])
    sizes = np.concatenate([(lengths[line] - 1)[few[line]], lengths[few]]).astype(np.uint64)
    owners = np.concatenate([line[few[line]], np.flatnonzero(few)])
    keys = hashes ^ (sizes * np.uint64(0xD1B54A32D192ED03))
    order = np.argsort(keys, kind="stable")
    keys, owners = keys[order], owners[order]
    pairs: set[tuple[int, int]] = set()
    begin = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes_of_runs = np.diff(begin, append=len(keys))
    for start, size in zip(
        begin[sizes_of_runs > 1].tolist(), sizes_of_runs[sizes_of_runs > 1].tolist(), strict=True
    ):
        if size > 4 * crowd:
            continue
        some = sorted(set(owners[start : start + size].tolist()))
        if len(some) <= crowd:
            pairs.update((a, b) for i, a in enumerate(some) for b in some[i + 1 :])
    return pairs


def _powers(base: int, many: int) -> np.ndarray:
    powers = np.full(many + 1, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)


def alike(lines: Sequence[str], likelier: np.ndarray) -> list[Alike]:
    """Find the lines that are almost another line which is `likelier` (L,); each with the likeliest of these."""
    lengths = np.array([len(line) for line in lines])
    codes = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), np.uint32)
    found: dict[int, Alike] = {}

    def consider(one: int, other: int) -> None:
        if (likelier[one], -one) > (likelier[other], -other):
            one, other = other, one
        told = _difference(lines[one], lines[other])
        known = found.get(one)
        if told and (known is None or likelier[known.other] < likelier[other]):
            found[one] = Alike(one, other, *told)

    for one, other in sorted(pairs_one_edit_apart(codes, lengths)):
        consider(one, other)
    same: dict[str, int] = {}
    for number, line in enumerate(lines):
        key = _letters(line)
        if len(key) >= _SHORTEST and (other := same.setdefault(key, number)) != number:
            consider(number, other)
    return [found[number] for number in sorted(found)]


@cache
def _distances() -> tuple[Any, Any]:
    """Give rapidfuzz's two distances; only who looks for likeness waits for this import."""
    from rapidfuzz.distance import OSA, Levenshtein

    return OSA, Levenshtein


def _letters(line: str) -> str:
    """Give the letters and digits of a line, and the marks that belong to letters."""
    folded = line.casefold()
    return folded if folded.isalnum() else "".join(one for one in folded if class_of(one) in LETTERS + "0m")


def _difference(line: str, other: str) -> tuple[str, float] | None:
    """Say how a line differs from the other one, and in how many ways it could differ like that."""
    swaps, edits_only = _distances()
    length = len(other)
    if line.casefold() == other.casefold():
        return "in another case", 2.0
    if _letters(line) == _letters(other):
        return "with other marks or spaces", 2.0 * length
    if swaps.distance(line, other, score_cutoff=1) > 1:
        return None
    edits = [(edit.tag, edit.src_pos, edit.dest_pos) for edit in edits_only.editops(other, line)]
    (kind, source, place), *more = edits
    if more:
        place = next(i for i, (a, b) in enumerate(zip(line, other, strict=True)) if a != b)
        return f"with {other[place : place + 2]} swapped", 2.0 * length
    if kind == "insert":
        new = line[place]
        double = new in (line[place - 1 : place], line[place + 1 : place + 2])
        return (f"with {new} doubled", 2.0 * length) if double else (f"with {new} too much", 40.0 * length)
    if kind == "delete":
        return f"without its {other[source]}", 2.0 * length
    return f"with {line[place]} for {other[source]}", 40.0 * length
