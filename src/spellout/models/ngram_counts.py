"""Counting n-grams with sorts instead of dictionaries.

An n-gram is a row of columns `c1, c2, ..., w`: the word w and its context, the last token c1 first. Rows are
packed into one integer each and sorted, and equal neighbours are counted. NumPy sorts integers with SIMD
instructions, so this counts tens of millions of letters a second on one core, and memory is bounded by the
distinct n-grams: a file is counted block by block and the tables are merged.

The start of a line is ONE boundary symbol. Columns beyond it hold 0, which cannot be confused with a real token,
as a boundary never stands before another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

Columns = list[np.ndarray]


def context_columns(tokens: np.ndarray, length: int) -> Columns:
    """For every position of `tokens` (..., T): its `length` last tokens, the newest first, 0 beyond the start."""
    columns = [tokens]
    for back in range(1, length):
        older = np.zeros_like(tokens)
        older[..., back:] = tokens[..., :-back]
        older *= columns[-1] != 0  # nothing before a boundary is part of this line
        columns.append(older)
    return columns[:length]


def context_windows(stream: np.ndarray, length: int) -> np.ndarray:
    """For every token of a stream but the first: the `length` tokens before it, (N, length) int64, newest first."""
    return np.stack([column[:-1] for column in context_columns(stream.astype(np.int64), length)], axis=1)


@dataclass(frozen=True)
class Counts:
    """Distinct n-grams in lexicographic order of their columns, and how often each was seen (int64)."""

    columns: Columns
    counts: np.ndarray
    vocabulary_size: int

    @property
    def order(self) -> int:
        """The n of the n-grams."""
        return len(self.columns)

    @classmethod
    def of(cls, stream: np.ndarray, order: int, vocabulary_size: int) -> Counts:
        """Count a stream `0 line 0 line 0`: every token but the first, in its context."""
        contexts = [column[:-1] for column in context_columns(stream, order - 1)]
        columns, counts = count_rows([*contexts, stream[1:]], vocabulary_size)
        return cls(columns, counts, vocabulary_size)

    @classmethod
    def merged(cls, tables: Iterable[Counts]) -> Counts:
        """The counts of several parts as if they had been counted together."""
        parts = list(tables)
        if len(parts) == 1:
            return parts[0]
        size = max(part.vocabulary_size for part in parts)
        columns = [np.concatenate(column) for column in zip(*(part.columns for part in parts), strict=True)]
        counts = np.concatenate([part.counts for part in parts])
        return cls(*count_rows(columns, size, counts), size)

    def renumbered(self, new_ids: np.ndarray) -> Counts:
        """The same n-grams with other token ids, `new_ids[old]`; several old ids may become one."""
        columns = [new_ids[column] for column in self.columns]
        size = int(new_ids.max()) + 1
        return Counts(*count_rows(columns, size, self.counts), size)

    def continuations(self) -> Counts:
        """The table one order lower, as Kneser and Ney count: in how many different contexts was it seen?

        Rows that begin a line have no token before them to vary, and keep their own counts.
        """
        length = self.order - 1  # of the context
        weights = np.ones(len(self.counts), np.int64)
        if length > 1:
            begins_line = self.columns[length - 2] == 0
            weights[begins_line] = self.counts[begins_line]
        columns = [*self.columns[: length - 1], self.columns[length]]
        return Counts(*count_rows(columns, self.vocabulary_size, weights), self.vocabulary_size)


def count_rows(
    columns: Columns, vocabulary_size: int, weights: np.ndarray | None = None
) -> tuple[Columns, np.ndarray]:
    """Distinct rows in lexicographic order, with the number of equal rows or the sum of their weights (int64)."""
    if not len(columns[0]):
        return columns, np.zeros(0, np.int64)
    space = vocabulary_size ** len(columns)
    if space > 2**64:  # rows too wide for one integer: large vocabularies
        order = np.lexsort(columns[::-1])
        columns = [column[order] for column in columns]
        starts = starts_of_runs(columns)
        weights = np.ones(len(order), np.int64) if weights is None else weights[order]
        return [column[starts] for column in columns], np.add.reduceat(weights, starts)
    keys = _pack(columns, vocabulary_size, np.uint32 if space <= 2**32 else np.uint64)
    if weights is None:
        keys.sort()
        starts = starts_of_runs([keys])
        counts = np.diff(starts, append=len(keys))
    else:
        order = np.argsort(keys)
        keys = keys[order]
        starts = starts_of_runs([keys])
        counts = np.add.reduceat(weights[order], starts)
    return _unpack(keys[starts], len(columns), vocabulary_size, columns[0].dtype), counts


def numbered_rows(columns: Columns, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray]:
    """For every row (N,) the number of its n-gram among the D distinct ones in lexicographic order, and for each of
    these a row where it stands (D,)."""
    if vocabulary_size ** len(columns) > 2**64:
        order = np.lexsort(columns[::-1])
        starts = starts_of_runs([column[order] for column in columns])
    else:
        unsigned = [column.view(f"u{column.dtype.itemsize}") for column in columns]
        keys = _pack(unsigned, vocabulary_size, np.uint64)
        order = np.argsort(keys)
        starts = starts_of_runs([keys[order]])
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    return numbers, order[starts]


def starts_of_runs(columns: Columns) -> np.ndarray:
    """The rows that differ from the row before them, and the first one: where runs of equal rows begin."""
    changes = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        changes |= column[1:] != column[:-1]
    return np.concatenate([[0], np.flatnonzero(changes) + 1])[: len(columns[0])]


def _pack(columns: Columns, base: int, dtype: type[np.unsignedinteger]) -> np.ndarray:
    keys = columns[0].astype(dtype)
    for column in columns[1:]:
        keys *= dtype(base)
        keys += column
    return keys


def _unpack(keys: np.ndarray, width: int, base: int, dtype: np.dtype) -> Columns:
    columns = []
    for _ in range(width):
        keys, digit = np.divmod(keys, keys.dtype.type(base))
        columns.append(digit.astype(dtype))
    return columns[::-1]
