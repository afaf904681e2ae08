"""Names and formulas for people: what a node is called and how it was computed."""

from __future__ import annotations

from collections.abc import Iterable

from ..autograd import ops
from ..autograd.value import CONSTANT, Value

_INFIX = {ops.add, ops.sub, ops.mul, ops.div, ops.pow}
_SHOWN = 6  # arguments of a long sum


def number(x: float) -> str:
    """Return x in a few characters, as a person writes it."""
    return f"{x:.6g}"


def name_all(order: Iterable[Value]) -> dict[Value, str]:
    """Name every node: its label, a constant's number, else v1, v2, ... in the order given."""
    names: dict[Value, str] = {}
    taken = {node.label for node in order}
    count = 0
    for node in order:
        if node.label:
            names[node] = node.label
        elif node.op is CONSTANT:
            names[node] = number(node.data)
        else:
            count += 1
            while f"v{count}" in taken:
                count += 1
            names[node] = f"v{count}"
    return names


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
