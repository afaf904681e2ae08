"""The numbers that variables of the user's hold."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any

import torch

_SMALL = 20
"""A collection with fewer entries is looked into."""


def numbers_in(frames: Iterable[FrameType]) -> list[float]:
    """What the variables of these calls hold, each number once, in their order."""
    held = (number for frame in frames for one in list(frame.f_locals.values()) for number in _floats(one))
    return list(dict.fromkeys(held))


def _floats(value: Any) -> list[float]:
    """The numbers that a variable holds, also in a small collection."""
    if isinstance(value, dict | tuple | list) and len(value) < _SMALL:
        inner = list(value.values()) if isinstance(value, dict) else value
        return [one for one in map(_float, inner) if one is not None]
    number = _float(value)
    return [] if number is None else [number]


def _float(value: Any) -> float | None:
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.is_floating_point() and not value.is_meta:
        return float(value.detach())
    return value if type(value) is float else None
