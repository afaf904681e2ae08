"""Nodes made by hand: micrograd's way to an operation of one's own, with its number, its children and a function.

    out = Value(math.exp(x.data), (x,), "exp")

    def _backward():
        x.grad += out.data * out.grad

    out._backward = _backward

`backward` calls the function when `out.grad` is complete. What the function does is known to nobody else, so
higher derivatives, programs, the gradient check and copies refuse such a node and name `spellout.operation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import GraphError, ValueTypeError

_WAY = "declare the operation with spellout.operation(name, forward, derivative), and it works everywhere"


class ByHand:
    """The way back of one node that was made by hand: it stands where a row has its partial derivatives.

    Attributes:
        function: what was assigned to the node's `_backward`; None before.
    """

    __slots__ = ("function", "symbol")

    def __init__(self, symbol: str, function: Callable[[], Any] | None = None) -> None:
        self.symbol = symbol
        self.function = function

    def __call__(self, _: Any, *arguments: Any) -> tuple[None, ...]:
        """Let the function add to the gradients; there is nothing left to add for each of the arguments."""
        if self.function is None:
            raise GraphError(
                f"a Value was made by hand from others ({self.symbol!r}) and has no `_backward` that passes its "
                f"gradient on; assign one, or {_WAY}"
            )
        self.function()  # it adds to the gradients of the parents itself
        return (None,) * len(arguments)


def refuse_by_hand(node: Any, what: str) -> None:
    """Raise GraphError if `node`, a Value or its box in a drawing, was made by hand and so cannot be `what`."""
    if isinstance(node.op.partials, ByHand) and node.parents:
        raise GraphError(
            f"a Value made by hand ({node.op.symbol!r}) cannot be {what}, as only its own `_backward` knows its "
            f"derivative; {_WAY}"
        )


def children_of(children: object) -> tuple[Any, ...]:
    """Return the children that a Value is made from; ValueTypeError if they are not Values."""
    made = tuple(children) if isinstance(children, Iterable) else (children,)
    for child in made:
        if not hasattr(child, "_apply"):
            raise ValueTypeError(
                f"the children of a Value made by hand are a tuple of Values, got {child!r}; a label is given as "
                "label='...'"
            )
    return made


def refuse_on_leaf(function: Callable[[], Any] | None) -> None:
    """Raise GraphError if a `_backward` for a Value without children does something: nobody would call it."""
    if function is None:
        return
    # micrograd's constructor assigns `lambda: None`, and so do subclasses written for it
    code = getattr(function, "__code__", None)
    if code is None or code.co_names or code.co_freevars:
        raise GraphError(
            "a `_backward` was assigned to a Value that has no children; give them when it is made: "
            "Value(data, (x, y), 'name')"
        )
