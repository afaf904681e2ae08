"""Value: one number that remembers how it was made, and can say how everything it was made from moves it.

The engine of Andrej Karpathy's micrograd (https://github.com/karpathy/micrograd), finished. A Value is a node of a
graph, whose walk and whose `backward` stand in `graph.py`; here it gets arithmetic, from the rows of `ops.py`.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable
from math import nan
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..errors import ValueTypeError
from . import ops
from .by_hand import ByHand, children_of, refuse_on_leaf
from .conversion import as_float, each, is_array, warn_of_math
from .copying import About, deepcopy, flatten, restore
from .graph import SYMBOLIC, Node, announce, make, mark_changed, next_serial, pass_on
from .listening import RECORDINGS, current_listener, look
from .ops import Op

_NO_CHILDREN = ()
LEAF = Op("leaf", "", 0, lambda: 0.0, lambda out: ())
CONSTANT = Op("constant", "", 0, lambda: 0.0, lambda out: ())  # a leaf that was a plain number in a formula


def lift(number: object) -> Value:
    """Return `number` itself if it is a Value, else a constant leaf; ValueTypeError if it is neither."""
    if isinstance(number, Value):
        return number
    return make(CONSTANT, (), number if type(number) is float else as_float(number), Value)


def _by_hand(symbol: str, function: Callable[[], Any] | None = None) -> Op:
    return Op(symbol or "by hand", symbol, None, lambda *numbers: nan, ByHand(symbol, function))


def _restore_leaf(constant: bool, told: About) -> Any:
    return restore(CONSTANT if constant else LEAF, (), told)


def _unary(op: Op) -> Callable[[Value], Value]:
    forward = op.forward  # here and not at every call, as these methods are the forward pass

    def method(self: Value) -> Value:
        return make(op, (self,), forward(self._data), type(self))

    return method


def _binary(op: Op) -> tuple[Callable[[Value, object], Value], Callable[[Value, object], Value]]:
    forward = op.forward

    def method(self: Value, other: object) -> Any:
        kind = type(self)
        if type(other) is not Value:
            try:
                other = lift(other)
            except ValueTypeError:
                if not is_array(other):
                    raise
                return each(functools.partial(method, self), other)  # a lambda would slow every use of `self`
            if isinstance(other, kind):
                kind = type(other)  # of a class and its subclass, the result is of the subclass
        return make(op, (self, other), forward(self._data, other._data), kind)

    def reflected(self: Value, other: object) -> Any:
        try:
            constant = lift(other)
        except ValueTypeError:
            if not is_array(other):
                raise
            return each(functools.partial(reflected, self), other)
        return make(op, (constant, self), forward(constant._data, self._data), type(self))

    return method, reflected


def _comparison(symbol: str, compare: Callable[[Any, Any], Any]) -> Callable[[Value, object], bool]:
    def method(self: Value, other: object) -> Any:
        if not isinstance(other, Value | Real):
            if is_array(other):
                return each(functools.partial(compare, self), other, bool)
            try:
                other = as_float(other)  # a number of another kind, such as Decimal
            except ValueTypeError:
                return NotImplemented  # Python then asks the other, and says False to `value == None`
        if RECORDINGS:
            listener = current_listener()
            if listener is not None:  # the answer would be frozen into the program
                return listener.compared(symbol, compare, self, other)
        if isinstance(other, Value):
            other = other._data
        return bool(compare(self._data, other))

    return method


class Value(Node):
    """A number in a graph.

    Args:
        data: any real scalar; text, None, complex numbers, arrays and Values are refused with ValueTypeError.
        _children, _op: micrograd's: the Values that `data` was computed from and what drawings show. Such a node
            is made by hand and needs a `_backward` (see `by_hand.py`); `spellout.operation` is the shorter way.
            A text as the second argument is the label.
        label: a name for drawings, explanations and messages.

    Attributes:
        data: the number, a float. Assigning it is how a leaf learns; graphs made before know they are stale.
        grad: d(root)/d(self) after `root.backward()`: summed over calls in leaves, else of the last.
        op: the row of the table that made it; `LEAF` or `CONSTANT` for a leaf.
        parents: what it was made from.

    Comparisons (`<`, `==`, `max`, `sorted`) look at the data; a hash is by identity, as in PyTorch. With a NumPy
    array, arithmetic and comparisons go element by element; the result is an array of Values, or of bools. What is
    computed from a subclass is of the subclass (its `__init__` is not called). Any other attribute may be set.
    """

    __slots__ = ()

    op: Op
    parents: tuple[Value, ...]

    __array_ufunc__ = None  # NumPy's scalars and arrays hand `number * value` to us instead of looking inside

    def __init__(self, data: object, _children: object = _NO_CHILDREN, _op: str = "", label: str = "") -> None:
        # what `make` does, on an object that exists already
        self._data = data if type(data) is float else as_float(data)
        self._grad = 0.0
        self.op = LEAF
        self.parents = ()
        self._serial = next_serial()
        if RECORDINGS:
            announce(self)
        if _children is not _NO_CHILDREN or _op or label:
            self._describe(_children, _op, label)

    def _describe(self, children: object, op: str, label: str) -> None:
        named = isinstance(children, str)  # forks of micrograd take the label in second place
        self.label = label or children if named else label  # type: ignore[assignment]
        if op or not (named or children is _NO_CHILDREN):
            look("`Value(data, children, ...)`")
            self.parents = () if named else children_of(children)
            self.op = _by_hand(str(op))

    @property
    def data(self) -> float:
        """The number, a float; a graph that was computed from an older one is refused by `backward`."""
        if RECORDINGS:
            look("`.data`")
        return self._data

    @data.setter
    def data(self, number: object) -> None:
        if RECORDINGS:
            look("an assignment to `.data`", "compute a new Value instead")
        self._data = number if type(number) is float else as_float(number)
        mark_changed(self)

    @property
    def grad(self) -> float:
        """The derivative d(root)/d(self) that `root.backward()` left here."""
        if RECORDINGS:
            look("`.grad`", SYMBOLIC)
        return self._grad

    @grad.setter
    def grad(self, number: float) -> None:
        self._grad = number

    @property
    def _prev(self) -> set[Value]:
        return set(self.parents)

    @property
    def _op(self) -> str:
        if self.op is ops.pow and self.parents[1].op is CONSTANT:
            return f"**{self.parents[1]._data:g}"
        return self.op.symbol

    @property
    def _backward(self) -> Callable[[], Any]:
        """One step of the chain rule: calling it passes this node's gradient on to its parents, and no further.

        A function that is assigned takes its place, as in micrograd.
        """
        way_back = self.op.partials
        function = way_back.function if isinstance(way_back, ByHand) else None
        return function or functools.partial(self._pass_on, self.op)

    @_backward.setter
    def _backward(self, function: Callable[[], Any] | None) -> None:
        look("an assignment to `_backward`", "declare the operation with spellout.operation")
        if self.parents:
            self.op = _by_hand(self._op, function)
        else:
            refuse_on_leaf(function)

    def _pass_on(self, op: Op) -> None:
        look("`_backward()`", SYMBOLIC)
        # with the op of now: who wraps this in a function of their own means this one, not their own
        own, self.op = self.op, op
        try:
            pass_on([self])
        finally:
            self.op = own

    def item(self) -> float:
        """Return the number, without its history."""
        return self.data

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)
    __pow__, __rpow__ = _binary(ops.pow)
    __neg__ = _unary(ops.neg)
    __abs__ = _unary(ops.abs)

    def __pos__(self) -> Value:
        return self

    if TYPE_CHECKING:  # every row of the table becomes a method, below; these are for editors and type checkers
        abs = exp = expm1 = log = log1p = sqrt = sin = cos = tan = erf = _unary(ops.exp)
        sigmoid = tanh = relu = silu = gelu = softplus = _unary(ops.exp)
        maximum = minimum = _binary(ops.maximum)[0]

    prelu = _binary(ops.leaky_relu)[0]

    def leaky_relu(self, slope: object = 0.01) -> Value:
        """Return x for x > 0, else slope · x."""
        return self.prelu(slope)

    def elu(self, alpha: object = 1.0) -> Value:
        """Return x for x > 0, else alpha · (e**x - 1)."""
        return self._apply(ops.elu, (self, alpha))

    __lt__ = _comparison("<", operator.lt)
    __le__ = _comparison("<=", operator.le)
    __gt__ = _comparison(">", operator.gt)
    __ge__ = _comparison(">=", operator.ge)
    __eq__ = _comparison("==", operator.eq)
    __ne__ = _comparison("!=", operator.ne)
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        look("a truth test")
        return self._data != 0.0

    def __float__(self) -> float:
        look("`float(...)`")
        warn_of_math(sys._getframe().f_back)  # `math.exp(value)` asks here, too, and is not meant
        return self._data

    def __round__(self, digits: int | None = None) -> float:
        look("`round(...)`")
        return round(self._data, digits)

    def __repr__(self) -> str:
        name = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self._data!r}, grad={self._grad!r}{name})"

    def __format__(self, spec: str) -> str:
        if not spec:  # as print(value) does, for a person to see
            return repr(self)
        look("the number as text", "print freeze(value) if it is only to be seen")
        return format(self._data, spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return flatten(self, _restore_leaf)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return deepcopy(self, memo)

    @staticmethod
    def _apply(op: Op, arguments: tuple[Any, ...]) -> Value:
        try:
            data = [argument._data for argument in arguments]
        except AttributeError:  # a plain number among them
            arguments = tuple([lift(argument) for argument in arguments])
            data = [argument._data for argument in arguments]
        return make(op, arguments, op.forward(*data), type(arguments[0]))


def _as_method(op: Op) -> Any:
    method: Any = _unary(op) if op.arity == 1 else _binary(op)[0]
    method.__name__, method.__qualname__ = op.name, f"Value.{op.name}"
    method.__doc__ = f"Return `{op.name}` of {'this Value' if op.arity == 1 else 'this Value and another'}."
    return method


for _row in ops.ELEMENTWISE:
    if (
        _row.arity in (1, 2)
        and _row.symbol not in ("+", "-", "*", "/", "**", "neg")
        and not hasattr(Value, _row.name)
    ):
        setattr(Value, _row.name, _as_method(_row))
