"""Copies and pickles of graphs of any depth, without recursion.

A deep copy keeps every node's identity: what was shared is shared in the copy. A pickle describes the graph
of one root as a flat list: leaves stay shared with whatever else is in the same pickle (a model's
parameters, say), nodes between belong to their root. A graph that was stale (a leaf changed after use) is
stale in the copy, too. Subclasses, and attributes that were set on a Value, are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from .by_hand import refuse_by_hand
from .graph import Node, interior, make, mark_changed, nodes, overwritten
from .listening import look

_REMEDY = "use the Value itself, or copy it outside the function"
About = tuple[float, float, str, type[Node], dict[str, Any] | None]  # data, grad, label, class, attributes


def deepcopy(root: Node, memo: dict[int, Any]) -> Any:
    """Copy the graph of `root` for `copy.deepcopy`, whose memo maps the id of an original to its copy."""
    look("a copy of a Value", _REMEDY)
    for node in nodes(root):  # parents come first, so that their copies are there
        if id(node) not in memo:
            refuse_by_hand(node, "copied")
            parents = tuple([memo[id(parent)] for parent in node.parents])
            data, grad, label, kind, attributes = _about(node)
            memo[id(node)] = restore(node.op, parents, (data, grad, label, kind, None))
            if attributes:  # after the node is in the memo: they may lead back to it
                vars(memo[id(node)]).update(copy.deepcopy(attributes, memo))
    for node in _changed(root):
        mark_changed(memo[id(node)])
    return memo[id(root)]


def flatten(root: Node, restore_leaf: Callable[[bool, About], Any]) -> tuple[Any, ...]:
    """Describe the graph of `root` for `pickle`: a function and its arguments; of a leaf the one that is given."""
    look("a copy or a pickle of a Value", _REMEDY)
    if not root.parents:
        return restore_leaf, (root.op.name == "constant", _about(root))
    order = nodes(root)
    for node in order:
        refuse_by_hand(node, "pickled")
    position = {node: index for index, node in enumerate(order)}
    leaves = tuple([node for node in order if not node.parents])  # as objects: pickle sees who shares them
    plan = [
        (node.op, tuple([position[parent] for parent in node.parents]), _about(node))
        for node in order[len(leaves) :]
    ]
    return _restore_graph, (leaves, plan, [position[node] for node in _changed(root)])


def _restore_graph(leaves: tuple[Node, ...], plan: list[Any], changed: list[int]) -> Node:
    made = list(leaves)
    for op, parents, told in plan:
        made.append(restore(op, tuple([made[position] for position in parents]), told))
    for position in changed:
        mark_changed(made[position])
    return made[-1]


def _about(node: Node) -> About:
    """Return all that a copy of `node` needs beside its operation and its parents."""
    # asking for `__dict__` would make one; `object.__getstate__` gives None if there is none
    attributes = object.__getstate__(node)[0]  # type: ignore[index]
    return node._data, node._grad, node.label, type(node), attributes


def restore(op: Any, parents: tuple[Any, ...], told: About) -> Any:
    """Return a node of which everything but its operation and its parents is told."""
    data, grad, label, kind, attributes = told
    node = make(op, parents, data, kind)
    node._grad = grad
    if label:
        node.label = label
    if attributes:
        vars(node).update(attributes)
    return node


def _changed(root: Node) -> list[Node]:
    return list(dict.fromkeys([changed for changed, _ in overwritten(interior(root))]))
