"""What an n-gram does not know: how far a line has come, and which pattern it follows."""

from __future__ import annotations

import numpy as np

from ..ngram.counts import context_columns, numbered_rows
from ..ngram.model import NgramModel
from ..ngram.streams import some_lines
from .fitting import fitted_shape
from .lengths import with_lengths_of
from .patterns import MOST_PLACES

FITTED = 1 << 16
"""A shape is fitted to lines of about so many tokens in all: more cost time and win nearly nothing."""
MOST_TOKENS = 1 << 12
"""A larger vocabulary is one of words, whose classes say little."""
_POSITIONS_AT_ONCE = 1 << 15


def shaped(
    model: NgramModel, stream: np.ndarray, classes: np.ndarray | None, others: np.ndarray | None = None
) -> NgramModel:
    """Give a model of a stream `0 line 0 line 0` a shape, by the classes (V,) of the tokens, if that is better.

    It is judged at positions of the text, each as if it had not been counted. `others` is such a stream of other
    lines, which tell what is rare in lines (see `fitting`).
    """
    if classes is None or len(classes) > MOST_TOKENS or len(stream) < 2:
        return model
    if np.diff(np.flatnonzero(stream == 0)).max() > MOST_PLACES:  # a text, and no list
        return model
    some = some_lines(stream, FITTED)
    columns = [column[:-1] for column in context_columns(some, max(model.order - 1, 1))]
    # Many positions have the same n-gram; in their order, what is looked up together stands close together.
    numbers, where = numbered_rows([*columns, some[1:]], model.vocabulary_size)
    targets = some[1:][where].astype(np.int64)
    chances = np.empty((len(where), int(classes.max()) + 1))
    for start in range(0, len(where), _POSITIONS_AT_ONCE):
        piece = slice(start, start + _POSITIONS_AT_ONCE)
        contexts = model.contexts_of([column[where[piece]] for column in columns])
        chances[piece] = model.class_chances(contexts, classes, targets[piece])
    return with_lengths_of(stream, model.with_shape(fitted_shape(some, classes, chances[numbers], others)))
