"""NumPy arrays beside a Value: arithmetic element by element. Who has an array has NumPy: nothing is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..errors import ValueTypeError


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
    for place, number in enumerate(array.ravel().tolist()):
        results[place] = function(number)
    return results.reshape(array.shape) if array.ndim else results[0]
