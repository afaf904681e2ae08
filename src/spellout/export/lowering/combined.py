"""Several models as one: the product of what they say, or the mixture."""

from __future__ import annotations

from ...models.ensembles.ensemble import Ensemble
from ...models.ensembles.mixture import Mixture
from .builder import Builder


def combined(builder: Builder, ensemble: Ensemble, said: list[int]) -> int:
    """The ensemble's log-probabilities from those of the members with a weight."""
    weights = [weight for weight in ensemble.weights if weight]
    if isinstance(ensemble, Mixture):
        said = [builder.put("exp", one) for one in said]
    parts = [builder.put("scale", one, number=weight) for one, weight in zip(said, weights, strict=True)]
    total = builder.sum(parts)
    return builder.put("log", total) if isinstance(ensemble, Mixture) else builder.log_softmax(total)
