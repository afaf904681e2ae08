"""Graphs: nodes that are plain data, the walk over them, and the chain rule.

A node holds an operation, a tuple of parents, a number and a gradient. There are no closures, so there are no
reference cycles and the garbage collector finds nothing to do, which is where micrograd spends nine tenths of its
time. A node's parents existed before it did. So the serial number that every node gets when it is made puts any
part of a graph in topological order: no recursion (a chain of a million is fine), and the same order on every
run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, TypeVar

from ..errors import GraphError, ValueTypeError
from .listening import RECORDINGS, current_listener, look

_Node = TypeVar("_Node", bound="Node")
_Key = TypeVar("_Key")

SYMBOLIC = "use spellout.grad(y, x, create_graph=True), whose results are computed for every example"

next_serial = count(1).__next__  # atomic: two threads never get the same serial
_last_change = 0.0  # the serial of the newest assignment to any node's data: older graphs must be looked at
_changing = threading.Lock()  # without it a thread that was interrupted could write an older serial over a newer
_serial_of = attrgetter("_serial")
_new = object.__new__


class Node:
    """What a graph is made of; `Value` adds arithmetic to it."""

    # `__dict__`: attributes of the user's; in Python 3.11 that takes 32 bytes a node, and no time to speak of
    __slots__ = ("__dict__", "_data", "_grad", "_label", "_serial", "op", "parents")

    _data: float
    _grad: float
    _label: str
    _serial: float
    op: Any
    parents: tuple[Any, ...]

    @property
    def label(self) -> str:
        """The name in drawings and messages; empty if none was given."""
        return getattr(self, "_label", "")

    @label.setter
    def label(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValueTypeError(
                f"a label is text, got {text!r}; to make an operation of your own use spellout.operation"
            )
        self._label = text

    @property
    def _op(self) -> str:
        symbol: str = self.op.symbol
        return symbol

    def backward(self) -> None:
        """Add d(self)/d(leaf) to the `grad` of every leaf below, and set the `grad` of every node between.

        Shared nodes get the sum over all paths (the multivariate chain rule). A second call adds the same
        again to the leaves, and only to them, as PyTorch does; `zero_grad` starts over.

        Raises:
            GraphError: a leaf's data was changed after the graph was computed from it.
        """
        look("`backward()`", SYMBOLIC)
        order = current_interior(self)
        if not order:  # a leaf is its own root, and adds up like any other leaf
            self._grad += 1.0
            return
        for node in order:
            node._grad = 0.0
        self._grad = 1.0
        pass_on(order)

    def zero_grad(self) -> None:
        """Set the gradient of this and of every node below to zero."""
        for node in nodes(self):
            node._grad = 0.0


def make(op: Any, parents: tuple[Any, ...], data: float, kind: type[_Node]) -> _Node:
    """Return a new node of the class `kind`, and let the recording that goes on in this thread hear of it."""
    node = _new(kind)
    node._data = data
    node._grad = 0.0
    node.op = op
    node.parents = parents
    node._serial = next_serial()
    if RECORDINGS:
        announce(node)
    return node


def announce(node: Node) -> None:
    """Tell the recording that goes on in this thread, if one does, that `node` was made."""
    listener = current_listener()
    if listener is not None:
        listener.made(node)


def mark_changed(node: Node) -> None:
    """Note that the data of `node` was assigned: graphs that were computed from the old number are stale."""
    global _last_change
    with _changing:
        _last_change = changed = next_serial()
    # a leaf becomes newer than its users; a computed node keeps its place in the order and gets a half
    node._serial = int(node._serial) + 0.5 if node.parents else changed


# The walk -------------------------------------------------------------------------------------------------


def interior(root: _Node) -> list[_Node]:
    """Return every node below `root`, itself included, that an operation made: newest (the root) first."""
    found = {root} if root.parents else set()
    stack = list(found)  # of our own, as Python's would end at a thousand nodes
    while stack:
        for parent in stack.pop().parents:
            if parent.parents and parent not in found:
                found.add(parent)
                stack.append(parent)
    return newest_first(found)


def newest_first(found: set[_Node]) -> list[_Node]:
    """Return the nodes in topological order, users before what they use."""
    return sorted(found, key=_serial_of, reverse=True)  # the set ends here: its order has no influence


def nodes(root: _Node) -> list[_Node]:
    """Return every node below `root` and itself: leaves in order of use, then the others, oldest first."""
    made = interior(root)[::-1]
    # a dict keeps the order in which they are found, a set would not
    leaves = dict.fromkeys(parent for node in made for parent in node.parents if not parent.parents)
    return [*leaves, *made] if made else [root]


def overwritten(order: list[_Node]) -> Iterator[tuple[_Node, _Node]]:
    """Yield (changed, user): every node whose data was assigned after `user` was computed from it."""
    if order and order[0]._serial % 1:
        yield order[0], order[0]
    for node in order:
        for parent in node.parents:
            if parent._serial > node._serial or parent._serial % 1:  # see `mark_changed`
                yield parent, node


def current_interior(root: _Node) -> list[_Node]:
    """Return `interior(root)`; GraphError if a value in it is not the one that the graph was computed from."""
    order = interior(root)
    if (
        order and order[-1]._serial < _last_change
    ):  # else nothing at all was assigned since its oldest node was made
        for changed, user in overwritten(order):
            name = f" {changed.label!r}" if changed.label else ""
            raise GraphError(
                f"the data of a Value{name} was changed (to {changed._data:g}) after "
                f"{user._op or 'an operation'!r} had used it, so its gradient would mix old and new numbers; "
                "compute the result again before backward()"
            )
    return order


# The chain rule -------------------------------------------------------------------------------------------


def local_derivatives(node: Node) -> Sequence[Any]:
    """Return d(node)/d(parent) for each of its parents; None for one that has no influence here."""
    partials: Sequence[Any] = node.op.partials(node._data, *[parent._data for parent in node.parents])
    return partials


def pass_on(order: Iterable[Node]) -> None:
    """Add to the gradient of each node's parents: the node's gradient times the local derivative.

    Users come before what they use, so that a node's gradient is complete when its turn comes.
    """
    for node in order:
        grad, parents = node._grad, node.parents
        if len(parents) == 2:  # most nodes; written out, they take a third of the time
            a, b = parents
            by_a, by_b = node.op.partials(node._data, a._data, b._data)
            if by_a is not None:
                a._grad += grad * by_a
            if by_b is not None:
                b._grad += grad * by_b
        else:
            for parent, partial in zip(parents, local_derivatives(node)):  # noqa: B905  # `strict` costs a twentieth
                if partial is not None:  # None masks even an infinite gradient, which 0 would turn into nan
                    parent._grad += grad * partial


def pull_back(
    order: Iterable[_Key],
    gradients: dict[_Key, Any],
    passed_on: Callable[[_Key, Any], Iterable[tuple[_Key, Any]]],
    heard: Callable[[_Key, _Key, Any, Any], None] | None = None,
) -> None:
    """Do what `pass_on` does, with gradients that stand beside the nodes and may be Values themselves.

    Args:
        order: users before what they use.
        gradients: what is known at the start (1 for the root); the others are added to it.
        passed_on: (node, its gradient) to a (parent, contribution) for each argument; None if it has no influence.
        heard: is called for each argument with the node, the parent, and the parent's gradient before and after.
    """
    for node in order:
        if node in gradients:
            for parent, contribution in passed_on(node, gradients[node]):
                before = after = gradients.get(parent)
                if contribution is not None:
                    # no `0 + ...` for the first: it would be one more node where gradients are Values
                    after = gradients[parent] = contribution if before is None else before + contribution
                if heard is not None:
                    heard(node, parent, before, after)
