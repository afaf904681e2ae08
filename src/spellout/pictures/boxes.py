"""A graph as it was when it was drawn: one box per node, for everything that draws or plays it."""

from __future__ import annotations

from dataclasses import dataclass

from ..autograd.ops import Op


@dataclass(frozen=True)
class Box:
    """One node as it was when it was drawn.

    Attributes:
        name, formula: what it is called and how it was computed.
        label: its own label, if it has one.
        kind: "leaf", "constant", "result" or "root".
        op: the operation that made it.
        data, grad: its numbers.
        parents: the positions of its parents in the drawing, one per argument.
    """

    name: str
    formula: str
    label: str
    kind: str
    op: Op
    data: float
    grad: float
    parents: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Boxes:
    """What `svg`, `dot` and `player` make a text of.

    Attributes:
        boxes: one per node, parents before their results, the root last; none if there are too many to draw.
        summary: the graph in one sentence.
        stale: whether a value was changed after others had been computed from it.
    """

    boxes: list[Box]
    summary: str
    stale: bool

    def __repr__(self) -> str:
        return f"<drawing: {self.summary}>"
