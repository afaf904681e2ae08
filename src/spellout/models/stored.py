"""Settings as a file holds them: checked before anything is made of them, as anyone may have written the file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from safetensors import SafetensorError

from ..errors import UsageError

T = TypeVar("T")
DAMAGE = (
    SafetensorError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading a file that is not what it should be may raise."""
_DEPTHS = ("layers", "levels")


def name_of_today(kind: type[Any], name: str) -> str:
    """What a setting is called now: runs and specifications of before may call it by a former name."""
    former: Mapping[str, str] = getattr(kind, "former_names", {})
    return former.get(name, name)


def stored_config(kind: type[T], values: Any) -> T:
    """A config dataclass from the JSON object of its fields. ValueError says what no field can hold."""
    if not isinstance(values, dict):
        raise ValueError("the settings are not a JSON object")
    hints, known = get_type_hints(kind), {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {name_of_today(kind, name): value for name, value in values.items()}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"there is no setting {name[:40]!r}")
        if not _fits(value, hints[name]):
            raise ValueError(f"the setting {name} cannot be {str(value)[:40]}")
    try:
        return kind(**values)
    except UsageError as error:  # nobody typed it: the file is wrong, not the command line
        raise ValueError(str(error)) from None


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if hint in (NoneType, str, bool):
        return isinstance(value, hint)
    if hint is int:
        return type(value) is int  # True is an int too, but nobody's size
    return type(value) in (int, float) and math.isfinite(value)


def check_sizes(config: Any, weights: Mapping[str, np.ndarray]) -> None:
    """ValueError if a network of these settings cannot have these weights, told before any memory is asked for.

    A network has at least one number for each unit of its sizes, and one array for each of its layers; and numbers
    that are not finite give no probabilities.
    """
    numbers = sum(array.size for array in weights.values())
    for field in fields(config):
        size = getattr(config, field.name)
        most = len(weights) if field.name in _DEPTHS else numbers
        if type(size) is int and field.name != "batch" and size > most:  # a batch is no size of the network
            raise ValueError(f"{field.name}={size} needs more weights than there are")
    for name, array in weights.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"the weights {name} are not finite numbers")


def said(error: BaseException) -> str:
    """What an error says, on one line and not at length: a damaged file's content may stand in it.

    Of what says nothing but a key, or what Python wanted, it is told in words.
    """
    if isinstance(error, KeyError):
        return f"an entry named {' '.join(str(*error.args[:1]).split())[:100]} is missing"
    if isinstance(error, AttributeError | IndexError | TypeError):
        return "something in it has another form than it should have"
    return " ".join(str(error).split())[:200]
