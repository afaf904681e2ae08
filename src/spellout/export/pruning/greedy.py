"""Which cuts cost the least loss for the room that they win, one after the other.

The counts are taken anew of most training lines, and judged by the others. After every few cuts the gates are
fitted again. What is found then holds for the counts of all training lines.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...models.contract import LanguageModel
from ...models.counts.model import CountsModel
from ...models.counts.priors import Prior
from ...models.counts.training import prior_counted_anew
from ...models.counts.views import View
from ...models.ngram.model import NgramModel
from ...models.weights import Weights
from .cuts import Cut, cut, cuts_of
from .judged import ALL, SCALES, Judged, views_of

HELD_OUT = 6
"""One line in so many judges."""
POSITIONS, FITTED = 10_000, 40_000
"""So many positions judge cuts, and so many the gates in the end."""
NUMBERS = 1 << 27
"""So many numbers of rows are in memory at once."""
GONE = Cut(0, 0)
_SMALLER = 0.97
_OFTEN = 5
_REFIT, _LAST_FIT, _RATE = 15, 60, 0.01


class Pruner:
    """A prior that gets smaller.

    Args:
        model: what is judged: the prior itself, or a network that starts from it.
        prior: its counts.
        stream: the training lines, `0 line 0 line 0`.
    """

    def __init__(self, model: LanguageModel, prior: Prior, stream: np.ndarray) -> None:
        self._prior, self._views = prior, views_of(prior)
        numbers = prior.vocabulary_size * len(self._views)
        others, judging, fitting = _parted(
            stream, min(POSITIONS, NUMBERS // (8 * numbers)), min(FITTED, NUMBERS // numbers)
        )
        self._judged, self._fitting = (Judged.of(model, prior, lines) for lines in (judging, fitting))
        self._classes = prior.classes if isinstance(prior, CountsModel) else np.zeros(prior.vocabulary_size, int)
        self._was: Weights | None = prior.weights if isinstance(prior, CountsModel) else None
        self._weights = self._was
        self._anew = views_of(prior_counted_anew(prior, others))
        self._cuts = [cuts_of(one) + [GONE] * (len(self._views) > 1) for one, _ in self._views]
        self._sizes = [
            [_size(one, how) for how in cuts] for (one, _), cuts in zip(self._views, self._cuts, strict=True)
        ]
        self._rows_of = [
            [self._rows(self._judged, one, columns, how) for how in cuts]
            for (one, columns), cuts in zip(self._anew, self._cuts, strict=True)
        ]
        self._state = [0] * len(self._views)
        self._rows_now = np.stack([rows[0] for rows in self._rows_of], axis=1)
        self._worth: dict[tuple[int, int], float] = {}

    def _rows(self, judged: Judged, model: NgramModel, columns: tuple[str, ...], how: Cut) -> np.ndarray:
        if how == GONE:
            return np.zeros((len(judged.targets), model.vocabulary_size), np.float32)
        smaller = cut(model, how)
        return judged.rows(smaller, columns[: max(1, smaller.order - 1)], self._classes)

    @property
    def entries(self) -> int:
        """Count what is in the tables now."""
        return sum(sizes[now] for sizes, now in zip(self._sizes, self._state, strict=True))

    def loss(self) -> float:
        """Give the nats per held-out token now."""
        return self._judged.loss(self._judged.mixed(self._rows_now, self._weights))

    def down_to(self, entries: int) -> None:
        """Cut until so few entries are left, or nothing more can be cut."""
        since = 0
        while self.entries > entries:
            best = self._best()
            if best is None:
                return
            view, number = best
            self._state[view] = number
            self._rows_now[:, view] = self._rows_of[view][number]
            since += 1
            if since % _OFTEN == 0:
                self._worth = {}
                if self._weights is not None and self._was is not None:
                    self._weights = self._judged.fitted(
                        self._rows_now, self._weights, self._was, SCALES, _REFIT, _RATE
                    )

    def _best(self) -> tuple[int, int] | None:
        """The cut that costs the least loss for each entry; those that were dear before are asked last."""
        mixed, possible = self._judged.mixed(self._rows_now, self._weights), []
        now = self._judged.loss(mixed)
        for view, state in enumerate(self._state):
            for number, size in enumerate(self._sizes[view]):
                if size < self._sizes[view][state] * _SMALLER:
                    possible.append((self._worth.get((view, number), -np.inf), view, number))
        best: tuple[float, int, int] | None = None
        for before, view, number in sorted(possible):
            if best is not None and before > best[0]:
                break
            won = self._sizes[view][self._state[view]] - self._sizes[view][number]
            changed = mixed + self._scale(view) * (self._rows_of[view][number] - self._rows_now[:, view])
            worth = (self._judged.loss(changed) - now) / won
            self._worth[view, number] = worth
            best = min(best or (worth, view, number), (worth, view, number))
        return None if best is None else best[1:]

    def _scale(self, view: int) -> np.ndarray:
        if self._weights is None:
            return np.ones((1, 1), np.float32)
        w, gates = self._weights, self._judged.gates
        total = w["always"][view] + sum(w[name][where, view] for name, where in gates.items())
        return np.asarray(total, np.float32)[:, None]

    def pruned(self) -> Prior:
        """Give the prior of all training lines with what was cut, and its gates fitted to that."""
        chosen = [cuts[now] for cuts, now in zip(self._cuts, self._state, strict=True)]
        models = [cut(one, how) for (one, _), how in zip(self._views, chosen, strict=True) if how != GONE]
        if not isinstance(self._prior, CountsModel):
            return models[0]
        assert self._weights is not None
        assert self._was is not None
        rows = [
            self._rows(self._fitting, one, columns, how)
            for (one, columns), how in zip(self._anew, chosen, strict=True)
        ]
        fitted = self._fitting.fitted(np.stack(rows, axis=1), self._weights, self._was, ALL, _LAST_FIT, _RATE)
        kept = [number for number, how in enumerate(chosen) if how != GONE]
        weights = {
            name: array.astype(np.float32) if name == "bias" else array[..., kept].astype(np.float32)
            for name, array in fitted.items()
        }
        views = [
            View(
                self._prior.views[number].columns[: model.order - 1] or ("c1",),
                self._prior.views[number].continuation,
            )
            for number, model in zip(kept, models, strict=True)
        ]
        config = replace(self._prior.config, views=len(views))
        return CountsModel(config, views, models, self._classes, weights, self._prior.shape)


def _size(model: NgramModel, how: Cut) -> int:
    return 0 if how == GONE else sum(len(level.counts) for level in cut(model, how).levels)


def _parted(stream: np.ndarray, *most: int) -> list[np.ndarray]:
    """Part a stream into the lines to count and those that judge, once for each number
    of tokens that they may have."""
    ends = np.flatnonzero(stream == 0)
    lengths = np.diff(ends)
    judges = np.arange(len(lengths)) % HELD_OUT == HELD_OUT - 1
    before = np.cumsum(lengths * judges)
    tokens, of = stream[1:], np.repeat(np.arange(len(lengths)), lengths)
    least = int(lengths[HELD_OUT - 1])  # one line there is
    chosen = [~judges, *(judges & (before <= max(one, least)) for one in most)]
    return [np.concatenate([stream[:1], tokens[which[of]]]) for which in chosen]
