"""Copies and pickles of graphs of any depth, without recursion.

A deep copy keeps every node's identity: what was shared is shared in the copy. A pickle describes the graph of one
root as a flat list: leaves stay shared with whatever else is in the same pickle (a model's parameters, say), nodes
between belong to their root. A graph that was stale (a leaf changed after use) is stale in the copy, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph import interior, nodes, overwritten

if TYPE_CHECKING:
    from .ops import Op
    from .value import Value


def deepcopy(root: Value, memo: dict[int, Any]) -> Value:
    """Copy the graph of `root` for `copy.deepcopy`, whose memo maps the id of an original to its copy."""
    changed = _changed(root)
    for node in nodes(root):
        if id(node) not in memo:
            parents = tuple([memo[id(parent)] for parent in node.parents])
            memo[id(node)] = _make(node.op, parents, node.data, node.grad, node.label, node in changed)
    copy: Value = memo[id(root)]
    return copy


def flatten(root: Value) -> tuple[Any, ...]:
    """Describe the graph of `root` for `pickle`: a function and its arguments."""
    if not root.parents:
        from .value import CONSTANT

        return restore_leaf, (root.data, root.grad, root.label, root.op is CONSTANT)
    order, changed = nodes(root), _changed(root)
    place = {node: index for index, node in enumerate(order)}
    leaves = tuple([node for node in order if not node.parents])
    plan = [
        (node.op, tuple([place[p] for p in node.parents]), node.data, node.grad, node.label, node in changed)
        for node in order[len(leaves) :]
    ]
    return restore, (leaves, [leaf in changed for leaf in leaves], plan)


def restore_leaf(data: float, grad: float, label: str, constant: bool) -> Value:
    """Make a leaf again."""
    from .value import CONSTANT, LEAF

    return _make(CONSTANT if constant else LEAF, (), data, grad, label, False)


def restore(leaves: tuple[Value, ...], stale: list[bool], plan: list[Any]) -> Value:
    """Make a graph again from `flatten`'s description and return its root."""
    made = list(leaves)
    for op, places, data, grad, label, changed in plan:
        made.append(_make(op, tuple([made[place] for place in places]), data, grad, label, changed))
    for leaf, is_stale in zip(leaves, stale, strict=True):
        if is_stale:
            leaf._mark_overwritten()
    return made[-1]


def _make(op: Op, parents: tuple[Value, ...], data: float, grad: float, label: str, changed: bool) -> Value:
    from .value import _node

    node = _node(op, parents, data)
    node.grad = grad
    if label:
        node.label = label
    if changed and parents:
        node._mark_overwritten()
    return node


def _changed(root: Value) -> set[Value]:
    return {changed for changed, _ in overwritten(interior(root))}
