"""Functions of many Values: sums, means, products of lists, the softmax family, and picking a row.

Each accepts Values and plain numbers, mixed, and returns Values. An `Index` is an integer input of a recorded
program. Each example has its own, so all it can do is pick: as a plain Python number it would be frozen into the
recording without a word, so everything else is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, NoReturn, SupportsIndex

from ..errors import RecordingError, ShapeError, UsageError, ValueTypeError
from . import ops
from .conversion import is_array
from .listening import Listener, current_listener
from .ops import Op
from .value import Value, lift

_ELSEWHERE = (
    "an integer input of a recording was used after it, in another recording, or in another thread; it can only "
    "pick while it is recorded"
)
PICK = Op("pick", "pick", 1, lambda x: x, lambda out, x: (1.0,))  # not in the table: only an Index can make one


def sum(xs: Iterable[object]) -> Value:
    """Return x1 + ... + xn as one node (Python's own `sum` makes n of them); 0 for no arguments."""
    terms = tuple(xs)
    return Value._apply(ops.sum, terms) if terms else lift(0.0)


def mean(xs: Iterable[object]) -> Value:
    """Return the mean of one or more numbers."""
    return Value._apply(ops.mean, _some(xs, "mean"))


def dot(weights: Sequence[object], inputs: Sequence[object], bias: object | None = None) -> Value:
    """Return w1·x1 + ... + wn·xn (+ bias) as one node: what a neuron computes before its activation function.

    Raises:
        ShapeError: the two lengths differ.
    """
    if len(weights) != len(inputs):
        raise ShapeError(f"dot needs two lists of one length, got {len(weights)} and {len(inputs)} numbers")
    return Value._apply(ops.dot, (*weights, *inputs) if bias is None else (*weights, *inputs, bias))


def largest(xs: Iterable[object]) -> Value:
    """Return the largest of one or more numbers, nan if one is nan; those that tie share the gradient."""
    return Value._apply(ops.largest, _some(xs, "largest"))


def logsumexp(xs: Iterable[object]) -> Value:
    """Return log(exp(x1) + ... + exp(xn)), shifted by the maximum so that nothing overflows."""
    return Value._apply(ops.logsumexp, _some(xs, "logsumexp"))


def softmax(xs: Iterable[object]) -> list[Value]:
    """Return n numbers that are positive, sum to 1, and keep the order: exp(x) / sum(exp(x))."""
    return ops.softmax(_some(xs, "softmax"))


def log_softmax(xs: Iterable[object]) -> list[Value]:
    """Return the logarithms of `softmax(xs)`, exact where the softmax itself would underflow to 0."""
    logits = _some(xs, "log_softmax")
    shift = ops.largest(*logits)  # once and apart: next to 1e17 the logarithm of the sum would be rounded away
    shifted = [logit - shift for logit in logits]
    rest = ops.logsumexp(*shifted)
    return [logit - rest for logit in shifted]


def where(x: object, a: object, b: object) -> Value:
    """Return a if x is above 0, else b: a choice that a recorded program makes for every example anew."""
    return Value._apply(ops.where, (x, a, b))


class Index:
    """An integer of every example, which is another one in each.

    Attributes:
        example: the integer of the example that is recorded.
        number: which of the program's integers it is.
        listener: of the recording that it belongs to; it means nothing to any other.
    """

    __slots__ = ("example", "listener", "number")

    def __init__(self, example: int, number: int, listener: Listener) -> None:
        self.example = example
        self.number = number
        self.listener = listener

    def of(self, rows: Sequence[Any]) -> Any:
        """Return the row of each example: a Value, or a list of them if the rows are lists, or rows of an array."""
        if is_array(rows):
            rows = rows.tolist()  # type: ignore[attr-defined]
        if not 0 <= self.example < len(rows):
            raise ShapeError(f"the integer {self.example} of the example is outside 0 to {len(rows) - 1}")
        if not isinstance(rows[0], Sequence):
            return self._one(rows, None)
        return [self._one(rows, column) for column in range(len(rows[0]))]

    def _one(self, rows: Sequence[Any], column: int | None) -> Value:
        if current_listener() is not self.listener:
            raise RecordingError(_ELSEWHERE)
        row = rows[self.example]  # the example's own; which rows the others pick is known to the listener
        node = Value._apply(PICK, (lift(row if column is None else row[column]),))
        self.listener.picked(node, rows, column, self.number)
        return node

    def _refuse(self, *_: object) -> NoReturn:
        listener = current_listener()
        if listener is not None:
            listener.looked("an integer input as a plain number")
        raise RecordingError(_ELSEWHERE)

    __index__ = __int__ = __float__ = __bool__ = _refuse
    __array__ = _refuse  # `array[i]`: NumPy forgets what `__index__` said, and tries this
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


Real.register(Index)  # whoever takes real numbers then asks for this one, and is told why there is none


def pick(rows: Sequence[Any], index: SupportsIndex | Index, called: str = "row") -> Any:
    """Return `rows[index]`. In a recorded program the index may be an integer input: every example picks its own.

    Args:
        rows: Values, or lists of Values of one length, or an array.
        index: an integer from 0, or an `Index`.
        called: what the message calls a row.

    Raises:
        ShapeError: no such row.
    """
    if isinstance(index, Index):
        return index.of(rows)
    position = operator.index(index)
    if not 0 <= position < len(rows):  # no counting from the end: a token of -1 is a mistake
        raise ShapeError(f"{called} {position} is outside 0 to {len(rows) - 1}")
    return rows[position]


def freeze(value: object) -> float:
    """Return the number inside a Value, also while a function is recorded: the program will keep today's number.

    This declares that a branch on it is meant: `if freeze(v) > 0` is decided once, when the function is recorded.
    """
    return lift(value)._data


def _some(xs: Iterable[object], name: str) -> tuple[Value, ...]:
    values = tuple([lift(x) for x in xs])
    if not values:
        raise ShapeError(f"{name} needs at least one number")
    return values


def distinct_leaves(parameters: Any) -> list[Value]:
    """Return parameters as a list; each is a Value that was made and not computed, and stands there once.

    Raises:
        ValueTypeError: they are not Values, or one of them was computed.
        UsageError: one of them stands there twice. A gradient is the sum over all uses of a Value, so tied weights
            are one Value that is used twice and listed once.
    """
    try:
        values = list(parameters)
    except TypeError:
        remedy = "give its .parameters()" if hasattr(parameters, "parameters") else "give a list of Values"
        raise ValueTypeError(
            f"parameters are a list of Values, got one {type(parameters).__name__}; {remedy}"
        ) from None
    first: dict[Value, int] = {}  # by identity: two Values of one number are two parameters
    for i, value in enumerate(values):
        if not isinstance(value, Value):
            raise ValueTypeError(f"parameters are Values, got {value!r} ({type(value).__name__}) at place {i}")
        name = f" {value.label!r}" if value.label else ""
        if value.parents:
            raise ValueTypeError(
                f"the parameter{name} at place {i} was computed ({value.op.symbol!r}); a parameter is a Value "
                "that was made as it is"
            )
        if first.setdefault(value, i) != i:
            raise UsageError(
                f"parameters hold the same Value{name} twice, at the places {first[value]} and {i}; to tie "
                "weights use one Value in several places of the formula and list it once: its gradient is the sum "
                "over all uses"
            )
    return values
