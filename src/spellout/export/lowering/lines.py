"""Networks that read a line from left to right: gru-numpy, rnn, gru, lstm, bow."""

from __future__ import annotations

import numpy as np

from ...models.arrays.recurrent.model import GruModel as NumpyGruModel
from ...models.pytorch.bow import BowModel
from ...models.pytorch.recurrent import GruModel, LstmModel, RecurrentModel, RnnModel
from ...models.weights import Weights, under
from .builder import Builder
from .counted import prior
from .priors import blended


def gru_numpy(builder: Builder, model: NumpyGruModel) -> int:
    """A gru whose last layer has one output more, by which its counts are weighed."""
    w, hidden = model.weights, model.config.hidden
    x = builder.row(w["embedding"], "c1")
    bias = np.concatenate([np.zeros(2 * hidden, np.float32), w["memory.bias"]])
    h = _gru(builder, x, hidden, (w["input.weight"], w["memory.weight"], w["input.bias"], bias))
    logits = builder.linear(h, w["out.weight"], w["out.bias"])
    if model.prior is not None:
        scale = builder.linear(h, w["trust.weight"].reshape(1, -1), w["trust.bias"].reshape(1))
        counted = builder.put("multiply", prior(builder, model.prior), scale)
        logits = builder.put("add", logits, counted)
    return builder.log_softmax(logits)


def recurrent(builder: Builder, model: RecurrentModel) -> int:
    """One of three cells, perhaps a wide layer, and logits."""
    w, config = model.weights, model.config
    vectors, tied = w["embedding.weight"], config.tied == "yes"
    x = builder.row(vectors, "c1")
    if tied:
        x = builder.put("scale", x, number=vectors.shape[1] ** 0.5)
    x = _CELLS[type(model)](builder, x, config.hidden, _layer(under("layer.", w)))
    if config.wide:
        x = builder.put("gelu", builder.linear(x, w["wide.weight"], w["wide.bias"]))
    if tied:
        projected = builder.linear(x, w["head.project.weight"], w["head.project.bias"])
        logits = builder.linear(projected, vectors, w["head.bias"])
    else:
        logits = builder.linear(x, w["head.weight"], w["head.bias"])
    return builder.log_softmax(blended(builder, model, logits))


def bow(builder: Builder, model: BowModel) -> int:
    """Each vector and the average of all so far, and a hidden layer that adds to it."""
    w = model.weights
    x = builder.put(
        "add", builder.row(w["embedding.weight"], "c1"), builder.row(w["place_embedding.weight"], "place")
    )
    x = builder.put("add", x, builder.put("average", x, names=[builder.memory()]))
    hidden = builder.put("tanh", builder.linear(x, w["hidden.weight"], w["hidden.bias"]))
    x = builder.put("add", x, builder.linear(hidden, w["back.weight"], w["back.bias"]))
    logits = builder.linear(x, w["head.weight"], w["head.bias"])
    return builder.log_softmax(blended(builder, model, logits))


Layer = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""W of what is read, U of what is remembered, and the bias of each."""


def _layer(w: Weights) -> Layer:
    return w["weight_ih_l0"], w["weight_hh_l0"], w["bias_ih_l0"], w["bias_hh_l0"]


def _rnn(builder: Builder, x: int, hidden: int, layer: Layer) -> int:
    memory = builder.memory()
    read, remembered = _products(builder, x, builder.put("recall", names=[memory], number=hidden), layer)
    return builder.put("remember", builder.put("tanh", builder.put("add", read, remembered)), names=[memory])


def _gru(builder: Builder, x: int, hidden: int, layer: Layer) -> int:
    """h = n + z (h - n), as `models/arrays/recurrent/gru.py` has it."""
    memory = builder.memory()
    before = builder.put("recall", names=[memory], number=hidden)
    read, remembered = (builder.parts(one, hidden, 3) for one in _products(builder, x, before, layer))
    r, z = (
        builder.put("sigmoid", builder.put("add", *pair)) for pair in zip(read[:2], remembered[:2], strict=True)
    )
    n = builder.put("tanh", builder.put("add", read[2], builder.put("multiply", r, remembered[2])))
    kept = builder.put("multiply", z, builder.put("add", before, builder.put("scale", n, number=-1.0)))
    return builder.put("remember", builder.put("add", n, kept), names=[memory])


def _lstm(builder: Builder, x: int, hidden: int, layer: Layer) -> int:
    memory, cell = builder.memory(), builder.memory()
    before, kept = (builder.put("recall", names=[name], number=hidden) for name in (memory, cell))
    i, f, g, o = builder.parts(builder.put("add", *_products(builder, x, before, layer)), hidden, 4)
    i, f, o = (builder.put("sigmoid", gate) for gate in (i, f, o))
    new = builder.put("multiply", i, builder.put("tanh", g))
    c = builder.put("remember", builder.put("add", builder.put("multiply", f, kept), new), names=[cell])
    return builder.put("remember", builder.put("multiply", o, builder.put("tanh", c)), names=[memory])


def _products(builder: Builder, x: int, before: int, layer: Layer) -> tuple[int, int]:
    w, u, b, c = layer
    return builder.linear(x, w, b), builder.linear(before, u, c)


_CELLS = {RnnModel: _rnn, GruModel: _gru, LstmModel: _lstm}
