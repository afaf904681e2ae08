"""N-gram tables to bytes and back, all tables of a step together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...models.counts.views import RECENT
from ..step import Table
from .coder import Coder, coder, finish
from .contexts import level, nothing_before

FEWEST_SLOTS, MOST_SLOTS = 16, 22
LARGEST = 1 << 27
"""Entries of a table that is read: more are a damaged file."""
_NOTHING = np.zeros(0, np.int64)


def packed(tables: Sequence[Table], size: int) -> tuple[bytes, list[dict[str, Any]]]:
    """Turn tables over `size` tokens into bytes, and what has to be known to read them, for JSON."""
    entries = sum(len(counts) for table in tables for counts in table.counts)
    slots = min(max(FEWEST_SLOTS, (16 * entries).bit_length()), MOST_SLOTS)
    room = 1 << 16
    while True:
        made = coder(np.zeros(room, np.uint8), slots, writes=True)
        heads = [_written(made, table, size) for table in tables]
        if (needed := finish(made)) <= room:
            return made.data[:needed].tobytes(), [{"slots": slots, **head} for head in heads]
        room = needed


def unpacked(data: bytes, heads: Sequence[Mapping[str, Any]], size: int) -> list[Table]:
    """Invert `packed`. ValueError for bytes that it did not write."""
    if not heads:
        return []
    slots = int(heads[0]["slots"])
    if not FEWEST_SLOTS <= slots <= MOST_SLOTS:
        raise ValueError(f"{slots} bits of hashes")
    made = coder(np.frombuffer(data, np.uint8).copy(), slots, writes=False)
    return [_read(made, head, size) for head in heads]


def _written(made: Coder, table: Table, size: int) -> dict[str, Any]:
    sums = _sums_up(table)
    head = {
        "columns": " ".join(table.columns),
        "sizes": [[len(keys), len(counts)] for keys, counts in zip(table.keys, table.counts, strict=True)],
        "sums": int(sums),
        "interpolated": table.interpolated,
    }
    arrays = [
        (keys.astype(np.int64), offsets.astype(np.int64), tokens.astype(np.int64), counts.astype(np.int64))
        for keys, offsets, tokens, counts in zip(table.keys, table.offsets, table.tokens, table.counts, strict=True)
    ]
    _walk(made, table.columns, arrays, size, sums)
    return head


def _read(made: Coder, head: Mapping[str, Any], size: int) -> Table:
    columns, sizes = tuple(str(head["columns"]).split()), head["sizes"]
    if len(sizes) != len(columns) + 1 or not all(0 <= n <= LARGEST for pair in sizes for n in pair):
        raise ValueError("a table's sizes")
    arrays = [
        (np.zeros(contexts, np.int64), np.zeros(contexts + 1, np.int64), *np.zeros((2, entries), np.int64))
        for contexts, entries in sizes
    ]
    _walk(made, columns, arrays, size, bool(head["sums"]))
    keys, offsets, tokens, counts = zip(*arrays, strict=True)
    return Table(columns, _NOTHING, keys, offsets, tokens, counts, _NOTHING, _NOTHING, bool(head["interpolated"]))


def _walk(made: Coder, columns: Sequence[str], arrays: Sequence[Any], size: int, sums: bool) -> None:
    """Write or read all levels of a table. ValueError where they cannot be read, or not be written."""
    numbers = np.array([_number_of(column) for column in columns], np.int64)
    keys, offsets, tokens, counts = arrays[0]
    if len(keys) != 1 or nothing_before(made, tokens, counts, size) != len(tokens):
        raise ValueError("the counts of single tokens")
    offsets[:] = 0, len(tokens)
    values = np.zeros((1, 0), np.int64)
    for depth in range(1, len(arrays)):
        shorter = arrays[depth - 1][1:]
        keys, offsets, tokens, _ = arrays[depth]
        found = level(made, numbers[:depth], values, shorter, arrays[depth], size, int(sums))
        if found != len(keys) or offsets[-1] != len(tokens):
            raise ValueError(f"the contexts of {depth} columns")
        values = np.column_stack([values[keys // size], keys % size])


def _number_of(column: str) -> int:
    """Number the columns: recent tokens by how recent they are."""
    if column == "place":
        return 15
    before = {"c": 0, "f": RECENT, "k": 16}
    number = int(column[1:])
    if column[0] not in before or not 1 <= number <= RECENT:
        raise ValueError(f"a column {column[:20]!r}")
    return before[column[0]] + number


def _sums_up(table: Table) -> bool:
    """Say whether the counts of longer contexts sum up to those of shorter ones."""
    if len(table.counts) < 2:
        return True
    here, above = (float(counts.astype(np.float64).sum()) for counts in table.counts[:2])
    return abs(above - here) <= abs(len(table.counts[1]) - here)
