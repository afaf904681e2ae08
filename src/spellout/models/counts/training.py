"""From a stream of tokens to mixed counts: the n-gram, the counts of every other view, then the mixer.

The n-gram's order and discounts are those that suit held-out lines best. The other views' discounts are the closed
form: fitted ones are no better once the mixer has weighed the views, and take ten times as long as counting.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..contract import Callback
from ..ngram.config import NgramConfig
from ..ngram.counts import Columns, Counts, count_rows
from ..ngram.discounts import Discounts
from ..ngram.levels import build_levels, build_levels_of_occurrences
from ..ngram.model import NgramModel
from ..ngram.training import train_ngram
from ..shape.automaton import Shape
from ..shape.fitting import fitted_shape
from ..weights import Weights
from .config import CountsConfig, PriorConfig
from .gates import mixing_shapes
from .left_out import LeftOutMixture
from .letters import two_classes
from .mixing import BATCH, Mixer, learning_rate
from .model import CountsModel
from .past import Past
from .priors import Prior
from .views import RECENT, View, views

EPOCHS = 8
"""The mixer sees every position so often at most: on 300 to 4,000 names more only overfits."""
_SHAPED = 1 << 15
"""The shapes of lines are fitted to lines of so many tokens."""
_MOST_KEPT = 1 << 25
"""Numbers of the views' rows at some positions that are kept for the mixer where not all of them are."""


def train_counts(
    stream: np.ndarray,
    vocabulary_size: int,
    config: CountsConfig,
    callback: Callback,
    first: NgramModel | None = None,
    classes: np.ndarray | None = None,
) -> tuple[CountsModel, float | None]:
    """Train on one stream `0 line 0 line 0`; `first` is the n-gram of the same stream, if there is one.

    With the `classes` (V,) of the tokens, the shapes of lines, too.

    Also returns the nats per token that the n-gram's discounts give held-out lines, None if no line was held out.
    """
    held_out = None
    if first is None:
        first, held_out = train_ngram(stream, vocabulary_size, NgramConfig(order=config.order), callback)
    config = replace(config, order=min(first.order, RECENT + 1))
    turns, past = two_classes(stream, vocabulary_size), Past.of(stream)[:-1]
    chosen = views(config.views, first.order, config.first)
    models = [counted(view, past.columns(view.columns, turns), stream[1:], vocabulary_size) for view in chosen[1:]]
    if first.order == len(chosen[0].columns) + 1:
        models.insert(0, first.with_shape(None) if first.shape else first)  # the mixture has one of its own
    else:  # an order of one or a very high one
        models.insert(0, counted(chosen[0], past.columns(chosen[0].columns, turns), stream[1:], vocabulary_size))
    shapes = mixing_shapes(config.views, vocabulary_size)
    weights = {name: np.zeros(shape) for name, shape in shapes.items()}
    model = CountsModel(config, chosen, models, turns, weights)
    left_out = LeftOutMixture(model, stream)
    model.weights = _mixed(model, left_out, stream[1:])
    shape = None if classes is None else _shape(model, left_out, stream, classes)
    return CountsModel(config, chosen, models, turns, model.weights, shape), held_out


def train_prior(
    stream: np.ndarray,
    vocabulary_size: int,
    config: PriorConfig,
    callback: Callback,
    given: Prior | None = None,
    classes: np.ndarray | None = None,
) -> Prior:
    """Train on one stream `0 line 0 line 0`, or take what is `given`: the prior itself, or its n-gram.

    `classes` (V,) are those of the tokens, for the shapes of lines.
    """
    if isinstance(config, NgramConfig):
        return given or train_ngram(stream, vocabulary_size, config, callback, classes)[0]
    if isinstance(given, CountsModel):
        return given
    return train_counts(stream, vocabulary_size, config, callback, given, classes)[0]


def prior_counted_anew(prior: Prior, stream: np.ndarray) -> Prior:
    """Count another text `0 line 0 line 0`; discounts and what mixes the counts stay as they are."""
    if isinstance(prior, NgramModel):
        return prior.counted_anew(stream)
    past, size = Past.of(stream)[:-1], prior.vocabulary_size
    models = [
        counted(view, past.columns(view.columns, prior.classes), stream[1:], size, before.discounts)
        for view, before in zip(prior.views, prior.models, strict=True)
    ]
    return CountsModel(prior.config, prior.views, models, prior.classes, prior.weights, prior.shape)


def counted(
    view: View, columns: Columns, targets: np.ndarray, vocabulary_size: int, discounts: Discounts | None = None
) -> NgramModel:
    """Count the model of one view: its columns and the token that followed at every position, (N,) each.

    `discounts` are the closed form, if they are not known.
    """
    counts: Counts = count_rows([*columns, targets], vocabulary_size)
    levels = build_levels(counts) if view.continuation else build_levels_of_occurrences(counts)
    return NgramModel.of_levels(levels, NgramConfig(), discounts, continuation=view.continuation)


def _mixed(model: CountsModel, left_out: LeftOutMixture, targets: np.ndarray) -> Weights:
    """Learn the mixer's weights from positions whose own occurrences are left out, and what came there (N,)."""
    steps = min(model.config.steps, -(-EPOCHS * len(targets) // BATCH))
    mixer = Mixer(len(model.models), model.vocabulary_size)
    # Raw numbers, since NumPy does not promise that what it makes of them stays the same.
    places = (np.random.Philox(key=0).random_raw(steps * BATCH) % np.uint64(len(targets))).astype(np.int64)
    if not left_out.all:
        # Each is worked out once, and comes often.
        some = max(BATCH, _MOST_KEPT // (len(model.models) * model.vocabulary_size))
        left_out, targets, places = left_out.only(places[:some]), targets[places[:some]], places % some
    for step in range(steps):
        batch = places[step * BATCH : (step + 1) * BATCH]
        rows, chosen = left_out.views_at(batch)
        mixer.step(rows, chosen, targets[batch].astype(np.int64), learning_rate(step, steps))
    return mixer.weights()


def _shape(model: CountsModel, left_out: LeftOutMixture, stream: np.ndarray, classes: np.ndarray) -> Shape | None:
    """Fit the shapes of lines to what the mixture says of the classes of tokens at positions of some lines."""
    most = min(_SHAPED, _MOST_KEPT // (len(model.models) * model.vocabulary_size))
    ends = np.flatnonzero(stream == 0)
    every = -(-(len(stream) - 1) // most)
    taken = np.zeros(len(ends) - 1, bool)
    taken[::every] = True
    places = np.flatnonzero(np.repeat(taken, np.diff(ends)))  # the places before each of their tokens
    of_classes = np.eye(int(classes.max()) + 1)[classes]  # (V, K)
    chances = np.empty((len(places), of_classes.shape[1]))
    for start in range(0, len(places), BATCH):
        piece = slice(start, start + BATCH)
        chances[piece] = np.exp(left_out.at(places[piece])) @ of_classes
    return fitted_shape(np.concatenate([stream[:1], stream[places + 1]]), classes, chances)
