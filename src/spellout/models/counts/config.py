"""What can be set of mixed counts, and of whatever a network starts from, apart from the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import UsageError
from ..ngram.config import NgramConfig
from .views import MOST_VIEWS

HIGHEST_ORDER = 12


@dataclass(frozen=True, kw_only=True)
class CountsConfig:
    """The settings of mixed counts."""

    views: int = MOST_VIEWS
    """How many views are mixed, the n-gram of the last tokens the first of them."""
    order: int | None = None
    """The n of that n-gram. Without it, the best order on held-out training lines is taken."""
    first: Literal["no", "yes"] = "no"
    """yes: the line's first token is in more of the views, as where that is a label."""
    steps: int = 800
    """Steps of the mixer's training, at most."""

    def __post_init__(self) -> None:
        if not 1 <= self.views <= MOST_VIEWS:
            raise UsageError(f"views={self.views}: a whole number from 1 to {MOST_VIEWS}")
        if self.order is not None and not 1 <= self.order <= HIGHEST_ORDER:
            raise UsageError(f"order={self.order}: an order here is a whole number from 1 to {HIGHEST_ORDER}")
        if self.steps < 1:
            raise UsageError(f"steps={self.steps}: the mixer needs at least 1")


PriorConfig = NgramConfig | CountsConfig
