"""Arithmetic for generated code: numbers that write LLVM instructions when Python computes with them.

A `Number` stands for one number, or for one number in each lane of a vector; `a * b + c` on them becomes machine
code that does it for all lanes. The operations' rows and their partial derivatives (`autograd/ops.py`) are
written here once more, for the reasons that `elementwise.py` gives, and exp by the algorithm of `arithmetic.py`.
Products and sums may become one instruction (`contract`); nothing is assumed about nan and infinities.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from llvmlite import ir

_FLAGS = ("contract",)


def _operator(name: str, swapped: bool = False) -> Callable[[Number, Any], Number]:
    def write(self: Number, other: Any) -> Number:
        a, b = self.value, self.like(other).value
        if swapped:
            a, b = b, a
        return Number(self.builder, getattr(self.builder, name)(a, b, flags=_FLAGS))

    return write


class Number:
    """A value of the code that is being generated, a float or a vector of floats."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    def like(self, other: Any) -> Number:
        """A Python number as a constant of the same type; a Number as it is."""
        if isinstance(other, Number):
            return other
        kind = self.value.type
        vector = isinstance(kind, ir.VectorType)
        return Number(self.builder, ir.Constant(kind, [float(other)] * kind.count if vector else float(other)))

    @property
    def bits(self) -> int:
        """64 or 32."""
        return 64 if element(self.value.type) == ir.DoubleType() else 32

    __add__ = _operator("fadd")
    __sub__ = _operator("fsub")
    __mul__ = _operator("fmul")
    __truediv__ = _operator("fdiv")
    __radd__ = _operator("fadd", swapped=True)
    __rsub__ = _operator("fsub", swapped=True)
    __rmul__ = _operator("fmul", swapped=True)
    __rtruediv__ = _operator("fdiv", swapped=True)

    def __neg__(self) -> Number:
        return Number(self.builder, self.builder.fneg(self.value))

    def compare(self, how: str, other: Any) -> Any:
        """A bit for each lane; false where a nan is compared, except by `!=`."""
        compare = self.builder.fcmp_unordered if how == "!=" else self.builder.fcmp_ordered
        return compare(how, self.value, self.like(other).value)


def vector_of(lane: Any, width: int) -> Any:
    """The type of `width` lanes, each a `lane`; of one, it is no vector."""
    return ir.VectorType(lane, width) if width > 1 else lane


def splat(builder: Any, value: Any, kind: Any) -> Any:
    """The same value in every lane of a `kind`."""
    if not isinstance(kind, ir.VectorType):
        return value
    none = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None))


def shuffle(a: Number, b: Number, lanes: list[int]) -> Number:
    """A vector of lanes of two: numbers from 0 are those of a, and those of b follow."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return Number(a.builder, a.builder.shuffle_vector(a.value, b.value, mask))


def lane_of(builder: Any, vector: Any, lane: int, value: Any = None) -> Any:
    """One lane of a vector; with a value, the vector that has it there."""
    if not isinstance(vector.type, ir.VectorType):
        return vector if value is None else value
    place = ir.Constant(ir.IntType(32), lane)
    if value is None:
        return builder.extract_element(vector, place)
    return builder.insert_element(vector, value, place)


def element(kind: Any) -> Any:
    """The type of one lane."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


def select(condition: Any, a: Any, b: Any) -> Number:
    """In each lane a if the bit is set, else b; at least one of them is a Number."""
    like = a if isinstance(a, Number) else b
    return Number(like.builder, like.builder.select(condition, like.like(a).value, like.like(b).value))


# Functions, generated once for each type of argument and called ----------------------------------------------


def _label(name: str, kind: Any) -> str:
    lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    return f"{name}.{lanes}{element(kind).intrinsic_name}"


class _Called:
    """A function of the generated code; without this every use would be a copy, and take as long to compile."""

    def __init__(self, body: Callable[..., Number], name: str = "") -> None:
        self.body = body
        self.name = name or body.__name__

    def __call__(self, *arguments: Number) -> Number:
        builder, kind = arguments[0].builder, arguments[0].value.type
        label = _label(self.name, kind)
        function = builder.module.globals.get(label)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * len(arguments)), label)
            function.linkage = "internal"
            function.attributes.add("noinline")
            inside = ir.IRBuilder(function.append_basic_block())
            inside.ret(self.body(*[Number(inside, arg) for arg in function.args]).value)
        return Number(builder, builder.call(function, [argument.value for argument in arguments]))


def _intrinsic(name: str, x: Number) -> Number:
    """One of LLVM's own functions, such as `llvm.sqrt`."""
    kind, module = x.value.type, x.builder.module
    label = _label(name, kind)
    function = module.globals.get(label) or ir.Function(module, ir.FunctionType(kind, [kind]), label)
    return Number(x.builder, x.builder.call(function, [x.value]))


@cache
def _address(name: str, bits: int) -> int:
    """Where a function of the C library is in this process; 0 if it is not there."""
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    function = getattr(library, name if bits == 64 else f"{name}f", None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function else 0


def _lanewise(name: str) -> _Called:
    """A function of the C library, lane by lane; its address is the one in this process."""

    def body(*arguments: Number) -> Number:
        builder, kind, bits = arguments[0].builder, arguments[0].value.type, arguments[0].bits
        lane = element(kind)
        address = ir.Constant(ir.IntType(64), _address(name, bits))
        function = builder.inttoptr(address, ir.FunctionType(lane, [lane] * len(arguments)).as_pointer())
        result = ir.Constant(kind, ir.Undefined)
        for place in range(kind.count if isinstance(kind, ir.VectorType) else 1):
            numbers = [lane_of(builder, argument.value, place) for argument in arguments]
            result = lane_of(builder, result, place, builder.call(function, numbers))
        return Number(builder, result)

    return _Called(body, name)


_FROM_C = ("log", "log1p", "sin", "cos", "tan", "erf", "pow")
log, log1p, sin, cos, tan, erf, power = [_lanewise(name) for name in _FROM_C]


def available() -> bool:
    """Whether all functions of the C library were found."""
    return all(_address(name, bits) for name in _FROM_C for bits in (64, 32))


def sqrt(x: Number) -> Number:
    """The square root."""
    return _intrinsic("llvm.sqrt", x)


def absolute(x: Number) -> Number:
    """The absolute value."""
    return _intrinsic("llvm.fabs", x)


def _power_of_two(shifted: Number) -> Number:
    """2**k, where `shifted` is k + 1.5 · 2**52 (or 2**23)."""
    builder, kind, bits = shifted.builder, shifted.value.type, shifted.bits
    mantissa, bias = (52, 1023) if bits == 64 else (23, 127)
    integer = vector_of(ir.IntType(bits), kind.count if isinstance(kind, ir.VectorType) else 1)

    def constant(number: int) -> Any:
        return ir.Constant(integer, [number] * kind.count if isinstance(kind, ir.VectorType) else number)

    exponent = builder.shl(builder.bitcast(shifted.value, integer), constant(mantissa))
    return Number(builder, builder.bitcast(builder.add(exponent, constant(bias << mantissa)), kind))


def _polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """c0 + c1 x + c2 x² + ..., in pairs, pairs of pairs, ... so that little waits for each other (Estrin 1960)."""
    terms: list[Any] = list(coefficients)
    while len(terms) > 1:
        odd = [terms[-1]] if len(terms) % 2 else []
        terms = [b * x + a for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
        x = x * x
    return terms[0]


def _exp_parts(x: Number) -> tuple[Number, Number, Number, Number]:
    """(p, 2**i, 2**j, i + j) with exp(x) = (1 + p) · 2**i · 2**j; see `arithmetic.py`."""
    long = x.bits == 64
    limit, shift = (1400.0, 1.5 * 2.0**52) if long else (170.0, 1.5 * 2.0**23)
    high = 6.93147180369123816490e-01 if long else 0.693359375
    low = 1.90821492927058770002e-10 if long else math.log(2.0) - 0.693359375
    x = select(x.compare(">", limit), limit, x)
    x = select(x.compare("<", -limit), -limit, x)
    k = (x * (1.0 / math.log(2.0)) + shift) - shift
    r = (x - k * high) - k * low
    p = _polynomial(r, [1.0 / math.factorial(n) for n in range(2, 14 if long else 8)])
    i = k * 0.5 + shift
    j = (k - (i - shift)) + shift
    return r + r * r * p, _power_of_two(i), _power_of_two(j), k


@_Called
def exp(x: Number) -> Number:
    """e**x."""
    p, a, b, _ = _exp_parts(x)
    return (a + a * p) * b


@_Called
def expm1(x: Number) -> Number:
    """e**x - 1, exact near 0 too."""
    p, a, b, k = _exp_parts(x)
    return select(k.compare(">", 50.0), (a + a * p) * b, (a * p) * b + (a * b - 1.0))


@_Called
def tanh(x: Number) -> Number:
    """The hyperbolic tangent, exact near 0 too."""
    doubled = x + x
    t = expm1.body(select(doubled.compare(">", 44.0), 44.0, doubled))
    return t / (t + 2.0)


@_Called
def sigmoid(x: Number) -> Number:
    """1 / (1 + e**-x)."""
    return 1.0 / (1.0 + exp.body(-x))


@_Called
def softplus(x: Number) -> Number:
    """log(1 + e**x)."""
    return select(x.compare(">", 0.0), x, 0.0) + log1p(exp(-absolute(x)))


# The table's rows ------------------------------------------------------------------------------------------------


def _extreme(how: str) -> Callable[..., Number]:
    def extreme(a: Number, b: Number) -> Number:
        return select(a.builder.or_(a.compare(how, b), a.compare("!=", a)), a, b)

    return extreme


def _extreme_partial(loses: str, mine: int) -> Callable[..., Number]:
    """Half at a tie, nothing for the one that loses."""

    def partial(g: Number, y: Number, *both: Number) -> Number:
        me, other = both[mine], both[1 - mine]
        return select(me.compare("==", other), 0.5 * g, select(me.compare(loses, other), 0.0, g))

    return partial


def _gelu_partial(g: Number, y: Number, x: Number) -> Number:
    density = exp(-0.5 * (x * x)) * (1.0 / math.sqrt(2.0 * math.pi))
    return g * (0.5 * (1.0 + erf(x * math.sqrt(0.5))) + x * density)


def _silu_partial(g: Number, y: Number, x: Number) -> Number:
    gate = sigmoid(x)
    return g * (gate * (1.0 + x * (1.0 - gate)))


FORWARD: dict[str, Callable[..., Number]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda x: -x,
    "pow": power,
    **{
        function.name: function
        for function in (exp, expm1, log, log1p, sin, cos, tan, erf, sigmoid, tanh, softplus)
    },
    "maximum": _extreme(">="),
    "minimum": _extreme("<="),
    "abs": absolute,
    "sqrt": sqrt,
    "relu": lambda x: select(x.compare("<=", 0.0), 0.0, x),
    "leaky_relu": lambda x, slope: select(x.compare(">", 0.0), x, slope * x),
    "elu": lambda x, alpha: select(x.compare("<=", 0.0), alpha * expm1(x), x),
    "silu": lambda x: x / (1.0 + exp(-x)),
    "gelu": lambda x: 0.5 * x * (1.0 + erf(x * math.sqrt(0.5))),
    "where": lambda x, a, b: select(x.compare(">", 0.0), a, b),
}
"""Arguments to the result."""

PARTIALS: dict[str, tuple[Callable[..., Number] | None, ...]] = {
    "add": (lambda g, y, a, b: g, lambda g, y, a, b: g),
    "sub": (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "mul": (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "div": (lambda g, y, a, b: g * (1.0 / b), lambda g, y, a, b: -(g * (y / b))),
    "neg": (lambda g, y, x: -g,),
    "pow": (
        lambda g, y, x, n: select(n.compare("==", 0.0), 0.0, g * (n * power(x, n - 1.0))),
        lambda g, y, x, n: select(
            x.builder.and_(x.compare("==", 0.0), n.compare(">=", 0.0)), 0.0, g * (y * log(x))
        ),
    ),
    "maximum": (_extreme_partial("<", 0), _extreme_partial("<", 1)),
    "minimum": (_extreme_partial(">", 0), _extreme_partial(">", 1)),
    "abs": (lambda g, y, x: g * select(x.compare(">", 0.0), 1.0, select(x.compare("<", 0.0), x.like(-1.0), 0.0)),),
    "exp": (lambda g, y, x: g * y,),
    "expm1": (lambda g, y, x: g * (y + 1.0),),
    "log": (lambda g, y, x: g * (1.0 / x),),
    "log1p": (lambda g, y, x: g * (1.0 / (1.0 + x)),),
    "sqrt": (lambda g, y, x: g * (0.5 / y),),
    "sin": (lambda g, y, x: g * cos(x),),
    "cos": (lambda g, y, x: -(g * sin(x)),),
    "tan": (lambda g, y, x: g * (1.0 + y * y),),
    "erf": (lambda g, y, x: g * (2.0 / math.sqrt(math.pi) * exp(-(x * x))),),
    "sigmoid": (lambda g, y, x: g * (y * (1.0 - y)),),
    "tanh": (lambda g, y, x: g * (1.0 - y * y),),
    "relu": (lambda g, y, x: select(x.compare("<=", 0.0), 0.0, g),),
    "leaky_relu": (
        lambda g, y, x, slope: select(x.compare(">", 0.0), g, g * slope),
        lambda g, y, x, slope: select(x.compare(">", 0.0), 0.0, g * x),
    ),
    "elu": (
        lambda g, y, x, alpha: select(x.compare("<=", 0.0), g * (alpha * exp(x)), g),
        lambda g, y, x, alpha: select(x.compare("<=", 0.0), g * expm1(x), 0.0),
    ),
    "silu": (_silu_partial,),
    "gelu": (_gelu_partial,),
    "softplus": (lambda g, y, x: g * sigmoid(x),),
    "where": (
        None,
        lambda g, y, x, a, b: select(x.compare(">", 0.0), g, 0.0),
        lambda g, y, x, a, b: select(x.compare(">", 0.0), 0.0, g),
    ),
}
"""What each argument's gradient gets from the result's gradient g, the result y and the arguments, if anything."""
