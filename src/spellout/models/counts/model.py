"""counts: many views of what was read, each counted like an n-gram, mixed as the place and last letters say.

One n-gram knows the last letters; how far a line has come, how it began, and which classes of letters take turns it
does not know. Contexts of all of these together would be seen too rarely, so each view counts its own (`views.py`),
and a mixer weighs their log-probabilities (`gates.py`).

    B lines · T positions of a line · N positions · K views · V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np

from ..ngram.model import NgramModel
from ..shape.automaton import Shape
from ..softmax import log_softmax, picked
from ..stored import stored_config
from ..weights import Weights, flatten, under
from .config import CountsConfig
from .gates import gates, mixing_shapes, scales
from .past import Past
from .views import View, checked_view

_POSITIONS_AT_ONCE = 1 << 14


class CountsModel:
    """The views, and what mixes them. Obeys `contract.LanguageModel`.

    Attributes:
        config: the settings, with the order that was found.
        views: what a context is made of, in each view.
        models: the n-gram model of each view.
        classes: the class of every token (V,) (see `letters.py`).
        weights: the mixer's.
        shape: what the length and the pattern of a line so far say beside all views, or None.
    """

    def __init__(
        self,
        config: CountsConfig,
        chosen: Sequence[View],
        models: Sequence[NgramModel],
        classes: np.ndarray,
        weights: Weights,
        shape: Shape | None = None,
    ) -> None:
        self.config, self.views, self.models = config, list(chosen), list(models)
        self.classes, self.weights, self.shape = classes, weights, shape
        self.vocabulary_size = models[0].vocabulary_size
        self.context: int | None = None  # how far a line has come, all of it says
        self.parameters = sum(model.parameters for model in models) + sum(a.size for a in weights.values())
        self.parameters += shape.size if shape else 0

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Turn (B, T) token ids into (B, T, V) log-probabilities, float64, nats."""
        past, states = Past.of(tokens), self._states_of(tokens)
        rows = np.empty((tokens.size, self.vocabulary_size))
        for start in range(0, tokens.size, _POSITIONS_AT_ONCE):
            piece = slice(start, start + _POSITIONS_AT_ONCE)
            rows[piece] = self.after(past[piece], None if states is None else states[piece])
        return rows.reshape(*tokens.shape, -1)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens."""
        past, wanted, scores = Past.of(tokens), targets.ravel(), np.empty(tokens.size)
        states = self._states_of(tokens)
        for start in range(0, tokens.size, _POSITIONS_AT_ONCE):
            piece = slice(start, start + _POSITIONS_AT_ONCE)
            rows = self.after(past[piece], None if states is None else states[piece])
            scores[piece] = picked(rows, wanted[piece])
        return scores.reshape(targets.shape)

    def _states_of(self, tokens: np.ndarray) -> np.ndarray | None:
        return None if self.shape is None else self.shape.states_of(tokens).ravel()

    def reader(self, lines: int) -> CountsReader:
        """Give a reader that remembers what the views look at."""
        return CountsReader(self, lines)

    def after(self, past: Past, states: np.ndarray | None) -> np.ndarray:
        """Give log-probabilities (N, V) of what follows; `states` (N,) are those of the shape, if there is one."""
        scale = scales(self.weights, gates(past, self.vocabulary_size)).astype(np.float64)
        logits = np.tile(self.weights["bias"].astype(np.float64), (len(scale), 1))
        for number, (view, model) in enumerate(zip(self.views, self.models, strict=True)):
            logits += scale[:, number, None] * model.rows(past.columns(view.columns, self.classes))
        if self.shape is not None and states is not None:
            logits += self.shape.of_tokens(states, logarithms=True)
        return log_softmax(logits)

    # Persistence.

    def settings(self) -> dict[str, Any]:
        """Give the settings by name, and the vocabulary's size."""
        # The views themselves, as those of tomorrow may be others.
        chosen = [{"columns": " ".join(view.columns), "continuation": view.continuation} for view in self.views]
        return {"config": asdict(self.config), "views": chosen, "vocabulary_size": self.vocabulary_size}

    def arrays(self) -> dict[str, np.ndarray]:
        """Give each view's counts, the classes, and the mixer's weights."""
        stored = {f"mixing.{name}": array for name, array in self.weights.items()} | {"classes": self.classes}
        for number, model in enumerate(self.models):
            stored |= {f"view{number}.{name}": array for name, array in model.arrays().items()}
        return stored | (self.shape.arrays() if self.shape else {})

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Invert `settings` and `arrays`; ValueError or KeyError if they cannot be such a model."""
        config, size = stored_config(CountsConfig, settings["config"]), int(settings["vocabulary_size"])
        chosen = [checked_view(str(one["columns"]), bool(one["continuation"])) for one in settings["views"]]
        if len(chosen) != config.views:
            raise ValueError(f"{len(chosen)} views, not {config.views}")
        models = []
        for number, view in enumerate(chosen):
            own = under(f"view{number}.", arrays)
            models.append(NgramModel.restore(_ngram_settings(view, size), own))
        weights, classes = under("mixing.", arrays), arrays["classes"]
        flatten(weights, mixing_shapes(config.views, size))
        if classes.shape != (size,) or classes.dtype.kind not in "iu" or not np.isin(classes, [0, 1, 2]).all():
            raise ValueError("the classes are not those of tokens")
        return cls(config, chosen, models, classes, weights, Shape.restore(arrays, size))


def _ngram_settings(view: View, vocabulary_size: int) -> dict[str, Any]:
    return {
        "order": len(view.columns) + 1,
        "interpolated": True,
        "vocabulary_size": vocabulary_size,
        "continuation": view.continuation,
    }


class CountsReader:
    """What was read of many lines (see `contract.Reader`)."""

    def __init__(self, model: CountsModel, lines: int) -> None:
        self._model, self._past = model, Past.nothing(lines)
        self._states: np.ndarray | None = None

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        self._past = self._past.read(np.asarray(tokens, np.int64))
        if self._model.shape is not None:
            self._states = self._model.shape.next_states(self._states, tokens)
        return self._model.after(self._past, self._states)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._past = self._past[rows]
        self._states = None if self._states is None else self._states[rows]
