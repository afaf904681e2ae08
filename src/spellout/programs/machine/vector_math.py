"""Arithmetic for generated code: numbers that write LLVM instructions when Python computes with them.

A `Number` stands for one number, or for one number in each lane of a vector; `a * b + c` on them becomes machine
code that does it for all lanes. The rows of `autograd/ops.py` are written with them, from their formulas, and so
are exp and its relatives, without branches, so that many lanes run at once (SIMD).

exp(x) = 2**k · (1 + p) with k = round(x / ln 2), r = x - k · ln 2 and p = r + r²/2! + ... , the series of exp(r) -
1 on |r| <= 0.35. Keeping p apart from 1 makes expm1, and tanh made of it, exact near 0. Adding a large constant
rounds, and leaves k in the low bits of the sum, from where it is shifted into the exponent (an old trick; see
Schraudolph 1999, "A Fast, Compact Approximation of the Exponential Function"). float64 and float32 have their own
constants.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from llvmlite import ir

from ...autograd.formulas import choose


def _operator(name: str, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def write(self: Number, other: Any) -> Number:
        a, b = self.value, self.like(other).value
        if swapped:
            a, b = b, a
        return type(self)(self.builder, getattr(self.builder, name)(a, b, flags=self.flags))

    return write


def _comparison(how: str) -> Callable[[Any, Any], Any]:
    def write(self: Number, other: Any) -> Condition:
        # only `!=` is true of nan, as in Python
        compare = self.builder.fcmp_unordered if how == "!=" else self.builder.fcmp_ordered
        return Condition(self, compare(how, self.value, self.like(other).value))

    return write


class Number:
    """A value of the code that is being generated, a float or a vector of floats.

    Products and sums may become one instruction (`flags`); nothing is assumed about nan and infinities.
    """

    __slots__ = ("builder", "value")
    flags: tuple[str, ...] = ("contract",)  # rounded once instead of twice, and twice as fast

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    def like(self, other: Any) -> Any:
        """Return a Python number as a constant of the same type; a Number as it is."""
        if isinstance(other, Number):
            return other
        return type(self)(self.builder, constant(self.value.type, float(other)))

    @property
    def bits(self) -> int:
        """64 or 32."""
        return 64 if element(self.value.type) == ir.DoubleType() else 32

    __add__, __radd__ = _operator("fadd"), _operator("fadd", swapped=True)
    __sub__, __rsub__ = _operator("fsub"), _operator("fsub", swapped=True)
    __mul__, __rmul__ = _operator("fmul"), _operator("fmul", swapped=True)
    __truediv__, __rtruediv__ = _operator("fdiv"), _operator("fdiv", swapped=True)
    __lt__, __le__, __gt__, __ge__ = _comparison("<"), _comparison("<="), _comparison(">"), _comparison(">=")
    __eq__, __ne__ = _comparison("=="), _comparison("!=")
    __hash__ = object.__hash__

    def __neg__(self) -> Number:
        return type(self)(self.builder, self.builder.fneg(self.value))

    def polynomial(self, coefficients: Sequence[float]) -> Any:
        """c0 + c1 x + c2 x² + ..., in pairs, pairs of pairs, so that little waits for each other (Estrin 1960)."""
        terms, x = list[Any](coefficients), self
        while len(terms) > 1:
            odd = [terms[-1]] if len(terms) % 2 else []
            terms = [b * x + a for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
            x = x * x
        return terms[0]


class Condition:
    """A bit for each lane, about numbers such as `about`. Compared with a nan it is false, except by `!=`."""

    __slots__ = ("about", "bits")

    def __init__(self, about: Number, bits: Any) -> None:
        self.about = about
        self.bits = bits

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.about, self.about.builder.and_(self.bits, other.bits))

    def __or__(self, other: Condition) -> Condition:
        return Condition(self.about, self.about.builder.or_(self.bits, other.bits))

    def choose(self, a: Any, b: Any) -> Any:
        """In each lane a if the bit is set, else b. Both are computed: a jump would be one for all lanes."""
        a, b = self.about.like(a), self.about.like(b)
        return type(a)(a.builder, a.builder.select(self.bits, a.value, b.value))


def constant(kind: Any, number: float) -> Any:
    """Return a number, the same in every lane of a `kind`."""
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def vector_of(lane: Any, width: int) -> Any:
    """Return the type of `width` lanes, each a `lane`; of one, it is no vector."""
    return ir.VectorType(lane, width) if width > 1 else lane


def splat(builder: Any, value: Any, kind: Any) -> Any:
    """Return the same value in every lane of a `kind`."""
    if not isinstance(kind, ir.VectorType):
        return value
    none = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None))


def shuffle(a: Number, b: Number, lanes: list[int]) -> Number:
    """Return a vector of lanes of two: numbers from 0 are those of a, and those of b follow."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return Number(a.builder, a.builder.shuffle_vector(a.value, b.value, mask))


def lane_of(builder: Any, vector: Any, lane: int, value: Any = None) -> Any:
    """Return one lane of a vector; with a value, the vector that has it there."""
    if not isinstance(vector.type, ir.VectorType):
        return vector if value is None else value
    place = ir.Constant(ir.IntType(32), lane)
    if value is None:
        return builder.extract_element(vector, place)
    return builder.insert_element(vector, value, place)


def element(kind: Any) -> Any:
    """Return the type of one lane."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


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
            function.attributes.add("noinline")  # or LLVM would copy it again
            inside = ir.IRBuilder(function.append_basic_block())
            inside.ret(self.body(*[Number(inside, arg) for arg in function.args]).value)
        return Number(builder, builder.call(function, [argument.value for argument in arguments]))


def from_llvm(name: str, x: Number) -> Number:
    """Call one of LLVM's own functions, such as `sqrt`."""
    kind, module = x.value.type, x.builder.module
    label = _label(f"llvm.{name}", kind)
    function = module.globals.get(label) or ir.Function(module, ir.FunctionType(kind, [kind]), label)
    return Number(x.builder, x.builder.call(function, [x.value]))


@cache
def address_of(name: str, bits: int) -> int:
    """Return where a function of the C library is in this process; 0 if it is not there."""
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    function = getattr(library, name if bits == 64 else f"{name}f", None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function else 0


def from_c(name: str) -> _Called:
    """Return a function of the C library, lane by lane; its address is the one in this process."""

    def body(*arguments: Number) -> Number:
        builder, kind, bits = arguments[0].builder, arguments[0].value.type, arguments[0].bits
        lane = element(kind)
        address = ir.Constant(ir.IntType(64), address_of(name, bits))
        function = builder.inttoptr(address, ir.FunctionType(lane, [lane] * len(arguments)).as_pointer())
        result = ir.Constant(kind, ir.Undefined)
        # no branch and no SIMD: the C library computes one number at a time
        for place in range(kind.count if isinstance(kind, ir.VectorType) else 1):
            numbers = [lane_of(builder, argument.value, place) for argument in arguments]
            result = lane_of(builder, result, place, builder.call(function, numbers))
        return Number(builder, result)

    return _Called(body, name)


def _power_of_two(shifted: Number) -> Number:
    """Return 2**k, where `shifted` is k + 1.5 · 2**52 (or 2**23)."""
    builder, kind, bits = shifted.builder, shifted.value.type, shifted.bits
    mantissa, bias = (52, 1023) if bits == 64 else (23, 127)
    integer = vector_of(ir.IntType(bits), kind.count if isinstance(kind, ir.VectorType) else 1)
    exponent = builder.shl(builder.bitcast(shifted.value, integer), constant(integer, mantissa))
    return type(shifted)(builder, builder.bitcast(builder.add(exponent, constant(integer, bias << mantissa)), kind))


def _exp_parts(x: Number) -> tuple[Number, Number, Number, Number]:
    """Return (p, 2**i, 2**j, i + j) with exp(x) = (1 + p) · 2**i · 2**j."""
    long = x.bits == 64
    limit, shift = (1400.0, 1.5 * 2.0**52) if long else (170.0, 1.5 * 2.0**23)
    high = 6.93147180369123816490e-01 if long else 0.693359375  # few bits, so that k · high is exact
    low = 1.90821492927058770002e-10 if long else math.log(2.0) - 0.693359375
    # beyond the limit the result is inf or 0 in any case, and k would not fit into an exponent
    x = choose(x > limit, limit, x)
    x = choose(x < -limit, -limit, x)
    k = (x * (1.0 / math.log(2.0)) + shift) - shift
    r = (x - k * high) - k * low
    p = r.polynomial([1.0 / math.factorial(n) for n in range(2, 14 if long else 8)])
    # 2**k as a product of two: next to overflow and underflow one float could not hold it
    i = k * 0.5 + shift
    j = (k - (i - shift)) + shift
    return r + r * r * p, _power_of_two(i), _power_of_two(j), k


@_Called
def exp(x: Number) -> Number:
    """Return e**x, to the last bit or two."""
    p, a, b, _ = _exp_parts(x)
    return (a + a * p) * b


@_Called
def expm1(x: Number) -> Number:
    """Return e**x - 1, exact near 0 too."""
    p, a, b, k = _exp_parts(x)
    # 1 counts for nothing in a large result, and where that is inf, a * b - 1 would be inf - inf
    return choose(k > 50.0, (a + a * p) * b, (a * p) * b + (a * b - 1.0))


@_Called
def tanh(x: Number) -> Number:
    """Return the hyperbolic tangent, exact near 0 too."""
    doubled = x + x
    t = expm1.body(choose(doubled > 44.0, 44.0, doubled))  # beyond that it is 1 to the last bit
    return t / (t + 2.0)


@_Called
def sigmoid(x: Number) -> Number:
    """Return 1 / (1 + e**-x)."""
    # its row would do, but with exp inside, exp's last product and this sum are one instruction
    return 1.0 / (1.0 + exp.body(-x))
