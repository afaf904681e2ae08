"""counts: many views of what was read, each counted like an n-gram, mixed as the place and last letters say.

One n-gram knows the last letters; how far a line has come, how it began, and which classes of letters take turns it
does not know. Contexts of all of these together would be seen too rarely, so each view counts its own (`views.py`),
and a mixer weighs their log-probabilities (`mixing.py`).

    B lines · T positions of a line · N positions · K views · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from ...errors import UsageError
from ..ngram.counts import Columns
from ..ngram.model import NgramModel
from ..parameters import Weights, flatten
from ..softmax import log_softmax, picked
from ..stored import stored_config
from .left_out import LeftOutRows
from .mixing import gates, mixing_shapes, scales
from .past import Past
from .views import MOST_VIEWS, View, checked_view

_POSITIONS_AT_ONCE = 1 << 14
_MOST_KEPT = 1 << 28  # numbers: one gibibyte of float32
_Rows = Callable[[np.ndarray], np.ndarray]  # positions (N,) to rows (N, V)


@dataclass(frozen=True, kw_only=True)
class CountsConfig:
    """The settings of mixed counts."""

    views: int = MOST_VIEWS
    """How many views are mixed, the n-gram of the last tokens the first of them."""
    order: int | None = None
    """The n of that n-gram. Without it, the best order on held-out training lines is taken."""
    steps: int = 800
    """Steps of the mixer's training, at most."""

    def __post_init__(self) -> None:
        if not 1 <= self.views <= MOST_VIEWS:
            raise UsageError(f"views={self.views}: a whole number from 1 to {MOST_VIEWS}")
        if self.order is not None and not 1 <= self.order <= 12:
            raise UsageError(f"order={self.order}: an order here is a whole number from 1 to 12")
        if self.steps < 1:
            raise UsageError(f"steps={self.steps}: the mixer needs at least 1")


class CountsModel:
    """The views, and what mixes them. Obeys `contract.LanguageModel`.

    Attributes:
        config: the settings, with the order that was found.
        views: what a context is made of, in each view.
        models: the n-gram model of each view.
        classes: the class of every token (V,) (see `letters.py`).
        weights: the mixer's.
    """

    def __init__(
        self,
        config: CountsConfig,
        chosen: Sequence[View],
        models: Sequence[NgramModel],
        classes: np.ndarray,
        weights: Weights,
    ) -> None:
        self.config, self.views, self.models = config, list(chosen), list(models)
        self.classes, self.weights = classes, weights
        self.vocabulary_size = models[0].vocabulary_size
        self.context: int | None = None  # how far a line has come, all of it says
        self.parameters = sum(model.parameters for model in models) + sum(a.size for a in weights.values())

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities, float64, nats."""
        past = Past.of(tokens)
        rows = np.empty((tokens.size, self.vocabulary_size))
        for start in range(0, tokens.size, _POSITIONS_AT_ONCE):
            piece = slice(start, start + _POSITIONS_AT_ONCE)
            rows[piece] = self.after(past[piece])
        return rows.reshape(*tokens.shape, -1)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log-probability (B, T) of each target after its tokens."""
        past, wanted, scores = Past.of(tokens), targets.ravel(), np.empty(tokens.size)
        for start in range(0, tokens.size, _POSITIONS_AT_ONCE):
            piece = slice(start, start + _POSITIONS_AT_ONCE)
            scores[piece] = picked(self.after(past[piece]), wanted[piece])
        return scores.reshape(targets.shape)

    def reader(self, lines: int) -> CountsReader:
        """A reader that remembers what the views look at."""
        return CountsReader(self, lines)

    def after(self, past: Past) -> np.ndarray:
        """Log-probabilities (N, V) of what follows."""
        scale = scales(self.weights, gates(past, self.vocabulary_size)).astype(np.float64)
        logits = np.tile(self.weights["bias"].astype(np.float64), (len(scale), 1))
        for number, (view, model) in enumerate(zip(self.views, self.models, strict=True)):
            logits += scale[:, number, None] * model.rows(past.columns(view.columns, self.classes))
        return log_softmax(logits)

    def left_out(self, stream: np.ndarray) -> LeftOut:
        """What the model says at every position of the stream that it was trained on, without that occurrence."""
        return LeftOut(self, stream)

    # Persistence.

    def settings(self) -> dict[str, Any]:
        """The settings by name, and the vocabulary's size."""
        # The views themselves, as those of tomorrow may be others.
        chosen = [{"columns": " ".join(view.columns), "continuation": view.continuation} for view in self.views]
        return {"config": asdict(self.config), "views": chosen, "vocabulary_size": self.vocabulary_size}

    def arrays(self) -> dict[str, np.ndarray]:
        """Each view's counts, the classes, and the mixer's weights."""
        stored = {f"mixing.{name}": array for name, array in self.weights.items()} | {"classes": self.classes}
        for number, model in enumerate(self.models):
            stored |= {f"view{number}.{name}": array for name, array in model.arrays().items()}
        return stored

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """The inverse of `settings` and `arrays`; ValueError or KeyError if they cannot be such a model."""
        config, size = stored_config(CountsConfig, settings["config"]), int(settings["vocabulary_size"])
        chosen = [checked_view(str(one["columns"]), bool(one["continuation"])) for one in settings["views"]]
        if len(chosen) != config.views:
            raise ValueError(f"{len(chosen)} views, not {config.views}")
        models = []
        for number, view in enumerate(chosen):
            own = _under(f"view{number}.", arrays)
            models.append(NgramModel.restore(_ngram_settings(view, size), own))
        weights, classes = _under("mixing.", arrays), arrays["classes"]
        flatten(weights, mixing_shapes(config.views, size))
        if classes.shape != (size,) or classes.dtype.kind not in "iu" or not np.isin(classes, [0, 1, 2]).all():
            raise ValueError("the classes are not those of tokens")
        return cls(config, chosen, models, classes, weights)


def _ngram_settings(view: View, vocabulary_size: int) -> dict[str, Any]:
    return {
        "order": len(view.columns) + 1,
        "interpolated": True,
        "vocabulary_size": vocabulary_size,
        "continuation": view.continuation,
    }


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


class CountsReader:
    """What was read of many lines (see `contract.Reader`)."""

    def __init__(self, model: CountsModel, lines: int) -> None:
        self._model, self._past = model, Past.nothing(lines)

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        self._past = self._past.read(np.asarray(tokens, np.int64))
        return self._model.after(self._past)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._past = self._past[rows]


class LeftOut:
    """The mixture at positions of a training stream, without their own occurrences.

    Attributes:
        all: whether every view's rows are worked out beforehand, for all positions; of a long text or a large
            vocabulary they are worked out when they are asked for.
    """

    def __init__(self, model: CountsModel, stream: np.ndarray) -> None:
        self._model, self._targets = model, stream[1:]
        self._past = Past.of(stream)[:-1]
        self._gates = gates(self._past, model.vocabulary_size)
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

    def only(self, places: np.ndarray) -> LeftOut:
        """The same for some positions (N,), which are numbered anew; their rows are worked out now."""
        some = copy(self)
        some._gates = {name: gate[places] for name, gate in self._gates.items()}
        some._rows = [partial(np.take, rows(places), axis=0) for rows in self._rows]
        return some

    def views_at(self, places: np.ndarray) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """Each view's rows (N, V) at some positions, and what chooses the scales there."""
        return [rows(places) for rows in self._rows], {name: gate[places] for name, gate in self._gates.items()}

    def at(self, places: np.ndarray) -> np.ndarray:
        """(N,) positions to the log-probabilities (N, V), float32, of the token that follows each."""
        rows, chosen = self.views_at(places)
        weights = self._model.weights
        logits = np.tile(weights["bias"].astype(np.float32), (len(places), 1))
        for scale, row in zip(scales(weights, chosen).T, rows, strict=True):
            logits += scale[:, None].astype(np.float32) * row
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits
