"""Models that count: n-grams, many views of the past mixed, and what the shape of a line says beside them."""

from __future__ import annotations

import numpy as np

from ...errors import ExportError
from ...models.counts.model import CountsModel
from ...models.counts.priors import Prior
from ...models.counts.views import RECENT
from ...models.ngram.model import NgramModel
from ...models.shape.automaton import Shape as ShapeOfLines
from ..step import Shape, Table
from .builder import Builder

_NO_CLASSES = np.zeros(0, np.int64)


def ngram(builder: Builder, model: NgramModel) -> int:
    """An n-gram's table, times the factors of the shape if it has one."""
    if model.order > RECENT + 1:
        raise ExportError(
            f"an n-gram of order {model.order} cannot be exported: files look back {RECENT} tokens, "
            f"as ngram:{RECENT + 1} does; train with at most that"
        )
    columns = tuple(f"c{back}" for back in range(1, model.order))
    rows = _counted(builder, model, columns, _NO_CLASSES)
    return rows if model.shape is None else builder.log_softmax(shaped(builder, rows, model.shape))


def counts(builder: Builder, model: CountsModel) -> int:
    """The table of every view, times its scale, which gates choose."""
    mixing = model.weights
    scales = builder.sum(
        [
            builder.put("constant", names=[builder.tensor(mixing["always"])]),
            builder.row(mixing["place"], "place"),
            builder.row(mixing["last"], "c1"),
            builder.row(mixing["second"], "c2"),
        ]
    )
    logits = builder.put("constant", names=[builder.tensor(mixing["bias"])])
    for number, (view, one) in enumerate(zip(model.views, model.models, strict=True)):
        of_classes = any(column[0] == "k" for column in view.columns)
        rows = _counted(builder, one, view.columns, model.classes if of_classes else _NO_CLASSES)
        logits = builder.put("add", logits, builder.put("multiply", rows, builder.part(scales, number, 1)))
    if model.shape is not None:
        logits = shaped(builder, logits, model.shape)
    return builder.log_softmax(logits)


def prior(builder: Builder, model: Prior) -> int:
    """The log-probabilities of what a network starts from."""
    return counts(builder, model) if isinstance(model, CountsModel) else ngram(builder, model)


def shaped(builder: Builder, logits: int, shape: ShapeOfLines) -> int:
    """Logits with what the shape of the line says."""
    name = builder.shape(Shape(shape.classes, shape.following, shape.log_factors))
    return builder.put("add", logits, builder.put("shape", names=[name]))


def _counted(builder: Builder, model: NgramModel, columns: tuple[str, ...], classes: np.ndarray) -> int:
    table = Table(
        columns[: model.order - 1],
        classes,
        keys=tuple(level.keys for level in model.levels),
        offsets=tuple(level.offsets for level in model.levels),
        tokens=tuple(level.tokens for level in model.levels),
        counts=tuple(level.counts for level in model.levels),
        discounts=model.discounts.amounts,
        concentrations=model.discounts.concentrations,
        interpolated=model.interpolated,
    )
    return builder.put("counts", names=[builder.table(table)])
