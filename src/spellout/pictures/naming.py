"""Names and formulas for people: what a node is called, how it was computed, and the box that shows it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count

from ..autograd import ops
from ..autograd.value import CONSTANT, Value

_INFIX = {ops.add, ops.sub, ops.mul, ops.div, ops.pow}
_SHOWN = 6  # arguments of a long sum


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
    op: ops.Op
    data: float
    grad: float
    parents: tuple[int, ...]


def number(x: float) -> str:
    """Return x in a few characters, as a person writes it."""
    return f"{x:.6g}"


def name_all(order: Collection[Value]) -> dict[Value, str]:
    """Name every node: its label, a constant's number, else v1, v2, ... in the order given."""
    taken = {node.label for node in order}  # a value may have been labelled v1 by its owner
    free = (name for name in map("v{}".format, count(1)) if name not in taken)
    return {node: node.label or (number(node.data) if node.op is CONSTANT else next(free)) for node in order}


def formula(node: Value, names: dict[Value, str]) -> str:
    """Return how `node` was computed from its parents: `a * b`, `tanh(n)`; empty for a leaf."""
    arguments = [names[parent] for parent in node.parents]
    if not arguments:
        return ""
    if node.op in _INFIX:
        left, right = [f"({text})" if text.startswith("-") else text for text in arguments]
        return f"{left} {node.op.symbol} {right}"
    if node.op is ops.neg:
        return f"-{arguments[0]}"
    if len(arguments) > _SHOWN:
        arguments[_SHOWN - 1 : -1] = [f"... {len(arguments) - _SHOWN} more ..."]
    return f"{node.op.name}({', '.join(arguments)})"
