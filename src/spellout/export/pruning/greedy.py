"""Which cuts cost the least loss for the room that they win, one after the other.

The counts are taken anew of most training lines, and judged by the others. After every few cuts the views' scales
are fitted again, and in the end all of the gates. What is found then holds for the counts of all training lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...models.contract import LanguageModel
from ...models.counts.model import CountsModel
from ...models.counts.priors import Prior
from ...models.counts.training import prior_counted_anew
from ...models.counts.views import View
from ...models.ngram.model import NgramModel
from ...models.weights import Weights
from .cuts import Cut, cut, entries_of, further, worths_of
from .judged import ALL, SCALES, Judged, views_of

HELD_OUT = 6
"""One line in so many judges."""
POSITIONS, FITTED = 10_000, 40_000
"""So many positions judge cuts, and so many the gates in the end."""
NUMBERS = 1 << 27
"""So many numbers of rows are in memory at once."""
GONE = Cut(0, 0.0)
_OFTEN, _REFIT, _LAST_FIT, _RATE = 5, 10, 60, 0.01
_SMALLER = 0.995


@dataclass(frozen=True)
class _Option:
    """A way to cut a view: how many entries are left, and what it then says where it is judged, (N, V)."""

    how: Cut
    entries: int
    rows: np.ndarray


class _Counted:
    """One view: the model of all training lines, and that of those which do not judge."""

    def __init__(self, model: NgramModel, anew: NgramModel, columns: tuple[str, ...], classes: np.ndarray) -> None:
        self.model, self._anew, self._columns, self._classes = model, anew, columns, classes
        self._worths, self._worths_anew = worths_of(model), worths_of(anew)

    def cut(self, how: Cut) -> NgramModel:
        """Give the model of all training lines with less in it."""
        return cut(self.model, how, self._worths)

    def option(self, how: Cut, judged: Judged) -> _Option:
        """Say what a cut leaves."""
        if how == GONE:
            return _Option(how, 0, np.zeros((len(judged.targets), self.model.vocabulary_size), np.float32))
        return _Option(how, entries_of(self.model, how, self._worths), self.rows(how, judged))

    def rows(self, how: Cut, judged: Judged) -> np.ndarray:
        """Give what the view, cut so, says where it is judged."""
        smaller = cut(self._anew, how, self._worths_anew)
        return judged.rows(smaller, self._columns[: max(1, smaller.order - 1)], self._classes)


@dataclass
class _State:
    """A view as it is now, and what may become of it; `worth` of each option, the last time it was asked for."""

    now: _Option
    options: list[_Option]
    worth: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.worth = [-np.inf] * len(self.options)


class Pruner:
    """A prior that gets smaller.

    Args:
        model: what is judged: the prior itself, or a network that starts from it.
        prior: its counts.
        stream: the training lines, `0 line 0 line 0`.
    """

    def __init__(self, model: LanguageModel, prior: Prior, stream: np.ndarray) -> None:
        self._prior, views = prior, views_of(prior)
        numbers = prior.vocabulary_size * len(views)
        others, judging, fitting = _parted(
            stream, min(POSITIONS, NUMBERS // (5 * numbers)), min(FITTED, NUMBERS // numbers)
        )
        self._judged, self._fitting = (Judged.of(model, prior, lines) for lines in (judging, fitting))
        self._classes = prior.classes if isinstance(prior, CountsModel) else np.zeros(prior.vocabulary_size, int)
        self._weights: Weights | None = prior.weights if isinstance(prior, CountsModel) else None
        anew = views_of(prior_counted_anew(prior, others))
        self._views = [
            _Counted(one, other, columns, self._classes)
            for (one, columns), (other, _) in zip(views, anew, strict=True)
        ]
        self._states = [
            self._state(view, view.option(Cut(len(view.model.levels), 0.0), self._judged)) for view in self._views
        ]

    def _state(self, view: _Counted, now: _Option) -> _State:
        hows = [] if now.how == GONE else further(view.model, now.how) + [GONE] * (len(self._views) > 1)
        options = [view.option(how, self._judged) for how in hows]
        return _State(now, [one for one in options if one.entries <= _SMALLER * now.entries])

    @property
    def entries(self) -> int:
        """Count what is in the tables now."""
        return sum(state.now.entries for state in self._states)

    def loss(self) -> float:
        """Give the nats per held-out token now."""
        return self._judged.loss(self._mixed())

    def _rows(self) -> np.ndarray:
        return np.stack([state.now.rows for state in self._states], axis=1)

    def _mixed(self) -> np.ndarray:
        return self._judged.mixed(self._rows(), self._weights)

    def down_to(self, entries: int) -> None:
        """Cut until so few entries are left, or nothing more can be cut."""
        since = 0
        while self.entries > entries and (best := self._best()) is not None:
            view, option = best
            self._states[view] = self._state(self._views[view], option)
            since += 1
            if since % _OFTEN == 0 and isinstance(self._prior, CountsModel) and self._weights is not None:
                was = self._prior.weights
                self._weights = self._judged.fitted(self._rows(), self._weights, was, SCALES, _REFIT, _RATE)

    def _best(self) -> tuple[int, _Option] | None:
        """The cut that costs the least loss for each entry; what was dear before is asked for last."""
        mixed = self._mixed()
        now, best = self._judged.loss(mixed), (np.inf, -1, -1)
        order = [
            (worth, view, number)
            for view, state in enumerate(self._states)
            for number, worth in enumerate(state.worth)
        ]
        for before, view, number in sorted(order):
            if before > best[0]:
                break
            state = self._states[view]
            option, scale = state.options[number], self._judged.scale(self._weights, view)
            loss = self._judged.loss(mixed + scale * (option.rows - state.now.rows))
            state.worth[number] = (loss - now) / (state.now.entries - option.entries)
            best = min(best, (state.worth[number], view, number))
        return (best[1], self._states[best[1]].options[best[2]]) if order else None

    def pruned(self) -> Prior:
        """Give the prior of all training lines with what was cut, and its gates fitted to that."""
        cuts = [state.now.how for state in self._states]
        kept = [number for number, how in enumerate(cuts) if how != GONE]
        models = [self._views[number].cut(cuts[number]) for number in kept]
        if not isinstance(self._prior, CountsModel) or self._weights is None:
            return models[0]
        was, before = self._prior.weights, self._prior.views
        rows = np.stack([self._views[number].rows(cuts[number], self._fitting) for number in kept], axis=1)
        some, was = (_of_views(weights, kept) for weights in (self._weights, was))
        weights = self._fitting.fitted(rows, some, was, ALL, _LAST_FIT, _RATE)
        views = [
            View(
                before[number].columns[: model.order - 1] or before[number].columns[:1], before[number].continuation
            )
            for number, model in zip(kept, models, strict=True)
        ]
        return CountsModel(
            replace(self._prior.config, views=len(views)),
            *(views, models, self._classes),
            {name: array.astype(np.float32) for name, array in weights.items()},
            self._prior.shape,
        )


def _of_views(weights: Weights, kept: list[int]) -> Weights:
    """Give the weights of some views only."""
    return {name: array if name == "bias" else array[..., kept] for name, array in weights.items()}


def _parted(stream: np.ndarray, *most: int) -> list[np.ndarray]:
    """Part a stream into the lines to count and those that judge, once for each number of tokens that they may
    have."""
    ends = np.flatnonzero(stream == 0)
    lengths = np.diff(ends)
    judges = np.arange(len(lengths)) % HELD_OUT == HELD_OUT - 1
    before = np.cumsum(lengths * judges)
    tokens, of = stream[1:], np.repeat(np.arange(len(lengths)), lengths)
    least = int(lengths[HELD_OUT - 1])  # one line there is
    chosen = [~judges, *(judges & (before <= max(one, least)) for one in most)]
    return [np.concatenate([stream[:1], tokens[which[of]]]) for which in chosen]
