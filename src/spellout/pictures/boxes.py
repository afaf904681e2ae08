"""A box of a drawing: all that whoever draws or plays a graph needs to know of one node."""

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
