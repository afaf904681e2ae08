"""What counts as one real number, and the sentence for everything that does not."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real

from ..errors import ValueTypeError


def as_float(number: object) -> float:
    """Return any real scalar (int, float, bool, Fraction, Decimal, every NumPy scalar) as a float.

    Raises ValueTypeError, with what to do instead, for text, None, complex numbers, arrays, all else. NumPy
    is recognised without being imported: its scalars are registered as `numbers.Real`, except its bool.
    """
    if isinstance(number, Real | Decimal) or _is_numpy_bool(number):
        try:
            return float(number)  # type: ignore[arg-type]
        except OverflowError:
            raise _refusal(number, "it is too large for a 64-bit float") from None
    raise _refusal(number, _remedy(number))


def _is_numpy_bool(number: object) -> bool:
    kind = type(number)
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
    shown = repr(thing)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ValueTypeError(f"not one real number: {shown} ({type(thing).__name__}); {remedy}")
