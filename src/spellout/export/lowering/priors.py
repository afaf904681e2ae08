"""How networks weigh the counts that they start from."""

from __future__ import annotations

import numpy as np

from ...models.neural import NeuralModel
from .builder import Builder
from .counted import prior


def added(builder: Builder, model: NeuralModel, logits: int) -> int:
    """Networks in scalars: the counts times one number are added to the logits."""
    if model.prior is None:
        return logits
    scale = float(model.weights["prior_scale"])
    return builder.put("add", logits, builder.put("scale", prior(builder, model.prior), number=scale))


def blended(builder: Builder, model: NeuralModel, logits: int) -> int:
    """Networks in PyTorch: a product of both, each to a power (`models/pytorch/layers.py`, `Blend`)."""
    if model.prior is None:
        return logits
    powers, trust = (model.weights[f"blend.{name}"].astype(np.float64) for name in ("powers", "trust"))
    power = builder.linear(logits, trust[None] * len(trust) ** -0.5, powers[1:])
    counted = builder.put("multiply", prior(builder, model.prior), power)
    return builder.put("add", builder.put("scale", logits, number=float(powers[0])), counted)
