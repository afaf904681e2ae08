"""Arrays as users give them, for programs: what they may hold, and a sentence for everything else.

A number becomes a float of the program exactly, or it is refused; only float64 for a program in float32 is rounded,
which whoever asks for float32 means.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError, UsageError, ValueTypeError

_REAL = (np.dtype(np.float64), np.dtype(np.float32))
_REMEDIES = {
    "c": "gradients here are of real numbers; give .real and .imag as two arguments",
    "O": "give floats or integers; Values and None are no examples, and larger integers than 64 bits no numbers",
    "U": "convert text with .astype(float)",
    "S": "convert text with .astype(float)",
}


def real_type(dtype: Any) -> np.dtype:
    """Return float64 or float32 as NumPy's dtype; UsageError for any other."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in _REAL:
        raise UsageError(f"programs calculate in float64 or float32, got dtype={getattr(dtype, '__name__', dtype)}")
    return found


def numbers_of(argument: int, example: Any) -> np.ndarray:
    """Return what was given for an argument (counted from 1) as an array of real numbers or bools.

    Raises:
        ValueTypeError: it holds something else, or has a mask, which would be lost.
        ShapeError: it is no rectangle, or holds no examples.
    """
    if type(example) is np.ndarray:  # nearly always, and at every step
        array = example
    elif isinstance(example, np.ma.MaskedArray):  # `asarray` would drop the mask without a word
        raise ValueTypeError(
            f"argument {argument} is a masked array, and programs know no masks; use .filled(number), or leave "
            "the masked examples out"
        )
    else:
        try:
            array = np.asarray(example)
        except (ValueError, TypeError, RuntimeError) as error:  # RuntimeError: a tensor that needs a gradient
            raise ShapeError(f"argument {argument} cannot be read as one array: {error}") from None
    if array.dtype.kind not in "fiub":
        remedy = _REMEDIES.get(array.dtype.kind, "give floats or integers")
        raise ValueTypeError(f"argument {argument} is an array of {array.dtype}; {remedy}")
    if array.ndim and not len(array):
        raise ShapeError(f"argument {argument} holds no examples; give at least one")
    return array


def refuse_inexact(argument: int, integers: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueTypeError if integers are too large to be floats of this type exactly."""
    most = 2 ** (np.finfo(dtype).nmant + 1)  # the first bit of a mantissa is not stored
    if integers.size and (integers.max() > most or integers.min() < -most):
        worst = max(int(integers.max()), int(integers.min()), key=abs)
        raise ValueTypeError(
            f"argument {argument} holds the integer {worst:,}, and {dtype} has integers up to {most:,} only; if it "
            "may be rounded, convert with .astype(float)"
        )
