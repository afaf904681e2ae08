"""What a view says at every position of the text that it has counted, each without that very occurrence.

`NgramModel.leave_one_out_rows` says so of some positions; here it is worked out for all of them, level by level
and for all tokens of a context at once. Where the same token follows the same columns it is the same, so there is
one row for each different n-gram: of a level's entry, the distribution of its context after the entry has been
counted once less. Below the longest context the shorter one is left as it is or counts less, too (see
`NgramModel._gone`).

    C contexts and E entries of a level · U different n-grams · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Protocol

import numpy as np

from ..ngram.counts import Columns, numbered_rows
from ..ngram.leave_one_out import LeaveOneOut
from ..ngram.level import Level
from ..ngram.model import NgramModel
from .gates import gates, scales
from .model import CountsModel
from .past import Past
from .priors import Prior
from .views import View

_MOST_KEPT = 1 << 28  # numbers: one gibibyte of float32
_Rows = Callable[[np.ndarray], np.ndarray]  # positions (N,) to rows (N, V)


class LeftOut(Protocol):
    """What a prior says at the positions of the text it was trained on, each without that very occurrence."""

    def at(self, places: np.ndarray) -> np.ndarray:
        """Turn (N,) positions into the log-probabilities (N, V), float32, of the token that follows each."""
        ...


def left_out(prior: Prior, stream: np.ndarray) -> LeftOut:
    """Give what a network with this prior learns from. Counts that include the token to be predicted would teach it
    to trust what is only memorised."""
    return LeftOutMixture(prior, stream) if isinstance(prior, CountsModel) else LeaveOneOut(prior, stream)


class LeftOutMixture:
    """The mixture at positions of a training stream, without their own occurrences.

    Attributes:
        all: whether every view's rows are worked out beforehand, for all positions; of a long text or a large
            vocabulary they are worked out when they are asked for.
    """

    def __init__(self, model: CountsModel, stream: np.ndarray) -> None:
        self._model, self._targets = model, stream[1:]
        self._past = Past.of(stream)[:-1]
        self._gates = gates(self._past, model.vocabulary_size)
        self._states = None if model.shape is None else model.shape.states_of(stream)[:-1]
        self.all = len(self._targets) * model.vocabulary_size * len(model.models) <= _MOST_KEPT
        self._rows: list[_Rows] = [
            self._kept(view, ngram) if self.all else partial(self._asked, view, ngram)
            for view, ngram in zip(model.views, model.models, strict=True)
        ]

    def _columns(self, view: View, places: np.ndarray | slice = slice(None)) -> Columns:
        return self._past[places].columns(view.columns, self._model.classes)

    def _kept(self, view: View, ngram: NgramModel) -> _Rows:
        return LeftOutRows(ngram, self._columns(view), self._targets).at

    def _asked(self, view: View, ngram: NgramModel, places: np.ndarray) -> np.ndarray:
        targets = self._targets[places].astype(np.int64)
        return ngram.leave_one_out_rows(self._columns(view, places), targets).astype(np.float32)

    def only(self, places: np.ndarray) -> LeftOutMixture:
        """Give the same for some positions (N,), which are numbered anew; their rows are worked out now."""
        some = copy(self)
        some._gates = {name: gate[places] for name, gate in self._gates.items()}
        some._states = None if self._states is None else self._states[places]
        some._rows = [partial(np.take, rows(places), axis=0) for rows in self._rows]
        return some

    def views_at(self, places: np.ndarray) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """Give each view's rows (N, V) at some positions, and what chooses the scales there."""
        return [rows(places) for rows in self._rows], {name: gate[places] for name, gate in self._gates.items()}

    def at(self, places: np.ndarray) -> np.ndarray:
        """Turn (N,) positions into the log-probabilities (N, V), float32, of the token that follows each."""
        rows, chosen = self.views_at(places)
        weights = self._model.weights
        logits = np.tile(weights["bias"].astype(np.float32), (len(places), 1))
        for scale, row in zip(scales(weights, chosen).T, rows, strict=True):
            logits += scale[:, None].astype(np.float32) * row
        if self._model.shape is not None and self._states is not None:
            logits += self._model.shape.of_tokens(self._states[places], logarithms=True)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits


class LeftOutRows:
    """The rows of one view.

    Attributes:
        rows: (U, V) float32, log-probabilities.
        numbers: (N,) the row of every position.
    """

    def __init__(self, model: NgramModel, columns: Columns, targets: np.ndarray) -> None:
        size = model.vocabulary_size
        self.numbers, where = numbered_rows([*columns, targets], size)
        contexts = model.contexts_of([column[where] for column in columns])
        depth = sum((ids >= 0).astype(np.int64) for ids in contexts) - 1  # of the longest context
        tokens = targets[where].astype(np.int64)
        self.rows = np.empty((len(where), size), np.float32)
        for level, distributions in enumerate(_all_left_out(model)):
            here = np.flatnonzero(depth == level)
            entries = model.levels[level].find_entries(contexts[level][here], tokens[here])
            self.rows[here] = np.log(distributions[entries])

    def at(self, places: np.ndarray) -> np.ndarray:
        """Give the rows (N, V) of some positions (N,)."""
        return self.rows.take(self.numbers[places], axis=0)


def _all_left_out(model: NgramModel) -> list[np.ndarray]:
    """For every level the distributions (E, V), float32, of each entry's context without one of its occurrences."""
    size, found = model.vocabulary_size, []
    usual = np.full((1, size), 1.0 / size, np.float32)  # of the contexts one shorter, with everything counted
    left_out = usual
    below: Level | None = None
    for depth, level in enumerate(model.levels):
        suffixes = (level.keys // np.uint64(size)).astype(np.int64)  # all 0 at the lowest level
        of = (level.entry_keys // np.uint64(size)).astype(np.int64)  # the context of each entry
        tokens = level.tokens.astype(np.int64)
        shorter = usual[suffixes]  # (C, V)
        if below is None:
            lower = np.repeat(usual, len(of), axis=0)
        else:
            lower = left_out[below.find_entries(suffixes[of], tokens)]
            if model.continuation:  # the shorter context loses nothing, unless the n-gram vanishes from this one
                stays = level.counts > 1
                lower[stays] = shorter[of[stays]]
        amounts, concentration = model.discounts.amounts[depth], model.discounts.concentrations[depth]
        total, mass = level.totals + concentration, level.kinds @ amounts + concentration
        discounted = level.counts - amounts[np.minimum(level.counts, 3)]
        shares = np.zeros((len(level.keys), size), np.float32)
        shares[of, tokens] = discounted

        fewer = level.counts - 1
        after = fewer - amounts[np.minimum(fewer, 3)]
        left = total[of] - 1.0
        weight = mass[of] + amounts[np.minimum(fewer, 3)] - amounts[np.minimum(level.counts, 3)]
        only = left <= 0  # the context was seen this once: without it, the shorter one decides
        left, weight = np.where(only, 1.0, left), np.where(only, 1.0, weight)
        left_out = shares[of]
        left_out[np.arange(len(of)), tokens] = after
        left_out *= (1.0 / left).astype(np.float32)[:, None]
        lower *= (weight / left).astype(np.float32)[:, None]
        left_out += lower

        usual = shares
        usual *= (1.0 / total).astype(np.float32)[:, None]
        shorter *= (mass / total).astype(np.float32)[:, None]
        usual += shorter
        found.append(left_out)
        below = level
    return found
