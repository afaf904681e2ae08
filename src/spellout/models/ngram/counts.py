"""Counting n-grams with sorts instead of dictionaries.

An n-gram is a row of columns `c1, c2, ..., w`: the word w and its context, the last token c1 first. Rows are
packed into one integer each and sorted, and equal neighbours are counted. NumPy sorts integers with SIMD
instructions, so this counts tens of millions of letters a second on one core, and memory is bounded by the
distinct n-grams: a file is counted block by block and the tables are merged.

The start of a line is ONE boundary symbol. Columns beyond it hold 0, which cannot be confused with a real token,
as a boundary never stands before another one.

    N rows or positions · V vocabulary
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np

Columns = list[np.ndarray]
_POSITIONS_AT_ONCE = 1 << 15


def back_in_time(tokens: np.ndarray) -> Iterator[np.ndarray]:
    """For every position of `tokens` (..., T): its token, then the one before it, and so on without end."""
    column = tokens
    for back in count(1):
        yield column
        older = np.zeros_like(tokens)
        older[..., back:] = tokens[..., :-back]
        older *= column != 0  # nothing before a boundary is part of this line
        column = older


def context_columns(tokens: np.ndarray, length: int) -> Columns:
    """For every position of `tokens` (..., T): its `length` last tokens, the newest first, 0 beyond the start."""
    return list(islice(back_in_time(tokens), length))


def first_of_line(tokens: np.ndarray) -> np.ndarray:
    """For every position of `tokens` (..., T): the first token of its line, 0 where that is still to be read."""
    places = np.broadcast_to(np.arange(tokens.shape[-1]), tokens.shape)
    begins = np.maximum.accumulate(np.where(tokens == 0, places, 0), axis=-1)
    there = np.minimum(begins + 1, tokens.shape[-1] - 1)
    first: np.ndarray = np.take_along_axis(tokens, there, axis=-1)
    return first * (places > begins)


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
        if vocabulary_size**order > 2**64:  # one integer is too small for a row
            contexts = [column[:-1] for column in context_columns(stream, order - 1)]
            return count_rows([*contexts, stream[1:]], vocabulary_size)
        keys = np.empty(len(stream) - 1, _key_type(vocabulary_size**order))
        for start in range(0, len(keys), _POSITIONS_AT_ONCE):  # so many fit in a processor's cache
            stop = min(start + _POSITIONS_AT_ONCE, len(keys))
            before = min(order, start)  # tokens before the block that its first contexts reach back to
            contexts = context_columns(stream[start - before : stop], order - 1)
            columns = [*(column[before:] for column in contexts), stream[start + 1 : stop + 1]]
            keys[start:stop] = _pack(columns, vocabulary_size, keys.dtype)
        return _count_keys(keys, order, vocabulary_size, stream.dtype)

    @classmethod
    def merged(cls, tables: Iterable[Counts]) -> Counts:
        """The counts of several parts as if they had been counted together."""
        parts = list(tables)
        if len(parts) == 1:
            return parts[0]
        size = max(part.vocabulary_size for part in parts)
        columns = [np.concatenate(column) for column in zip(*(part.columns for part in parts), strict=True)]
        counts = np.concatenate([part.counts for part in parts])
        return count_rows(columns, size, counts)

    def renumbered(self, new_ids: np.ndarray) -> Counts:
        """The same n-grams with other token ids, `new_ids[old]`; several old ids may become one."""
        columns = [new_ids[column] for column in self.columns]
        return count_rows(columns, int(new_ids.max()) + 1, self.counts)

    def continuations(self) -> Counts:
        """The table one order lower, as Kneser & Ney 1995 count: after how many different tokens was it seen?

        It is Chen & Goodman's N1+(• w). Rows that begin a line have no token before them to vary, and keep their
        own counts.
        """
        length = self.order - 1  # of the context
        *columns, tokens = self.columns
        # Without its oldest token, a context is still a run of rows. Only the tokens within a run are to be sorted,
        # and a sort of whole numbers that are the run's and the token's together never leaves the run.
        runs = np.cumsum(self.begins(length - 1)) - 1
        space = (int(runs[-1]) + 1) * self.vocabulary_size if len(runs) else 0
        keys = _pack([runs, tokens], self.vocabulary_size, _key_type(space))
        keys.sort()
        starts = starts_of_runs(keys)
        counts = np.diff(starts, append=len(keys))
        if length > 1:
            begins_line = columns[length - 2] == 0  # these were different before, and so are in their places
            counts[begins_line[starts]] = self.counts[begins_line]
        # What is left of a key without its run is the token.
        last = keys[starts] - runs[starts].astype(keys.dtype) * keys.dtype.type(self.vocabulary_size)
        columns = [column[starts] for column in columns[: length - 1]]
        return Counts([*columns, last.astype(tokens.dtype)], counts, self.vocabulary_size)

    def begins(self, length: int) -> np.ndarray:
        """At which rows another context of this length begins, (rows,) bool."""
        changes = np.zeros(len(self.counts), bool)
        changes[:1] = True
        for column in self.columns[:length]:
            changes[1:] |= column[1:] != column[:-1]
        return changes

    def reaches(self, length: int) -> np.ndarray:
        """Which rows have so many tokens of context, the boundary at the start of their line counted, bool."""
        return np.ones(len(self.counts), bool) if length < 2 else self.columns[length - 2] != 0


def count_rows(columns: Columns, vocabulary_size: int, weights: np.ndarray | None = None) -> Counts:
    """Distinct rows, with the number of equal ones or the sum of their weights (int64)."""
    if not len(columns[0]):
        return Counts(columns, np.zeros(0, np.int64), vocabulary_size)
    space = vocabulary_size ** len(columns)
    if weights is None and space <= 2**64:
        keys = _pack(columns, vocabulary_size, _key_type(space))
        return _count_keys(keys, len(columns), vocabulary_size, columns[0].dtype)
    order, starts = _sorted(columns, vocabulary_size)
    counts = np.diff(starts, append=len(order)) if weights is None else np.add.reduceat(weights[order], starts)
    rows = order[starts]
    return Counts([column[rows] for column in columns], counts, vocabulary_size)


def _count_keys(keys: np.ndarray, order: int, vocabulary_size: int, dtype: np.dtype) -> Counts:
    """`count_rows` of rows that were packed; sorts them where they stand."""
    keys.sort()
    starts = starts_of_runs(keys)
    columns, rest = [], keys[starts]
    for _ in range(order):
        rest, digit = np.divmod(rest, keys.dtype.type(vocabulary_size))
        columns.append(digit.astype(dtype))
    return Counts(columns[::-1], np.diff(starts, append=len(keys)), vocabulary_size)


def _key_type(space: int) -> np.dtype:
    """The type of keys below `space`: half as many bytes are sorted in half the time."""
    return np.dtype(np.uint32 if space <= 2**32 else np.uint64)


def _ranks(columns: Columns, vocabulary_size: int) -> np.ndarray:
    """One integer a row, in the rows' order, however wide they are: where 64 bits are full, what was packed so far
    is replaced by its rank among all."""
    keys, space = columns[0].astype(np.uint64), vocabulary_size
    for column in columns[1:]:
        if space * vocabulary_size > 2**64:
            distinct, ranks = np.unique(keys, return_inverse=True)
            keys, space = ranks.astype(np.uint64), len(distinct)
        keys *= np.uint64(vocabulary_size)
        keys += column.astype(np.uint64, copy=False)  # signed ones would make floats of both
        space *= vocabulary_size
    return keys


def numbered_rows(columns: Columns, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray]:
    """For every row (N,) the number of its n-gram among the D distinct ones in lexicographic order, and for each of
    these a row where it stands (D,)."""
    order, starts = _sorted(columns, vocabulary_size)
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    return numbers, order[starts]


def _sorted(columns: Columns, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The order in which rows are sorted, and where runs of equal ones begin in it."""
    keys = _ranks(columns, vocabulary_size)
    order = np.argsort(keys)
    return order, starts_of_runs(keys[order])


def starts_of_runs(keys: np.ndarray) -> np.ndarray:
    """The keys that differ from the one before them, and the first one: where runs of equal keys begin."""
    return np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])[: len(keys)]


def _pack(columns: Columns, base: int, dtype: np.dtype) -> np.ndarray:
    """Rows as numbers whose digits are the columns: their order is the lexicographic one."""
    keys = columns[0].astype(dtype)
    for column in columns[1:]:
        keys *= dtype.type(base)
        keys += column
    return keys
