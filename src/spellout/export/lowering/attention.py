"""Networks in which every token looks back at all before it: gpt, transformer."""

from __future__ import annotations

import numpy as np

from ...models.pytorch.transformer import TransformerModel
from ...models.scalars.gpt import GptModel
from ...models.weights import Weights, under
from .builder import Builder
from .priors import added, blended

LAYER_NORM = RMS_NORM = 1e-5
"""What both add to a mean square."""


def gpt(builder: Builder, model: GptModel) -> int:
    """Blocks without biases, normalised by their root mean square."""
    w, config = model.weights, model.config
    x = _rms(builder, builder.put("add", builder.row(w["token"], "c1"), builder.row(w["place"], "place")), config)
    for layer in range(config.layers):
        block = under(f"{layer}.", w)
        inputs = _rms(builder, x, config)
        q, k, v = (builder.linear(inputs, block[name]) for name in ("query", "key", "value"))
        taken = builder.put("attend", q, k, v, names=[builder.memory()], number=config.heads)
        x = builder.put("add", x, builder.linear(taken, block["mix"]))
        hidden = builder.put("relu", builder.linear(_rms(builder, x, config), block["up"]))
        x = builder.put("add", x, builder.linear(hidden, block["down"]))
    return builder.log_softmax(added(builder, model, builder.linear(x, w["out"])))


def _rms(builder: Builder, x: int, config: object) -> int:
    """x / sqrt(mean(x²) + ε): beside its opposite, a vector has the mean 0, and so this variance."""
    width: int = config.width  # type: ignore[attr-defined]
    both = builder.join([x, builder.put("scale", x, number=-1.0)])
    names = [builder.tensor(np.full(2 * width, number, np.float32)) for number in (1.0, 0.0)]
    return builder.part(builder.put("norm", both, names=names, number=RMS_NORM), 0, width)


def transformer(builder: Builder, model: TransformerModel) -> int:
    """Blocks as in GPT-2, a last normalisation, and logits."""
    w, config = model.weights, model.config
    vectors = w["embedding.weight"]
    x = builder.put("add", builder.row(vectors, "c1"), builder.row(w["place_embedding.weight"], "place"))
    for layer in range(config.layers):
        block = under(f"blocks.{layer}.", w)
        x = _block(builder, x, block, config.width, config.heads)
    x = _norm(builder, x, under("norm.", w))
    logits = builder.linear(x, vectors) if config.tied == "yes" else _linear(builder, x, under("head.", w))
    return builder.log_softmax(blended(builder, model, logits))


def _block(builder: Builder, x: int, block: Weights, width: int, heads: int) -> int:
    qkv = _linear(builder, _norm(builder, x, under("norm1.", block)), under("attention.qkv.", block))
    taken = builder.put("attend", *builder.parts(qkv, width, 3), names=[builder.memory()], number=heads)
    x = builder.put("add", x, _linear(builder, taken, under("attention.out.", block)))
    wide = _linear(builder, _norm(builder, x, under("norm2.", block)), under("wide.", block))
    return builder.put("add", x, _linear(builder, builder.put("gelu", wide), under("back.", block)))


def _norm(builder: Builder, x: int, w: Weights) -> int:
    return builder.put("norm", x, names=[builder.tensor(w["weight"]), builder.tensor(w["bias"])], number=LAYER_NORM)


def _linear(builder: Builder, x: int, w: Weights) -> int:
    return builder.linear(x, w["weight"], w["bias"])
