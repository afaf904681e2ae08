"""One attention, as a pass did it; how it was written no longer matters.

B samples · H heads · Q queries · K keys · d width of a head
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ...tape import Call


@dataclass(eq=False, repr=False)
class Attention:
    """Weights W, what they come from, and what comes of them."""

    call: Call
    """The product with the values, or the fused call."""
    weights: torch.Tensor
    """W (…, Q, K), as the values are weighted with them."""
    output: torch.Tensor
    """What comes of it, before any projection where the user made one."""
    inputs: list[torch.Tensor]
    """Queries, keys and values as the user gave them."""
    own: torch.Tensor | None = None
    """W with its axes as the user has them, where the user made it."""
    keys: int = -1
    """The axis of `own` that the values are summed over."""
    product: Call | None = None
    """The product of queries and keys, where the user made it."""
    steps: list[Call] = field(default_factory=list)
    """What was done between the two products, in this order."""
    masks: list[torch.Tensor] = field(default_factory=list)
    """What was added to the scores, multiplied with them, or said which to hide; nothing that is learned."""

    @property
    def where(self) -> str | None:
        """The user's line."""
        return self.call.where

    @property
    def normalised(self) -> bool:
        """No weight is negative, and over the keys they sum to one (or to nothing, where nothing may be seen)."""
        sums = self.weights.double().sum(-1)
        fits = ((sums - 1).abs() < 1e-3) | (sums.abs() < 1e-3) | sums.isnan()
        return bool(fits.all()) and not bool((self.weights < 0).any())

    @property
    def square(self) -> bool:
        """As many queries as keys, and enough of them to see a pattern."""
        return self.weights.ndim > 1 and self.weights.shape[-1] == self.weights.shape[-2] > 3

    @property
    def visible(self) -> torch.Tensor:
        """Which key has weight for which query, in any sample and head: (Q, K), true or false."""
        return (self.weights.nan_to_num() > 1e-6).flatten(0, -3).any(0) if self.weights.ndim > 2 else (
            self.weights.nan_to_num() > 1e-6
        )  # fmt: skip
