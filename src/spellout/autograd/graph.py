"""Walking a graph: nodes are data, each with an op and a tuple of parents, so all else is walking.

A node's parents existed before it did. So the serial number that every Value gets when it is made puts any
part of a graph in topological order: no recursion (a chain of a million is fine), and the same order on
every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from ..errors import GraphError

if TYPE_CHECKING:
    from .value import Value

_serial_of = attrgetter("_serial")


def interior(root: Value) -> list[Value]:
    """Return every node below `root`, itself included, that an operation made: newest (the root) first."""
    found = {root} if root.parents else set()
    stack = list(found)
    while stack:
        for parent in stack.pop().parents:
            if parent.parents and parent not in found:
                found.add(parent)
                stack.append(parent)
    return newest_first(found)


def newest_first(found: set[Value]) -> list[Value]:
    """Return the nodes in topological order, users before what they use."""
    return sorted(found, key=_serial_of, reverse=True)  # the set ends here: its order has no influence


def nodes(root: Value) -> list[Value]:
    """Return every node below `root` and itself: leaves in order of use, then the others, oldest first."""
    made = interior(root)[::-1]
    leaves = dict.fromkeys(parent for node in made for parent in node.parents if not parent.parents)
    return [*leaves, *made] if made else [root]


def overwritten(order: list[Value]) -> Iterator[tuple[Value, Value]]:
    """Yield (changed, user): every node whose data was assigned after `user` was computed from it."""
    if order and order[0]._serial % 1:
        yield order[0], order[0]
    for node in order:
        for parent in node.parents:
            if parent._serial > node._serial or parent._serial % 1:
                yield parent, node


def refuse_overwritten(order: list[Value]) -> None:
    """Raise GraphError if a value in the graph is not the one that the graph was computed from."""
    for changed, user in overwritten(order):
        name = f" {changed.label!r}" if changed.label else ""
        raise GraphError(
            f"the data of a Value{name} was changed (to {changed._data:g}) after "
            f"{user._op or 'an operation'!r} had used it, so its gradient would mix old and new numbers; "
            "compute the result again before backward()"
        )
