"""Networks that see a window, the last k tokens: one example is one position of the text.

Families write their formula in scalars (`mlp.py`, `bigram.py`); here it becomes programs, a model and a learner.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ..autograd.value import Value
from ..nn.losses import cross_entropy
from ..programs.lanes import Lanes
from ..programs.optimizers import AdamW
from ..programs.program import Program
from ..programs.recording import record
from .contract import LanguageModel
from .neural import NeuralModel
from .ngram import NgramModel
from .ngram_counts import context_columns
from .scalar import Shapes, Values, Weights, clipped, flatten, unflatten, values_of

_ROWS_AT_ONCE = 1 << 15
_MOST_PRIOR_NUMBERS = 1 << 28
"""So many log-probabilities of the prior are kept; of larger texts they are worked out batch by batch."""


class WindowModel(NeuralModel):
    """A network of a window. A family gives three functions and its `Config`, which has the field `context`."""

    Config: ClassVar[type[Any]]

    def __init__(
        self, config: Any, vocabulary_size: int, weights: Weights, prior: NgramModel | None = None
    ) -> None:
        super().__init__(config, vocabulary_size, weights, prior)
        reach = config.context
        self.context = reach if prior is None else max(reach, prior.context or 0)
        self._lanes: Lanes | None = None

    @staticmethod
    @abstractmethod
    def shapes(config: Any, vocabulary_size: int) -> Shapes:
        """The weights' names and shapes."""

    @staticmethod
    @abstractmethod
    def start(config: Any, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Weights before training."""

    @staticmethod
    @abstractmethod
    def formula(weights: Values, context: list[Any]) -> list[Value]:
        """V logits of one example: what follows `context`, k tokens, the newest first."""

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        columns = context_columns(tokens.astype(np.int64), self.config.context)
        rows = None if prior is None else prior.reshape(-1, self.vocabulary_size)
        return self._run([column.ravel() for column in columns], rows).reshape(*tokens.shape, -1)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        columns = context_columns(tokens, self.config.context)
        return self._run([column[:, -1] for column in columns], prior)

    def check(self) -> None:
        """See `NeuralModel`."""
        flatten(self.weights, _shapes(type(self), self.config, self.vocabulary_size, self.prior is not None))

    def _run(self, columns: list[np.ndarray], prior: np.ndarray | None) -> np.ndarray:
        """Contexts as columns (N,), and rows (N, V) of the prior, to logits (N, V), float64."""
        if self._lanes is None:
            family, learned = type(self), self.prior is not None
            self._lanes = Lanes(_logits(family, self.config, self.vocabulary_size, learned))
            shapes = _shapes(family, self.config, self.vocabulary_size, learned)
            self._lanes.weights[:] = flatten(self.weights, shapes)
        tokens = np.stack(columns).astype(np.int64)
        result = np.empty((tokens.shape[1], self.vocabulary_size))
        for start in range(0, len(result), _ROWS_AT_ONCE):
            piece = slice(start, start + _ROWS_AT_ONCE)
            floats = np.zeros((0, 0)) if prior is None else np.ascontiguousarray(prior[piece].T, np.float64)
            result[piece] = self._lanes.forward(floats, np.ascontiguousarray(tokens[:, piece])).T
        return result


class WindowLearner:
    """Trains a window's network on every position of a stream (see `learner.Learner`)."""

    def __init__(
        self,
        family: type[WindowModel],
        stream: np.ndarray,
        vocabulary_size: int,
        config: Any,
        prior: NgramModel | None,
        seed: int,
    ) -> None:
        self.examples = len(stream) - 1
        self.batch = min(config.batch, self.examples)
        self.lr = config.lr
        self._family, self._config, self._vocabulary_size = family, config, vocabulary_size
        self._prior = prior
        self._shapes = _shapes(family, config, vocabulary_size, prior is not None)
        self._lanes = Lanes(_loss(family, config, vocabulary_size, prior is not None), np.float32)
        random = np.random.Generator(np.random.Philox(seed))
        self._lanes.weights[:] = flatten(
            _with_scale(family.start(config, vocabulary_size, random, prior is not None), prior), self._shapes
        )
        self._optimizer = AdamW(weight_decay=config.weight_decay, betas=(0.9, 0.99))
        self._memory = self._optimizer.memory(self._lanes.weights)
        self._steps = 0
        reach = config.context if prior is None else max(config.context, prior.order - 1)
        self._columns = [c[:-1] for c in context_columns(stream, max(reach, 1))]
        self._tokens = np.stack([*self._columns[: config.context], stream[1:]])
        self._rows = self._all_rows() if prior and self.examples * vocabulary_size <= _MOST_PRIOR_NUMBERS else None

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """See `Learner`."""
        tokens = self._tokens[:, chosen].astype(np.int64)
        results, gradient = self._lanes.backward(self._prior_rows(chosen), tokens, 1.0 / len(chosen))
        loss = float(results.sum(dtype=np.float64)) / len(chosen)
        if np.isfinite(loss) and np.isfinite(gradient).all():
            self._optimizer.move(self._lanes.weights, clipped(gradient), self._memory, self._steps, lr)
            self._steps += 1
            return loss
        return float("nan")

    def model(self) -> LanguageModel:
        """See `Learner`."""
        weights = unflatten(self._lanes.weights, self._shapes)
        return self._family(self._config, self._vocabulary_size, weights, self._prior)

    def state(self) -> dict[str, np.ndarray]:
        """See `Learner`."""
        memory = {name: array.copy() for name, array in self._memory.items()}
        return {"weights": self._lanes.weights.copy(), "steps": np.array([self._steps]), **memory}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """See `Learner`."""
        for name in ("weights", *self._memory):
            if state[name].shape != self._lanes.weights.shape:
                raise ValueError(f"{name} has the shape {state[name].shape}, not {self._lanes.weights.shape}")
        self._lanes.weights[:] = state["weights"]
        self._memory = {name: state[name].copy() for name in self._memory}
        self._steps = int(state["steps"][0])

    def _prior_rows(self, chosen: np.ndarray) -> np.ndarray:
        """(V, N): the prior's log-probabilities at training positions, each without its own occurrence."""
        if self._prior is None:
            return np.zeros((0, 0), np.float32)
        rows = self._work_out(chosen) if self._rows is None else self._rows[chosen]
        return np.ascontiguousarray(rows.T, np.float32)

    def _work_out(self, places: Any) -> np.ndarray:
        assert self._prior is not None
        columns = [column[places] for column in self._columns[: max(self._prior.order - 1, 1)]]
        return self._prior.leave_one_out_rows(columns, self._tokens[-1, places])

    def _all_rows(self) -> np.ndarray:
        rows = np.empty((self.examples, self._vocabulary_size), np.float32)
        for start in range(0, self.examples, _ROWS_AT_ONCE):
            piece = slice(start, start + _ROWS_AT_ONCE)
            rows[piece] = self._work_out(piece)
        return rows


def _with_scale(weights: Weights, prior: NgramModel | None) -> Weights:
    return weights if prior is None else weights | {"prior_scale": np.ones(1)}


def _shapes(family: type[WindowModel], config: Any, vocabulary_size: int, prior: bool) -> Shapes:
    shapes = family.shapes(config, vocabulary_size)
    return shapes | {"prior_scale": (1,)} if prior else shapes


@cache
def _logits(family: type[WindowModel], config: Any, vocabulary_size: int, prior: bool) -> Program:
    """The program of all logits of one position."""
    values, flat = values_of(_shapes(family, config, vocabulary_size, prior))

    def logits(context: list[Any], *rows: list[Value]) -> list[Value]:
        return _logits_of(family, values, context, rows)

    example = [[0] * config.context] + [[0.0] * vocabulary_size] * prior
    return record(logits, *example, parameters=flat)


@cache
def _loss(family: type[WindowModel], config: Any, vocabulary_size: int, prior: bool) -> Program:
    """The program of the loss of one position, in nats."""
    values, flat = values_of(_shapes(family, config, vocabulary_size, prior))

    def loss(context: list[Any], target: Any, *rows: list[Value]) -> Value:
        return cross_entropy(_logits_of(family, values, context, rows), target)

    example = [[0] * config.context, 0] + [[0.0] * vocabulary_size] * prior
    return record(loss, *example, parameters=flat)


def _logits_of(
    family: type[WindowModel], values: Values, context: list[Any], rows: tuple[list[Value], ...]
) -> list[Value]:
    logits = family.formula(values, context)
    if not rows:
        return logits
    scale = values["prior_scale"][0]
    return [logit + scale * prior for logit, prior in zip(logits, rows[0], strict=True)]
