"""What was read of each line, as a state of whole numbers: `past` (B, 15), all 0 before a line begins.

Twelve last tokens, the newest first, the line's first two, and how many were read, the boundary among them (see
`models/counts/past.py`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from onnx import TensorProto

from ...models.counts.views import FIRST, RECENT
from .graph import Graph

WIDTH = RECENT + FIRST + 1


class Past:
    """The columns of the past, each made when it is first asked for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made: dict[str, str] = {"c1": "token"}

    def column(self, name: str, kind: type[np.integer[Any]] = np.int64, classes: np.ndarray | None = None) -> str:
        """Give a column (B,) by its name, int64 or int32; of classes, those of tokens (V,) are needed."""
        if name.startswith("k") and classes is not None:
            table = self._graph.constant(f"classes.{_hash_of(classes)}", classes.astype(kind))
            return self._graph.node("Gather", table, self.column(f"c{name[1:]}"))
        if name not in self._made:
            self._read()
        if kind is np.int64:
            return self._made[name]
        small = f"{name}.small"
        if small not in self._made:
            self._made[small] = self._graph.node("Cast", self._made[name], to=TensorProto.INT32)
        return self._made[small]

    def _read(self) -> None:
        """Take the state apart, and put it together again with one token more."""
        graph = self._graph
        state = graph.state("past", "int", WIDTH)
        place = self._before(state, WIDTH - 1)  # so many were read before this one: its place
        self._made["place"] = place
        columns = ["token", *(self._before(state, back) for back in range(RECENT - 1))]
        self._made |= {f"c{back}": column for back, column in enumerate(columns, 1)}
        for number in range(1, FIRST + 1):
            here = graph.node("Equal", place, graph.whole(number))
            first = graph.node("Where", here, "token", self._before(state, RECENT + number - 1))
            self._made[f"f{number}"] = first
            columns.append(first)
        columns.append(graph.node("Add", place, graph.whole(1)))
        after = [graph.node("Unsqueeze", column, graph.whole([1])) for column in columns]
        graph.renew(state, graph.node("Concat", *after, axis=1))

    def _before(self, state: str, column: int) -> str:
        return self._graph.node("Gather", state, self._graph.whole(column), axis=1)


def _hash_of(array: np.ndarray) -> str:
    """A short name for what stands in an array, so that it is written once."""
    return sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]
