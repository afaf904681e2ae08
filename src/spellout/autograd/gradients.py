"""Gradients as Values: the chain rule of `backward`, with a result that can be differentiated again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from ..errors import ValueTypeError
from .branches import contributions_of, parents_of, with_all_rows
from .by_hand import refuse_by_hand
from .taping import look
from .value import Value, fresh_interior, lift

_REMEDY = "ask for create_graph=True, whose results are computed for every example"


@overload
def grad(root: Value, wrt: Value, create_graph: bool = ...) -> Value: ...
@overload
def grad(root: Value, wrt: Sequence[Value], create_graph: bool = ...) -> list[Value]: ...


def grad(root: Value, wrt: Value | Sequence[Value], create_graph: bool = False) -> Value | list[Value]:
    """Return d(root)/d(w) for `wrt`, a Value or several, without touching anybody's `grad`.

    With `create_graph=True` the results remember how they were computed, so that second, third, ...
    derivatives are `grad` of `grad`; otherwise they are leaves. What `root` does not depend on has the
    gradient 0. While a function is recorded, only `create_graph=True` makes sense, and becomes part of the program.

    Raises:
        GraphError: a leaf's data was changed after the graph was computed from it.
        ValueTypeError: `root` or something in `wrt` is not a Value.
        RecordingError: in a recorded function, without `create_graph=True`.
    """
    if not create_graph:
        look("`grad(...)`", _REMEDY)
    targets = [wrt] if isinstance(wrt, Value) else list(wrt)
    for thing in (root, *targets):
        if not isinstance(thing, Value):
            raise ValueTypeError(f"grad needs Values, got {thing!r} ({type(thing).__name__})")
    gradients = _pull_back(root, with_all_rows(fresh_interior(root)), targets, create_graph)
    results = [lift(gradients.get(target, 0.0)) for target in targets]
    return results[0] if isinstance(wrt, Value) else results


def hessian(root: Value, wrt: Sequence[Value], create_graph: bool = False) -> list[list[Value]]:
    """Return the matrix of second derivatives: row i, column j is d²(root) / d(wrt[i]) d(wrt[j]).

    `create_graph` and errors are those of `grad`.
    """
    if not create_graph:
        look("`hessian(...)`", _REMEDY)
    return [grad(first, wrt, create_graph) for first in grad(root, wrt, create_graph=True)]


def _pull_back(root: Value, order: list[Value], targets: list[Value], symbolic: bool) -> dict[Value, Any]:
    """Return d(root)/d(node) by node: Values where `symbolic`, else floats."""
    leads_to = set(targets)
    for node in reversed(order):
        if not leads_to.isdisjoint(parents_of(node)):
            leads_to.add(node)
    gradients: dict[Value, Any] = {root: 1.0}
    for node in order:
        if node not in leads_to or node not in gradients:
            continue
        refuse_by_hand(node, "differentiated by grad or hessian")
        gradient = gradients[node]

        def scaled(partial: Any, gradient: Any = gradient, first: bool = node is root) -> Any:
            return partial if first else gradient * partial

        contributions: Sequence[Any]
        if symbolic:
            contributions = contributions_of(node, scaled)
        else:
            partials = node.op.partials(node.data, *[parent.data for parent in node.parents])
            contributions = [None if partial is None else scaled(partial) for partial in partials]
        for parent, contribution in zip(parents_of(node), contributions, strict=False):
            if contribution is not None and parent in leads_to:
                gradients[parent] = gradients[parent] + contribution if parent in gradients else contribution
    return gradients
