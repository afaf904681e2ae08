"""What can be learned: Values that were made and not computed, each once."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError, ValueTypeError
from .value import Value


def distinct_leaves(parameters: Any) -> list[Value]:
    """Return parameters as a list.

    Raises:
        ValueTypeError: they are not Values, or one of them was computed.
        UsageError: one of them stands there twice. A gradient is the sum over all uses of a Value, so tied weights
            are one Value that is used twice and listed once.
    """
    try:
        values = list(parameters)
    except TypeError:
        way = ".parameters()" if hasattr(parameters, "parameters") else ""
        said = f"give its {way}" if way else "give a list of Values"
        raise ValueTypeError(
            f"parameters are a list of Values, got one {type(parameters).__name__}; {said}"
        ) from None
    places: dict[Value, int] = {}
    for place, value in enumerate(values):
        if not isinstance(value, Value):
            raise ValueTypeError(f"parameters are Values, got {value!r} ({type(value).__name__}) at place {place}")
        name = f" {value.label!r}" if value.label else ""
        if value.parents:
            raise ValueTypeError(
                f"the parameter{name} at place {place} was computed ({value.op.symbol!r}); a parameter is a Value "
                "that was made as it is"
            )
        if places.setdefault(value, place) != place:
            raise UsageError(
                f"parameters hold the same Value{name} twice, at the places {places[value]} and {place}; to tie "
                "weights use one Value in several places of the formula and list it once: its gradient is the sum "
                "over all uses"
            )
    return values
