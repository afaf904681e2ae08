"""Gradients as Values: the chain rule of `backward`, with a result that can be differentiated again.

While a function is recorded, partial derivatives branch: a row such as relu's says `None if x <= 0 else 1`. On
numbers that is a choice for good; a recorded program must choose for every example anew. So the row is asked with
every comparison answered both ways, and what it says becomes a tree of choices, made of `where`. The rows
themselves are written once. What an integer input picks branches, too: the graph knows the row of the one example
only, and each example has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast, overload

from ..errors import ValueTypeError
from . import ops
from .by_hand import refuse_by_hand
from .functions import PICK
from .graph import current_interior, local_derivatives, newest_first, pull_back
from .listening import Listener, current_listener, heard_by, look
from .value import CONSTANT, Value, lift

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
    gradients = _gradients(root, targets, create_graph)
    results = [lift(gradients.get(target, 0.0)) for target in targets]
    return results[0] if isinstance(wrt, Value) else results


def hessian(root: Value, wrt: Sequence[Value], create_graph: bool = False) -> list[list[Value]]:
    """Return the matrix of second derivatives: row i, column j is d²(root) / d(wrt[i]) d(wrt[j]).

    `create_graph` and errors are those of `grad`.
    """
    if not create_graph:
        look("`hessian(...)`", _REMEDY)
    return [grad(first, wrt, create_graph) for first in grad(root, wrt, create_graph=True)]


def _gradients(root: Value, targets: list[Value], symbolic: bool) -> dict[Value, Any]:
    """Return d(root)/d(node) by node, Values where `symbolic`, else floats; of nodes that lead to the targets."""
    order = _with_all_rows(current_interior(root))
    leads_to = set(targets)  # the others' gradients are nobody's business, and a program would compute them all
    for node in reversed(order):
        if not leads_to.isdisjoint(_parents_of(node)):
            leads_to.add(node)

    def passed_on(node: Value, gradient: Any) -> list[tuple[Value, Any]]:
        refuse_by_hand(node, "differentiated by grad or hessian")
        if symbolic:

            def scaled(partial: Any) -> Any:
                return partial if node is root else gradient * partial  # 1 · partial would be one more node

            pairs = zip(_parents_of(node), _contributions_of(node, scaled), strict=False)
            return [(parent, contribution) for parent, contribution in pairs if parent in leads_to]
        return [
            (parent, gradient * partial)
            for parent, partial in zip(node.parents, local_derivatives(node), strict=False)
            if partial is not None and parent in leads_to
        ]

    gradients: dict[Value, Any] = {root: 1.0}  # and no grad of a node is touched
    pull_back([node for node in order if node in leads_to], gradients, passed_on)
    return gradients


# While a function is recorded -----------------------------------------------------------------------------


class _Undecided(Exception):
    """A row compared two numbers, and there is no answer yet."""


class _Answers:
    """A listener that passes on what it hears to the recording's, and answers comparisons in turn."""

    def __init__(self, listener: Listener, answers: tuple[bool, ...]) -> None:
        self.listener = listener
        self.answers = iter(answers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.listener, name)

    def compared(self, symbol: str, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
        if all(not isinstance(x, Value) or x.op is CONSTANT for x in (a, b)):
            return bool(compare(*[getattr(x, "_data", x) for x in (a, b)]))  # the same for every example
        for answer in self.answers:
            return answer
        raise _Undecided(symbol, a, b)


def _parents_of(node: Value) -> Sequence[Any]:
    """Return what `node` was made from; while a function is recorded, all that an integer input may pick for it."""
    listener = current_listener()
    return node.parents if listener is None or node.op is not PICK else listener.candidates(node)


def _with_all_rows(order: list[Value]) -> list[Value]:
    """Return `order`, newest first; while a function is recorded, with what is below rows that may be picked."""
    found = set(order)
    stack = [node for node in order if node.op is PICK and current_listener() is not None]
    if not stack:
        return order
    while stack:
        for parent in _parents_of(stack.pop()):
            if isinstance(parent, Value) and parent.parents and parent not in found:
                found.add(parent)
                stack.append(parent)
    return newest_first(found)


def _contributions_of(node: Value, scaled: Callable[[Any], Any]) -> Sequence[Any]:
    """Return what each of `_parents_of` gets from `node`, if anything: `scaled` of the row's partial derivative."""
    listener = current_listener()
    if listener is None:
        return [None if partial is None else scaled(partial) for partial in node.op.partials(node, *node.parents)]
    if node.op is PICK:  # one of the candidates gets all, and which one depends on the example
        position, whole = listener.position(node), scaled(1.0)
        return [_chosen("==", position, float(row), whole, None) for row in range(len(_parents_of(node)))]
    return _every_branch(node, scaled, listener, ())


def _every_branch(
    node: Value, scaled: Callable[[Any], Any], listener: Listener, answers: tuple[bool, ...]
) -> Sequence[Any]:
    try:
        with heard_by(cast(Listener, _Answers(listener, answers))):
            partials = node.op.partials(node, *node.parents)
    except _Undecided as question:
        symbol, a, b = question.args
    else:  # scaled inside the branch: what is not chosen is masked, even an infinite gradient
        return [None if partial is None else scaled(partial) for partial in partials]
    yes, no = [_every_branch(node, scaled, listener, (*answers, answer)) for answer in (True, False)]
    return [_chosen(symbol, a, b, *both) for both in zip(yes, no, strict=True)]


def _chosen(symbol: str, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Return `yes` where the comparison holds, else `no`, by `where`, whose condition is "above 0"."""
    if yes is no:
        return yes
    yes, no = [lift(0.0 if branch is None else branch) for branch in (yes, no)]
    if symbol in ("<=", ">=", "!="):  # the opposite holds; a nan is on the side of neither, and will be noticed
        symbol, yes, no = {"<=": ">", ">=": "<", "!=": "=="}[symbol], no, yes
    if symbol == ">":
        return ops.where(_less(a, b), yes, no)
    if symbol == "<":
        return ops.where(_less(b, a), yes, no)
    return ops.where(_less(a, b), no, ops.where(_less(b, a), no, yes))


def _less(a: Any, b: Any) -> Any:
    """Return a - b, of which only the sign matters."""
    return a if not isinstance(b, Value) and b == 0.0 else a - b
