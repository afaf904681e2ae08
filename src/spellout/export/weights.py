"""How weights can be stored, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

from typing import Literal, get_args

Weights = Literal["float32", "float16", "int8"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)
