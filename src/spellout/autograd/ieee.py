"""Float64 functions that never raise: what IEEE 754, C and PyTorch compute where Python's `math` gives up.

Python raises at 1/0, log 0, exp 1000 and sin inf, and turns (-1)**0.5 into a complex number. Here they are
inf, -inf, inf, nan and nan, so that a graph always has a value and the value can be traced to where it came
from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import copysign, inf, nan


def divide(a: float, b: float) -> float:
    """Return a / b; a number over zero is an infinity with the product of the signs, 0/0 is nan."""
    try:
        return a / b
    except ZeroDivisionError:
        return nan if a == 0.0 or a != a else copysign(inf, a) * copysign(1.0, b)


def power(x: float, y: float) -> float:
    """Return x ** y as C's `pow`: 0**0 = 1, 0**-1 = inf, (-1)**0.5 = nan."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -inf if x < 0.0 and y % 2.0 == 1.0 else inf
    except ValueError:
        if x != 0.0:
            return nan
        return copysign(inf, x) if y % 2.0 == 1.0 else inf


def exp(x: float) -> float:
    """Return e**x, inf above 709.78."""
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def expm1(x: float) -> float:
    """Return e**x - 1 without losing small x."""
    try:
        return math.expm1(x)
    except OverflowError:
        return inf


def log(x: float) -> float:
    """Return the natural logarithm; log 0 is -inf, of a negative number nan."""
    if x > 0.0:
        return math.log(x)
    return -inf if x == 0.0 else nan


def log1p(x: float) -> float:
    """Return log(1 + x) without losing small x."""
    if x > -1.0:
        return math.log1p(x)
    return -inf if x == -1.0 else nan


def sqrt(x: float) -> float:
    """Return the square root; nan for a negative number."""
    return nan if x < 0.0 else math.sqrt(x)


def sin(x: float) -> float:
    """Return the sine; nan at the infinities."""
    return nan if x in (inf, -inf) else math.sin(x)


def cos(x: float) -> float:
    """Return the cosine; nan at the infinities."""
    return nan if x in (inf, -inf) else math.cos(x)


def tan(x: float) -> float:
    """Return the tangent; nan at the infinities."""
    return nan if x in (inf, -inf) else math.tan(x)


def logsumexp(xs: Sequence[float]) -> float:
    """Return log(sum(exp(x))), shifted by the maximum so that 1000 does not overflow."""
    shift, rest = log_total(xs)
    return shift + rest


def log_softmax(x: float, xs: Sequence[float]) -> float:
    """Return x - logsumexp(xs), also where the larger part would swallow the smaller; nan among infinite ones."""
    shift, rest = log_total(xs)
    return x - shift - rest + (shift - shift)


def softmax(xs: Sequence[float]) -> list[float]:
    """Return exp(x) / sum(exp(x)) of every x."""
    shift, rest = log_total(xs)
    return [exp(x - shift - rest) for x in xs]


def log_total(xs: Sequence[float]) -> tuple[float, float]:
    """Return log(sum(exp(x))) in two parts: the maximum, and the rest, which next to 1e17 would be rounded away."""
    shift = largest(xs)
    if shift - shift != 0.0:  # inf or nan: the shift itself would make nan out of an answer that is known
        return shift, 0.0
    return shift, math.log(sum([math.exp(x - shift) for x in xs]))


def largest(xs: Sequence[float]) -> float:
    """Return the maximum, nan if any of them is nan."""
    top = max(xs)
    return top if all(x == x for x in xs) else nan
