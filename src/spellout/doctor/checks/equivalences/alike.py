"""How near two gradients of the same parameters are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ...case import Trial


@dataclass(frozen=True)
class Likeness:
    """One gradient beside another."""

    cosine: float
    ratio: float
    """The norm of the one, by that of the other."""
    distance: float
    """The norm of their difference, by that of the other."""
    finite: bool

    @classmethod
    def of(cls, one: torch.Tensor, other: torch.Tensor) -> Likeness:
        """Compare two vectors."""
        norms = float(one.norm()), float(other.norm())
        if not all(map(math.isfinite, norms)) or not all(norms):
            return cls(math.nan, math.nan, math.nan, all(map(math.isfinite, norms)))
        cosine = float(one @ other) / (norms[0] * norms[1])
        return cls(cosine, norms[0] / norms[1], float((one - other).norm()) / norms[1], True)


def vector(trial: Trial, names: list[str]) -> torch.Tensor:
    """The gradients of these parameters as one float64 vector; what no gradient reached counts as zero."""
    parts = []
    for name in names:
        grad = trial.gradients.get(name)
        if grad is not None:
            parts.append(grad.detach().reshape(-1).double().cpu())
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def reached(*trials: Trial) -> list[str]:
    """The parameters that all of these trials gave a gradient."""
    first, *others = trials
    return [
        name
        for name, grad in first.gradients.items()
        if grad is not None and all(one.gradients.get(name) is not None for one in others)
    ]
