"""Copies and pickles of graphs of any depth, without recursion.

A deep copy keeps every node's identity: what was shared is shared in the copy. A pickle describes the graph
of one root as a flat list: leaves stay shared with whatever else is in the same pickle (a model's
parameters, say), nodes between belong to their root. A graph that was stale (a leaf changed after use) is
stale in the copy, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph import interior, nodes, overwritten
from .taping import look

if TYPE_CHECKING:
    from .ops import Op
    from .value import Value

_REMEDY = "use the Value itself, or copy it outside the function"


def deepcopy(root: Value, memo: dict[int, Any]) -> Value:
    """Copy the graph of `root` for `copy.deepcopy`, whose memo maps the id of an original to its copy."""
    look("a copy of a Value", _REMEDY)
    for node in nodes(root):
        if id(node) not in memo:
            parents = tuple([memo[id(parent)] for parent in node.parents])
            memo[id(node)] = _make(node.op, parents, node.data, node.grad, node.label)
    for node in _changed(root):
        memo[id(node)]._mark_overwritten()
    copy: Value = memo[id(root)]
    return copy


def flatten(root: Value) -> tuple[Any, ...]:
    """Describe the graph of `root` for `pickle`: a function and its arguments."""
    look("a copy or a pickle of a Value", _REMEDY)
    if not root.parents:
        return _restore_leaf, (root.op is _rows()[1], root.data, root.grad, root.label)
    order = nodes(root)
    place = {node: index for index, node in enumerate(order)}
    leaves = tuple([node for node in order if not node.parents])
    plan = [
        (node.op, tuple([place[parent] for parent in node.parents]), node.data, node.grad, node.label)
        for node in order[len(leaves) :]
    ]
    return _restore, (leaves, plan, [place[node] for node in _changed(root)])


def _restore_leaf(constant: bool, data: float, grad: float, label: str) -> Value:
    return _make(_rows()[constant], (), data, grad, label)


def _restore(leaves: tuple[Value, ...], plan: list[Any], changed: list[int]) -> Value:
    made = list(leaves)
    for op, places, data, grad, label in plan:
        made.append(_make(op, tuple([made[place] for place in places]), data, grad, label))
    for place in changed:
        made[place]._mark_overwritten()
    return made[-1]


def _make(op: Op, parents: tuple[Value, ...], data: float, grad: float, label: str) -> Value:
    from .value import _node

    node = _node(op, parents, data)
    node.grad = grad
    if label:
        node.label = label
    return node


def _rows() -> tuple[Op, Op]:
    from .value import CONSTANT, LEAF

    return LEAF, CONSTANT


def _changed(root: Value) -> list[Value]:
    return list(dict.fromkeys([changed for changed, _ in overwritten(interior(root))]))
