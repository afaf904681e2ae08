"""What can be set of an n-gram, apart from the model, so that a specification is understood without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import UsageError

Smoothing = Literal["fitted", "closed-form", "add-k"]


@dataclass(frozen=True, kw_only=True)
class NgramConfig:
    """The settings of an n-gram model."""

    order: int | None = None
    """The n: letters of context plus one. Without it, the best order on held-out training lines is taken."""
    smoothing: Smoothing = "fitted"
    """fitted or closed-form Kneser-Ney discounts, or add-k."""
    k: float = 1.0
    """What add-k adds to every count."""
    shape: Literal["auto", "no"] = "auto"
    """auto: lengths and patterns of lines count too, where that is better and smoothing is fitted."""

    def __post_init__(self) -> None:
        if self.order is not None and not 1 <= self.order <= 64:
            raise UsageError(f"order={self.order}: an n-gram's order is a whole number from 1 to 64")
        if self.smoothing == "add-k" and not self.k > 0:
            raise UsageError(f"--k {self.k}: add-k smoothing adds a number above 0, such as 1")
