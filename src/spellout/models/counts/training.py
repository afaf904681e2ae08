"""From a stream of tokens to mixed counts: the order, the discounts of every view, the counts, then the mixer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..contract import Callback
from ..ngram.counts import Columns, Counts, count_rows
from ..ngram.discounts import fit
from ..ngram.levels import Level, build_levels, build_levels_of_occurrences
from ..ngram.model import NgramConfig, NgramModel
from ..ngram.search import hold_out
from ..ngram.training import train_ngram
from .letters import two_classes
from .mixing import BATCH, LR, WARMUP, Mixer, mixing_shapes
from .model import CountsConfig, CountsModel
from .past import RECENT, Past
from .views import View, views


def train_counts(
    stream: np.ndarray, vocabulary_size: int, config: CountsConfig, callback: Callback
) -> tuple[CountsModel, float | None]:
    """Train on one stream `0 line 0 line 0`. Also returns the nats per token that the first view's discounts give
    held-out lines, None if no line was held out."""
    first, held_out = train_ngram(stream, vocabulary_size, NgramConfig(order=config.order), callback)
    config = replace(config, order=min(first.order, RECENT))
    classes, past = two_classes(stream, vocabulary_size), Past.of(stream)[:-1]
    cut = hold_out(stream)
    models = [first] if first.order == len(views(1, first.order)[0].columns) + 1 else []
    for view in views(config.views, first.order)[len(models) :]:
        models.append(_counted(view, past.columns(view.columns, classes), stream[1:], vocabulary_size, cut))
    start = {
        name: np.zeros(shape, np.float32) for name, shape in mixing_shapes(config.views, vocabulary_size).items()
    }
    model = CountsModel(config, models, classes, start)
    model.weights = _mixed(model, stream)
    return model, held_out


def _counted(view: View, columns: Columns, targets: np.ndarray, vocabulary_size: int, cut: int) -> NgramModel:
    """The model of one view, whose discounts are fitted to the lines after the cut, which then are counted, too."""
    every = [*columns, targets]

    def counts(piece: slice) -> Counts:
        return count_rows([column[piece] for column in every], vocabulary_size)

    discounts = fit(_levels(view, counts(slice(cut))), counts(slice(cut, None))) if cut < len(targets) else None
    levels = _levels(view, counts(slice(None)))
    model = NgramModel.of_levels(levels, NgramConfig(), discounts)
    model.continuation = view.continuation
    return model


def _levels(view: View, counts: Counts) -> list[Level]:
    return build_levels(counts) if view.continuation else build_levels_of_occurrences(counts)


def _mixed(model: CountsModel, stream: np.ndarray) -> dict[str, np.ndarray]:
    """The mixer's weights, learned from positions whose own occurrences are left out."""
    left_out, mixer, targets = model.left_out(stream), Mixer(len(model.models), model.vocabulary_size), stream[1:]
    random = np.random.Generator(np.random.Philox(0))
    steps, batch = model.config.steps, min(BATCH, len(targets))
    for step in range(steps):
        progress = (step + 0.5) / steps
        lr = LR * min(progress / WARMUP, (1.0 - progress) / (1.0 - WARMUP))
        places = random.integers(0, len(targets), batch)
        rows, chosen = left_out.views_at(places)
        mixer.step(rows, chosen, targets[places].astype(np.int64), lr)
    return mixer.weights()
