"""An n-gram table in ONNX: the context is found level by level, and what followed it is put into a row.

A context's longer ones stand side by side, in the order of their columns, so that a binary search among them finds
the next level's. Of an entry its share (count - D) / (total + θ) is kept, of a context the rest, which goes to the
shorter one.

    B lines · C contexts of a level · E entries of a level · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..step import Table
from .graph import Graph
from .past import Past


def row_of(graph: Graph, name: str, table: Table, past: Past, vocabulary_size: int) -> str:
    """Write the log-probabilities (B, V) that a table gives."""
    context = graph.node("Mul", past.column("c1", np.int32), _small(graph, 0))  # the one of no columns
    there = graph.node("Equal", context, context)
    contexts, found, columns = [context], [there], _columns(graph, table, past, vocabulary_size)
    for depth, column in enumerate(columns, 1):
        context, there = _longer(graph, f"{name}.{depth}", table, depth, context, there, column, vocabulary_size)
        contexts.append(context)
        found.append(there)
    if not table.interpolated:
        found = _longest_only(graph, found, columns)
    row = graph.constant(
        f"uniform{vocabulary_size}", np.full((1, vocabulary_size), 1 / vocabulary_size, np.float32)
    )
    for depth, (context, there) in enumerate(zip(contexts, found, strict=True)):
        if len(table.keys[depth]):
            row = _interpolated(graph, f"{name}.{depth}", table, depth, context, there, row, vocabulary_size)
    return graph.node("Log", row)


def _columns(graph: Graph, table: Table, past: Past, vocabulary_size: int) -> list[str]:
    """What the contexts are made of, (B,) each, 0 after the first that is."""
    columns: list[str] = []
    for name in table.columns[: len(table.keys) - 1]:
        column = past.column(name, np.int32, table.classes)
        if name == "place":
            column = graph.node("Min", column, _small(graph, vocabulary_size - 1))
        if columns:
            ended = graph.node("Equal", columns[-1], _small(graph, 0))
            column = graph.node("Where", ended, _small(graph, 0), column)
        columns.append(column)
    return columns


def _longer(
    graph: Graph, name: str, table: Table, depth: int, context: str, there: str, column: str, vocabulary_size: int
) -> tuple[str, str]:
    """Find the context (B,) of one column more, and whether it is there."""
    keys = table.keys[depth].astype(np.uint64)
    suffixes = (keys // np.uint64(vocabulary_size)).astype(np.int64)
    starts = np.searchsorted(suffixes, np.arange(len(table.keys[depth - 1]) + 1)).astype(np.int32)
    if not len(keys):
        return context, graph.node("And", there, graph.number(False, np.bool_))
    own = graph.constant(f"{name}.columns", (keys % np.uint64(vocabulary_size)).astype(np.int32))
    first, end = _range(graph, f"{name}.first", starts, context)
    most, place = int(np.diff(starts).max(initial=0)), first
    last = _small(graph, len(keys) - 1)
    for bit in reversed(range(max(most - 1, 0).bit_length())):
        further = graph.node("Add", place, _small(graph, 1 << bit))
        value = graph.node("Gather", own, graph.node("Min", further, last))
        inside = graph.node("Less", further, end)
        reaches = graph.node("And", inside, graph.node("LessOrEqual", value, column))
        place = graph.node("Where", reaches, further, place)
    place = graph.node("Min", place, last)
    same = graph.node("Equal", graph.node("Gather", own, place), column)
    there = graph.node("And", there, graph.node("And", same, graph.node("Less", first, end)))
    return graph.node("Where", there, place, _small(graph, 0)), there


def _range(graph: Graph, name: str, starts: np.ndarray, context: str) -> tuple[str, str]:
    """Where what belongs to each context (B,) begins and ends."""
    places = graph.constant(name, starts)
    return graph.node("Gather", places, context), graph.node(
        "Gather", places, graph.node("Add", context, _small(graph, 1))
    )


def _small(graph: Graph, value: int) -> str:
    return graph.number(value, np.int32)


def _longest_only(graph: Graph, found: list[str], columns: list[str]) -> list[str]:
    """Only the longest context counts that the line is long enough for."""
    if not columns:
        return found
    reaches, kept = found[0], [graph.node("Not", found[0])]
    for there, column in zip(found[1:-1], columns, strict=False):
        ends = graph.node("Equal", column, _small(graph, 0))
        kept.append(graph.node("And", there, graph.node("And", reaches, ends)))
        reaches = graph.node("And", reaches, graph.node("Not", ends))
    return [*kept, graph.node("And", found[-1], reaches)]


def _interpolated(
    graph: Graph, name: str, table: Table, depth: int, context: str, there: str, below: str, vocabulary_size: int
) -> str:
    """What followed a context, if it is there, over what followed the shorter one: probabilities (B, V)."""
    offsets, shares, rest = _parts(table, depth)
    most = int(np.diff(offsets).max())
    first, end = _range(graph, f"{name}.entries", offsets.astype(np.int32), context)
    along = graph.constant(f"along{most}", np.arange(most, dtype=np.int32)[None])
    places = graph.node("Add", graph.node("Unsqueeze", first, graph.whole([1])), along)  # (B, most)
    inside = graph.node("Less", places, graph.node("Unsqueeze", end, graph.whole([1])))
    places = graph.node("Min", places, _small(graph, len(shares) - 1))
    tokens = graph.node("Gather", graph.constant(f"{name}.tokens", table.tokens[depth].astype(np.int32)), places)
    # What lies beyond a context's entries goes to one token more, and is cut off again.
    tokens = graph.node("Where", inside, tokens, _small(graph, vocabulary_size))
    values = graph.node("Gather", graph.constant(f"{name}.shares", shares), places)
    sizes = graph.node("Concat", graph.node("Shape", "token"), graph.whole([vocabulary_size + 1]), axis=0)
    nothing = graph.node("Expand", graph.number(0.0), sizes)
    seen = graph.node("ScatterElements", nothing, tokens, values, axis=1)
    seen = graph.node("Slice", seen, graph.whole([0]), graph.whole([vocabulary_size]), graph.whole([1]))
    weight = graph.node("Gather", graph.constant(f"{name}.rest", rest[:, None]), context)  # (B, 1)
    row = graph.node("Add", seen, graph.node("Mul", weight, below))
    return graph.node("Where", graph.node("Unsqueeze", there, graph.whole([1])), row, below)


def _parts(table: Table, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the offsets (C + 1,), the share of each entry (E,), and the rest of each context (C,)."""
    offsets, counts = table.offsets[depth].astype(np.int64), table.counts[depth].astype(np.float64)
    taken = table.discounts[depth].astype(np.float64)[np.minimum(table.counts[depth], 3)]
    concentration = float(table.concentrations[depth])
    totals = np.add.reduceat(counts, offsets[:-1]) + concentration
    rest = (np.add.reduceat(taken, offsets[:-1]) + concentration) / totals
    shares = (counts - taken) / np.repeat(totals, np.diff(offsets))
    return offsets, shares.astype(np.float32), rest.astype(np.float32)
