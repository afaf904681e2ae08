"""exp and its relatives for the kernels, without branches, so that the compiler runs many at once (SIMD).

exp(x) = 2**k · (1 + p) with k = round(x / ln 2), r = x - k · ln 2 and p = r + r²/2! + ... , the series of exp(r) -
1 on |r| <= 0.35. Keeping p apart from 1 makes expm1, and tanh made of it, exact near 0. Adding a large constant
rounds, and leaves k in the low bits of the sum, from where it is shifted into the exponent (an old trick; see
Schraudolph 1999, "A Fast, Compact Approximation of the Exponential Function"). float64 and float32 have their own
constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

# as float32, they widen neither type
ZERO, HALF, ONE, TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
_LARGE = np.float32(44.0)
_LN2_HIGH = {64: 6.93147180369123816490e-01, 32: 0.693359375}  # few bits, so that k · high is exact


@intrinsic
def _select(typing_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a if condition else b` in the wider type, both computed: an `if` would keep the compiler from SIMD."""
    real = typing_context.unify_types(a, b)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return real(types.boolean, real, real), generate


select: Any = _select  # called with three arguments in compiled code; the first above is Numba's own


@intrinsic
def _power(typing_context: Any, shifted: Any) -> Any:
    """2**k, where `shifted` is k + 1.5 · 2**52 (or 2**23): k is in its low bits."""
    bits, mantissa, bias = (64, 52, 1023) if shifted == types.float64 else (32, 23, 127)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(bits)
        k = builder.bitcast(arguments[0], integer)
        exponent = builder.shl(k, ir.Constant(integer, mantissa))
        scaled = builder.add(exponent, ir.Constant(integer, bias << mantissa))
        return builder.bitcast(scaled, arguments[0].type)

    return shifted(shifted), generate


_power_of_two: Any = _power


def _parts(x: Any) -> Any:
    """(p, 2**i, 2**j, i + j) with exp(x) = (1 + p) · 2**i · 2**j; two powers, as one could not be tiny enough.

    A name for compiled code only: `_typed_parts` gives it its body.
    """


def _make_parts(bits: int) -> Callable[..., Any]:
    real = np.float64 if bits == 64 else np.float32
    limit, shift = real(1400.0 if bits == 64 else 170.0), real(1.5 * 2.0 ** (52 if bits == 64 else 23))
    per_ln2, half = real(1.0 / math.log(2.0)), real(0.5)
    high = real(_LN2_HIGH[bits])
    low = real(1.90821492927058770002e-10 if bits == 64 else math.log(2.0) - 0.693359375)
    c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13 = [real(1.0 / math.factorial(n)) for n in range(2, 14)]
    long = bits == 64

    def parts(x: Any) -> Any:
        x = select(x > limit, limit, x)
        x = select(x < -limit, -limit, x)
        k = (x * per_ln2 + shift) - shift
        r = (x - k * high) - k * low
        if long:
            tail = c8 + r * (c9 + r * (c10 + r * (c11 + r * (c12 + r * c13))))
            p = c2 + r * (c3 + r * (c4 + r * (c5 + r * (c6 + r * (c7 + r * tail)))))
        else:
            p = c2 + r * (c3 + r * (c4 + r * (c5 + r * (c6 + r * c7))))
        i = k * half + shift
        j = (k - (i - shift)) + shift
        return r + r * r * p, _power_of_two(i), _power_of_two(j), k

    return parts


_PARTS = {bits: _make_parts(bits) for bits in (64, 32)}


@overload(_parts, inline="never")
def _typed_parts(x: Any) -> Callable[..., Any]:
    return _PARTS[64 if x == types.float64 else 32]


@register_jitable
def exp(x: Any) -> Any:
    """e**x, to the last bit or two."""
    p, a, b, _ = _parts(x)
    return (a + a * p) * b


@register_jitable
def expm1(x: Any) -> Any:
    """e**x - 1, exact near 0 too."""
    p, a, b, k = _parts(x)
    large = (a + a * p) * b
    return select(k > 50, large, (a * p) * b + (a * b - ONE))


@register_jitable
def tanh(x: Any) -> Any:
    """The hyperbolic tangent, exact near 0 too."""
    doubled = x + x
    t = expm1(select(doubled > _LARGE, _LARGE, doubled))  # beyond that it is 1 to the last bit
    return t / (t + TWO)


@register_jitable
def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    return ONE / (ONE + exp(-x))


@register_jitable
def softplus(x: Any) -> Any:
    """log(1 + e**x)."""
    return select(x > ZERO, x, ZERO) + math.log1p(exp(-abs(x)))
