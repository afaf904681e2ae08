"""Networks of the last tokens: bigram, mlp, mlp-bn, wavenet."""

from __future__ import annotations

import numpy as np

from ...models.arrays.learner import MlpModel
from ...models.arrays.mlp import scale
from ...models.arrays.network import member_of
from ...models.pytorch.mlp_bn import MlpBnModel
from ...models.pytorch.wavenet import WavenetModel
from ...models.scalars.bigram import BigramModel
from ...models.weights import Weights, under
from .builder import Builder
from .counted import prior, shaped
from .priors import added, blended

BATCH_NORM = 1e-5
"""Added to a variance, as PyTorch does."""


def bigram(builder: Builder, model: BigramModel) -> int:
    """The matrix's row of the last token."""
    return builder.log_softmax(added(builder, model, builder.row(model.weights["weight"], "c1")))


def mlp(builder: Builder, model: MlpModel) -> int:
    """The mean of the members' logits, and what the shape of the line says."""
    counted = None if model.prior is None else prior(builder, model.prior)
    members = [
        _member(builder, model, member_of(model.weights, number), counted) for number in range(model.config.members)
    ]
    logits = builder.sum(members)
    if len(members) > 1:
        logits = builder.put("scale", logits, number=1 / len(members))
    if model.shape is not None:
        logits = shaped(builder, logits, model.shape)
    return builder.log_softmax(logits)


def _member(builder: Builder, model: MlpModel, w: Weights, counted: int | None) -> int:
    config, embedding = model.config, w["embedding"]
    vectors = builder.recent(embedding, config.context)
    if config.first == "yes":
        vectors.append(builder.row(embedding, "f1"))
    x = builder.join(vectors)
    if config.tied == "yes":
        x = builder.put("scale", x, number=float(scale(w)))
    features = builder.put("tanh", builder.linear(x, w["hidden.weight"], w["hidden.bias"]))
    if config.tied == "yes":
        features = builder.linear(features, w["project.weight"], w["project.bias"])
    logits = builder.linear(features, embedding if config.tied == "yes" else w["out.weight"], w["out.bias"])
    if counted is None:
        return logits
    trust = builder.linear(features, w["prior.weight"][None], w["prior.bias"][None])
    return builder.put("add", logits, builder.put("multiply", counted, trust))


def mlp_bn(builder: Builder, model: MlpBnModel) -> int:
    """A hidden layer whose normalisation is fixed."""
    w = model.weights
    x = builder.join(builder.recent(w["embedding.weight"], model.config.context)[::-1])
    x = _normalised(builder, builder.linear(x, w["hidden.weight"]), under("norm.", w))
    logits = builder.linear(builder.put("tanh", x), w["head.weight"], w["head.bias"])
    return builder.log_softmax(blended(builder, model, logits))


def wavenet(builder: Builder, model: WavenetModel) -> int:
    """Neighbours become one, level by level."""
    w = model.weights
    nodes = builder.recent(w["embedding.weight"], model.config.context)[::-1]
    for level in range(model.config.levels):
        pairs = [builder.join(nodes[start : start + 2]) for start in range(0, len(nodes), 2)]
        fused = [builder.linear(pair, w[f"fuse.{level}.weight"]) for pair in pairs]
        norm = under(f"norms.{level}.", w)
        nodes = [builder.put("tanh", _normalised(builder, one, norm)) for one in fused]
    logits = builder.linear(nodes[0], w["head.weight"], w["head.bias"])
    return builder.log_softmax(blended(builder, model, logits))


def _normalised(builder: Builder, x: int, norm: Weights) -> int:
    """What a normalisation over the batch is once its means and variances are fixed."""
    weight, bias, mean, variance = (
        norm[name].astype(np.float64) for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = weight / np.sqrt(variance + BATCH_NORM)
    return builder.put("affine", x, names=[builder.tensor(factor), builder.tensor(bias - mean * factor)])
