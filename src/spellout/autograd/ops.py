"""The table of operations: one row an operation, and everything else is derived from it.

A row says how to compute a number from numbers (`forward`) and how much the result moves when each argument moves
(`partials`). The methods of `Value`, `backward`, gradients of gradients, the gradient check, the drawings, the
formulas of the command line, the kernels of the interpreter and the machine code are made from these rows. A row is
also a function: `exp(0.5)` is a float and `exp(Value(0.5))` is a Value.

Rows have no branches: `choose(x <= 0.0, 0.0, x)` stands for `0.0 if x <= 0.0 else x`. So the same row can be asked
with floats, with Values (the answer can be differentiated again: `grad(..., create_graph=True)`), and with letters,
whose answer is a formula that becomes compiled code (`formulas.py`). A partial derivative that is None says "no
influence here": the gradient that arrives is dropped, even an infinite one, as PyTorch masks it. Values and
derivatives at the edges (0**0, log 0, relu(nan), ties of a maximum) are those of PyTorch's float64.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from inspect import Parameter, signature
from typing import Any

from ..errors import OperationError
from . import ieee
from .cut import unwarned
from .formulas import choose, forward_on_floats, partials_on_floats
from .real import as_float


class Op:
    """One row.

    Attributes:
        name: how the table, messages and files call it.
        symbol: how a drawing shows it (`+`, `tanh`).
        arity: the number of arguments; None for any number.
        forward: floats to a float.
        partials: (result, *arguments) to one partial derivative per argument; each a number, a Value or None.
        meaning: the forward as it is written, of other operations; None if every language has a word for it.
        defaults: numbers that stand for trailing arguments that are left out.
    """

    __slots__ = ("arity", "defaults", "forward", "meaning", "name", "partials", "symbol", "written")

    written: tuple[Callable[..., Any], Callable[..., Any]] | None
    """The two functions of an operation of the user's, as they were given; a recording runs them on Values."""

    def __init__(
        self,
        name: str,
        symbol: str,
        arity: int | None,
        forward: Callable[..., float],
        partials: Callable[..., tuple[Any, ...]],
        defaults: tuple[float, ...] = (),
        meaning: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.symbol = symbol
        self.arity = arity
        self.forward = forward
        self.partials = partials
        self.defaults = defaults
        self.meaning = meaning
        self.written = None

    def __call__(self, *arguments: Any) -> Any:
        """Return a Value if any argument is one, else a float."""
        if len(arguments) != self.arity:
            arguments = self._complete(arguments)
        for argument in arguments:
            if type(argument) is not float:
                break
        else:
            return self.forward(*arguments)
        for argument in arguments:
            if hasattr(argument, "_apply"):
                return argument._apply(self, arguments)
        return self.forward(*map(as_float, arguments))

    @property
    def __name__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return row, (self.name,)

    def _complete(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.arity is None and arguments:
            return arguments
        missing = (self.arity or 1) - len(arguments)
        if 0 < missing <= len(self.defaults):
            return (*arguments, *self.defaults[-missing:])
        wanted = "at least 1 argument" if self.arity is None else _plural(self.arity, "argument")
        raise OperationError(f"{self.name} needs {wanted}, got {len(arguments)}")


TABLE: dict[str, Op] = {}


def row(name: str) -> Op:
    """Return the operation called `name`; OperationError if nobody declared it."""
    try:
        return TABLE[name]
    except KeyError:
        raise OperationError(
            f"no operation is called {name!r}; one of your own must be declared before it is loaded"
        ) from None


def operation(name: str, forward: Callable[..., Any], derivative: Callable[..., Any], symbol: str = "") -> Op:
    """Declare an operation of your own; it then works wherever the built-in ones do.

    Args:
        name: an identifier that no built-in operation has. Declaring your own again replaces it.
        forward: a function of floats that returns a float; its arguments set the number of arguments.
        derivative: a function of the same arguments; the derivative, or a tuple with one per argument. Write
            it with operators and with spellout's own functions (`exp`, `cos`, ...), not `math`'s, and it can
            be differentiated again.
        symbol: what drawings show; the name if not given.

    Raises:
        OperationError: the name is taken or no identifier, or (when called) a function does not fit.

    Example: the Legendre polynomial P3 as a building block.

        P3 = operation("P3", lambda x: (5 * x**3 - 3 * x) / 2, lambda x: (15 * x**2 - 3) / 2)
        y = P3(Value(0.5))
    """
    if not name.isidentifier():
        raise OperationError(f"an operation's name must be an identifier, got {name!r}")
    if name in BUILT_IN:
        raise OperationError(f"{name!r} is a built-in operation; choose another name")
    arity = _count_arguments(forward)

    def checked_forward(*numbers: float) -> float:
        result = _attempt(f"operation {name}", forward, numbers)
        if isinstance(result, complex):
            raise OperationError(f"operation {name}{numbers} gave the complex number {result}")
        return as_float(result)

    def checked_partials(_: Any, *arguments: Any) -> tuple[Any, ...]:
        symbolic = any(hasattr(argument, "_apply") for argument in arguments)
        with unwarned() if symbolic else nullcontext():  # what leaves the graph is refused below
            result = _attempt(f"the derivative of {name}", derivative, arguments)
        partials = result if isinstance(result, tuple) else (result,)
        if len(partials) != len(arguments):
            raise OperationError(
                f"operation {name} has {_plural(len(arguments), 'argument')}, "
                f"but its derivative gave {_plural(len(partials), 'partial')}"
            )
        if symbolic:
            _check_still_differentiable(name, derivative, arguments, partials)
        return partials

    op = TABLE[name] = Op(name, symbol or name, arity, checked_forward, checked_partials)
    op.written = forward, derivative
    return op


def _check_still_differentiable(
    name: str, derivative: Callable[..., Any], arguments: tuple[Any, ...], partials: tuple[Any, ...]
) -> None:
    """Refuse a partial that left the graph: a plain number, though it changes when the arguments do.

    A constant is the same a tiny step to at least one side, even at a kink.
    """
    numbers = [_number(argument) for argument in arguments]
    sides = [derivative(*[x + step * max(1.0, builtins.abs(x)) for x in numbers]) for step in (-1e-9, 1e-9)]
    for i, partial in enumerate(partials):
        nearby = [side[i] if isinstance(side, tuple) else side for side in sides]
        if not hasattr(partial, "_apply") and partial == partial and partial not in nearby:
            raise OperationError(
                f"the derivative of {name} cannot be differentiated again, it turned a Value into a plain "
                "number; write it with operators and spellout's functions instead of math's"
            )


def _attempt(what: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except ArithmeticError as error:
        shown = ", ".join([f"{_number(argument):g}" for argument in arguments])
        raise OperationError(f"{what} failed at ({shown}): {error}") from error


def _number(argument: Any) -> float:
    """The number of an argument, a Value's also while a function is recorded, which forbids to look at it."""
    return float(getattr(argument, "_data", argument))


def _count_arguments(function: Callable[..., Any]) -> int | None:
    kinds = [parameter.kind for parameter in signature(function).parameters.values()]
    return None if Parameter.VAR_POSITIONAL in kinds else len(kinds)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _primitive(
    name: str, arity: int | None, forward: Callable[..., float], partials: Callable[..., Any], symbol: str = ""
) -> Op:
    """Declare what every language has a word for; C's name, if it is not one of the words that they list."""
    op = TABLE[name] = Op(name, symbol or name, arity, forward, partials)
    return op


def _made(
    name: str,
    arity: int,
    meaning: Callable[..., Any],
    partials: Callable[..., Any],
    symbol: str = "",
    defaults: tuple[float, ...] = (),
) -> Op:
    """Declare what is made of other operations."""
    op = TABLE[name] = Op(name, symbol or name, arity, meaning, partials, defaults, meaning)
    return op


# Arithmetic -----------------------------------------------------------------------------------------------
# `div(a, b)` is for a b that may be zero; `a / b`, which Python refuses then, for one that never is.


def _pow_partials(out: Any, x: Any, y: Any) -> tuple[Any, Any]:
    by_base = choose(y == 0.0, None, y * pow(x, y - 1.0))
    # 0**y is 0 for every y above 0, and 1 for 0: there is no slope at 0, and PyTorch says that y has no influence
    return by_base, choose((x == 0.0) & (y >= 0.0), None, out * log(x))


def _max_partials(_: Any, a: Any, b: Any) -> tuple[Any, Any]:
    return _share(a == b, a < b), _share(a == b, b < a)


def _min_partials(_: Any, a: Any, b: Any) -> tuple[Any, Any]:
    return _share(a == b, a > b), _share(a == b, b > a)


def _share(tie: Any, lost: Any) -> Any:
    return choose(tie, 0.5, choose(lost, None, 1.0))  # with a nan it is neither, and nan must go through


add = _primitive("add", 2, operator.add, lambda out, a, b: (1.0, 1.0), "+")
sub = _primitive("sub", 2, operator.sub, lambda out, a, b: (1.0, -1.0), "-")
mul = _primitive("mul", 2, operator.mul, lambda out, a, b: (b, a), "*")
div: Op = _primitive("div", 2, ieee.divide, lambda out, a, b: (div(1.0, b), -div(out, b)), "/")
neg = _primitive("neg", 1, operator.neg, lambda out, x: (-1.0,))
pow = _primitive("pow", 2, ieee.power, _pow_partials, "**")
# `a != a` is true of nan only, which wins from either side
maximum = _made("maximum", 2, lambda a, b: choose((a >= b) | (a != a), a, b), _max_partials, "max")
minimum = _made("minimum", 2, lambda a, b: choose((a <= b) | (a != a), a, b), _min_partials, "min")
abs = _primitive("abs", 1, operator.abs, lambda out, x: (choose(x > 0.0, 1.0, choose(x < 0.0, -1.0, 0.0)),))

# Elementary functions -------------------------------------------------------------------------------------

exp = _primitive("exp", 1, ieee.exp, lambda out, x: (out,))
expm1 = _primitive("expm1", 1, ieee.expm1, lambda out, x: (out + 1.0,))
log: Op = _primitive("log", 1, ieee.log, lambda out, x: (div(1.0, x),))
log1p = _primitive("log1p", 1, ieee.log1p, lambda out, x: (div(1.0, 1.0 + x),))
sqrt = _primitive("sqrt", 1, ieee.sqrt, lambda out, x: (div(0.5, out),))
sin = _primitive("sin", 1, ieee.sin, lambda out, x: (cos(x),))
cos: Op = _primitive("cos", 1, ieee.cos, lambda out, x: (-sin(x),))
tan = _primitive("tan", 1, ieee.tan, lambda out, x: (1.0 + out * out,))
erf = _primitive("erf", 1, math.erf, lambda out, x: (2.0 / math.sqrt(math.pi) * exp(-(x * x)),))

# Activation functions -------------------------------------------------------------------------------------


def _gelu_partials(_: Any, x: Any) -> tuple[Any]:
    density = exp(-0.5 * (x * x)) * (1.0 / math.sqrt(2.0 * math.pi))
    return (0.5 * (1.0 + erf(x * math.sqrt(0.5))) + x * density,)


def _silu_partials(_: Any, x: Any) -> tuple[Any]:
    gate = sigmoid(x)
    return (gate * (1.0 + x * (1.0 - gate)),)


def _leaky_partials(_: Any, x: Any, slope: Any) -> tuple[Any, Any]:
    return choose(x > 0.0, 1.0, slope), choose(x > 0.0, None, x)


def _elu_partials(_: Any, x: Any, alpha: Any) -> tuple[Any, Any]:
    return choose(x <= 0.0, alpha * exp(x), 1.0), choose(x <= 0.0, expm1(x), None)


def _where_partials(_: Any, x: Any, a: Any, b: Any) -> tuple[None, Any, Any]:
    return None, choose(x > 0.0, 1.0, None), choose(x > 0.0, None, 1.0)


sigmoid = _made("sigmoid", 1, lambda x: 1.0 / (1.0 + exp(-x)), lambda out, x: (out * (1.0 - out),))
tanh = _primitive("tanh", 1, math.tanh, lambda out, x: (1.0 - out * out,))
# `x <= 0` and not `x > 0`: nan must go through, in the value and in the gradient
relu = _made("relu", 1, lambda x: choose(x <= 0.0, 0.0, x), lambda out, x: (choose(x <= 0.0, None, 1.0),), "ReLU")
# with a Value as the slope this is PReLU (He et al. 2015)
leaky_relu = _made(
    "leaky_relu", 2, lambda x, slope: choose(x > 0.0, x, slope * x), _leaky_partials, "leaky", (0.01,)
)
elu = _made("elu", 2, lambda x, alpha: choose(x <= 0.0, alpha * expm1(x), x), _elu_partials, "ELU", (1.0,))
silu = _made("silu", 1, lambda x: x / (1.0 + exp(-x)), _silu_partials, "SiLU")
gelu = _made("gelu", 1, lambda x: 0.5 * x * (1.0 + erf(x * math.sqrt(0.5))), _gelu_partials, "GELU")
# log(1 + e**x), where e**x could overflow, or be lost next to 1
softplus = _made("softplus", 1, lambda x: maximum(x, 0.0) + log1p(exp(-abs(x))), lambda out, x: (sigmoid(x),))

# a choice that a recorded program makes for every example anew, unlike Python's `if`
where = _made("where", 3, lambda x, a, b: choose(x > 0.0, a, b), _where_partials)

# Any number of arguments ----------------------------------------------------------------------------------


def _dot(*numbers: float) -> float:
    half = len(numbers) // 2
    products: float = builtins.sum(map(operator.mul, numbers[:half], numbers[half:]))
    return products + numbers[-1] if len(numbers) % 2 else products + 0.0


def _dot_partials(_: Any, *arguments: Any) -> tuple[Any, ...]:
    half = len(arguments) // 2
    if len(arguments) % 2:
        return (*arguments[half:-1], *arguments[:half], 1.0)
    return arguments[half:] + arguments[:half]


def _largest_partials(out: Any, *xs: Any) -> tuple[Any, ...]:
    """Those that are the largest share the gradient. On Values without branches, as n of them would make 2**n."""
    if type(out) is not float:
        hits = [where(out - x, 0.0, 1.0) for x in xs]
        ties = sum(*hits)
        return tuple([hit / ties for hit in hits])
    if out != out:
        return (out,) * len(xs)
    share = 1.0 / builtins.sum([x == out for x in xs])
    return tuple([share if x == out else None for x in xs])


def softmax(xs: Sequence[Any]) -> list[Any]:
    """Return n positive numbers that sum to 1, exp(x) / sum(exp(x)), of floats or of Values.

    No row, as n results of n arguments would have n² edges; made of rows, it has 5n.
    """
    if type(xs[0]) is float:
        return ieee.softmax(xs)
    shift = largest(*xs)
    powers = [exp(x - shift) for x in xs]
    scale = 1.0 / sum(*powers)
    return [power * scale for power in powers]


sum = _primitive("sum", None, lambda *xs: builtins.sum(xs), lambda out, *xs: (1.0,) * len(xs), "Σ")
mean = _primitive("mean", None, lambda *xs: builtins.sum(xs) / len(xs), lambda out, *xs: (1.0 / len(xs),) * len(xs))
# (w1..wn, x1..xn) or (w1..wn, x1..xn, b): the second half times the first, an odd last argument is added
dot = _primitive("dot", None, _dot, _dot_partials, "w·x")
largest = _primitive("largest", None, lambda *xs: ieee.largest(xs), _largest_partials)
logsumexp: Op = _primitive("logsumexp", None, lambda *xs: ieee.logsumexp(xs), lambda out, *xs: tuple(softmax(xs)))
# the first argument is the chosen one, the others are all of them (the chosen one among them)
log_softmax = _primitive(
    "log_softmax",
    None,
    lambda chosen, *xs: ieee.log_softmax(chosen, xs),
    lambda out, chosen, *xs: (1.0, *[-share for share in softmax(xs)]),
    "log softmax",
)

BUILT_IN = frozenset(TABLE)
ELEMENTWISE = tuple([op for op in TABLE.values() if op.arity])
"""Those of a fixed number of arguments: what compiled code does lane by lane."""

_FUNCTIONS = {op.name: op.forward for op in TABLE.values() if not op.meaning}
for _op in ELEMENTWISE:
    if _op.meaning:
        _op.forward = forward_on_floats(_op, _FUNCTIONS)
    if _op.partials.__code__.co_names:  # else it uses operators only, and nothing is faster than they are
        _op.partials = partials_on_floats(_op, _FUNCTIONS)
