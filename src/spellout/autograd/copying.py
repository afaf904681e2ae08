"""Copies and pickles of graphs of any depth, without recursion.

A deep copy keeps every node's identity: what was shared is shared in the copy. A pickle describes the graph
of one root as a flat list: leaves stay shared with whatever else is in the same pickle (a model's
parameters, say), nodes between belong to their root. A graph that was stale (a leaf changed after use) is
stale in the copy, too. Subclasses, and attributes that were set on a Value, are kept.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from .by_hand import refuse_by_hand
from .graph import interior, nodes, overwritten
from .taping import look

if TYPE_CHECKING:
    from .ops import Op
    from .value import Value

_REMEDY = "use the Value itself, or copy it outside the function"
_About = tuple[float, float, str, "type[Value]", "dict[str, Any] | None"]  # data, grad, label, class, attributes


def deepcopy(root: Value, memo: dict[int, Any]) -> Value:
    """Copy the graph of `root` for `copy.deepcopy`, whose memo maps the id of an original to its copy."""
    look("a copy of a Value", _REMEDY)
    for node in nodes(root):
        if id(node) not in memo:
            refuse_by_hand(node, "copied")
            parents = tuple([memo[id(parent)] for parent in node.parents])
            data, grad, label, kind, attributes = _about(node)
            memo[id(node)] = _make(node.op, parents, (data, grad, label, kind, None))
            if attributes:
                vars(memo[id(node)]).update(copy.deepcopy(attributes, memo))
    for node in _changed(root):
        memo[id(node)]._mark_overwritten()
    twin: Value = memo[id(root)]
    return twin


def flatten(root: Value) -> tuple[Any, ...]:
    """Describe the graph of `root` for `pickle`: a function and its arguments."""
    look("a copy or a pickle of a Value", _REMEDY)
    if not root.parents:
        return _restore_leaf, (root.op is _rows()[1], _about(root))
    order = nodes(root)
    for node in order:
        refuse_by_hand(node, "pickled")
    place = {node: index for index, node in enumerate(order)}
    leaves = tuple([node for node in order if not node.parents])
    plan = [
        (node.op, tuple([place[parent] for parent in node.parents]), _about(node)) for node in order[len(leaves) :]
    ]
    return _restore, (leaves, plan, [place[node] for node in _changed(root)])


def _restore_leaf(constant: bool, about: _About) -> Value:
    return _make(_rows()[constant], (), about)


def _restore(leaves: tuple[Value, ...], plan: list[Any], changed: list[int]) -> Value:
    made = list(leaves)
    for op, places, about in plan:
        made.append(_make(op, tuple([made[place] for place in places]), about))
    for place in changed:
        made[place]._mark_overwritten()
    return made[-1]


def _about(node: Value) -> _About:
    # asking for `__dict__` would make one; `object.__getstate__` gives None if there is none
    attributes = object.__getstate__(node)[0]  # type: ignore[index]
    return node.data, node.grad, node.label, type(node), attributes


def _make(op: Op, parents: tuple[Value, ...], about: _About) -> Value:
    from .value import _node

    data, grad, label, kind, attributes = about
    node = _node(op, parents, data, kind)
    node.grad = grad
    if label:
        node.label = label
    if attributes:
        vars(node).update(attributes)
    return node


def _rows() -> tuple[Op, Op]:
    from .value import CONSTANT, LEAF

    return LEAF, CONSTANT


def _changed(root: Value) -> list[Value]:
    return list(dict.fromkeys([changed for changed, _ in overwritten(interior(root))]))
