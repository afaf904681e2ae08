"""What may stand beside a Value: real numbers, which become floats, and NumPy arrays, element by element.

NumPy is not imported: whoever has an array or one of its scalars has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any

from ..errors import ValueTypeError


def as_float(number: object) -> float:
    """Return any real scalar (int, float, bool, Fraction, Decimal, every NumPy scalar) as a float.

    Raises ValueTypeError, with what to do instead, for text, None, complex numbers, arrays, all else.
    """
    if isinstance(number, Real | Decimal) or _is_numpy_bool(number):
        try:
            return float(number)  # type: ignore[arg-type]
        except OverflowError:
            raise _refusal(number, "it is too large for a 64-bit float") from None
    raise _refusal(number, _remedy(number))


def _is_numpy_bool(number: object) -> bool:
    kind = type(number)  # NumPy registers its scalars as `numbers.Real`, except its bool
    return kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")


def _remedy(thing: object) -> str:
    if isinstance(thing, str | bytes):
        return "convert text with float(...) first"
    if thing is None:
        return "did a function forget to return its result?"
    if isinstance(thing, complex):
        return "gradients here are of real numbers"
    if hasattr(thing, "_apply"):
        return "it is a Value already; use it as it is, or its .data for a copy without history"
    if hasattr(thing, "__len__") or hasattr(thing, "shape"):
        return "a Value holds one number; make one Value per element"
    return "give an int, a float or a NumPy scalar"


def _refusal(thing: object, remedy: str) -> ValueTypeError:
    return ValueTypeError(f"not one real number: {shortened(repr(thing))} ({type(thing).__name__}); {remedy}")


def shortened(text: str) -> str:
    """Return what a message shows of `text`: at most 60 characters."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_array(thing: object) -> bool:
    """Whether it is a NumPy array."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def each(function: Callable[[Any], Any], array: Any, dtype: type = object) -> Any:
    """Return the array of `function(x)` for every plain number, or Value, x in `array`; of no dimension, a result.

    Raises:
        ValueTypeError: the array is masked, as the result would not be.
    """
    numpy = sys.modules["numpy"]
    if isinstance(array, numpy.ma.MaskedArray):
        raise ValueTypeError("a masked array cannot be combined with a Value; use .filled(number) or .compressed()")
    results = numpy.empty(array.size, dtype)
    for position, number in enumerate(array.ravel().tolist()):
        results[position] = function(number)
    return results.reshape(array.shape) if array.ndim else results[0]
