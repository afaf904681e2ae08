"""Networks whose weights are arrays with names: what they are behind the contract, and how they are trained.

The engine may be NumPy (this room) or a recorded program (`scalars/`); a family says which arrays it has, how they
begin, and how logits come from them.

    B lines · T positions of a line · N windows · C tokens of context · V vocabulary · P all weights together
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from ..contract import Reader
from ..counts.left_out import left_out
from ..counts.priors import Prior
from ..neural import NeuralModel
from ..ngram.counts import Columns, context_columns
from ..parameters import Parameters
from ..shape.automaton import Shape
from ..shape.networks import ShapesOfLines
from ..softmax import log_softmax, picked
from ..weights import Shapes, Weights, flatten, under

_LOGITS_AT_ONCE = 1 << 20
"""So many are worked out together: for one letter's vocabulary 32,768 windows, for 16,384 words 64."""


class ArrayModel(NeuralModel):
    """A network whose weights follow from its settings by name and shape.

    Attributes:
        shape: what the length and the pattern of a line so far say beside the network, or None.
    """

    Config: ClassVar[type[Any]]
    shape: Shape | None = None

    def with_shape(self, shape: Shape | None) -> Self:
        """Give the same with what a shape says beside it, or without any."""
        if shape is None and self.shape is None:
            return self
        other = type(self)(self.config, self.vocabulary_size, self.weights, self.prior)
        other.shape = shape
        if shape is not None:
            other.parameters, other.context = other.parameters + shape.size, None
        return other

    def with_prior(self, prior: Prior) -> Self:
        """Give the same with another prior."""
        return super().with_prior(prior).with_shape(self.shape)

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities, float64, nats."""
        logs = super().log_probabilities(tokens)
        if self.shape is None:
            return logs
        return log_softmax(logs + self.shape.of_tokens(self.shape.states_of(tokens), logarithms=True))

    def reader(self, lines: int) -> Reader:
        """Give a reader that runs the network, and follows the shape of every line if there is one."""
        reader = super().reader(lines)
        return reader if self.shape is None else ShapedReader(reader, self.shape)

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the weights, the prior's arrays under `prior.`, and the shape's."""
        return super().arrays() | (self.shape.arrays() if self.shape else {})

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Invert `settings` and `arrays`; ValueError or KeyError if they are not of such a network."""
        others = {name: array for name, array in arrays.items() if not name.startswith("shape.")}
        model = super().restore(settings, others)
        return model.with_shape(Shape.restore(arrays, model.vocabulary_size))

    @staticmethod
    @abstractmethod
    def shapes(config: Any, vocabulary_size: int, prior: bool) -> Shapes:
        """The weights' names and shapes; with a prior, what weighs it is among them."""

    @staticmethod
    @abstractmethod
    def start(config: Any, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """The weights before training."""

    def check(self) -> None:
        """Raise ValueError or KeyError if the weights are not those of such a network."""
        flatten(self.weights, self.shapes(self.config, self.vocabulary_size, self.prior is not None))


class ShapedReader:
    """A network's reader, and the state of the shape of every line (see `contract.Reader`)."""

    def __init__(self, reader: Reader, shape: Shape) -> None:
        self._reader, self._shape = reader, shape
        self._states: np.ndarray | None = None

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        self._states = self._shape.next_states(self._states, tokens)
        return log_softmax(self._reader.read(tokens) + self._shape.of_tokens(self._states, logarithms=True))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._reader.keep(rows)
        self._states = None if self._states is None else self._states[rows]


class WindowModel(ArrayModel):
    """A network that sees a window, the last C tokens: one example is one position of the text."""

    def columns_of(self, tokens: np.ndarray) -> Columns:
        """Give what the network sees at every position of `tokens` (B, T), a column for each token."""
        return context_columns(tokens, self.config.context)

    @abstractmethod
    def window_logits(self, windows: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Windows (N, C), the newest token first, and the prior's rows (N, V), to logits (N, V), float64.

        Those of a window are the same to the last bit, whatever stands beside it.
        """

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Look at the window of every position: (B, T), and (B, T, V) of the prior, to (B, T, V)."""
        # A position is an example like any other: lines and positions become one axis, N = B · T.
        columns = self.columns_of(tokens)
        rows = None if prior is None else prior.reshape(-1, self.vocabulary_size)
        return self._in_pieces([column.ravel() for column in columns], rows).reshape(*tokens.shape, -1)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Look at the last window only: (B, T), and (B, V) of the prior, to (B, V)."""
        columns = self.columns_of(tokens)
        return self._in_pieces([column[:, -1] for column in columns], prior)

    def _in_pieces(self, columns: list[np.ndarray], prior: np.ndarray | None) -> np.ndarray:
        windows = np.stack(columns, axis=1).astype(np.int64, copy=False)  # (N, C)
        result = np.empty((len(windows), self.vocabulary_size))
        rows = max(1, _LOGITS_AT_ONCE // self.vocabulary_size)
        for start in range(0, len(result), rows):
            piece = slice(start, start + rows)
            result[piece] = self.window_logits(windows[piece], None if prior is None else prior[piece])
        return result

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens: all logits of some windows at a time."""
        if self.prior is not None or self.shape is not None:
            return super().score(tokens, targets)
        columns = self.columns_of(tokens)
        windows = np.stack([column.ravel() for column in columns], axis=1).astype(np.int64, copy=False)  # (N, C)
        wanted, scores = targets.ravel().astype(np.int64), np.empty(targets.size)
        rows = max(1, _LOGITS_AT_ONCE // self.vocabulary_size)
        for start in range(0, len(windows), rows):
            piece = slice(start, start + rows)
            logits = self.window_logits(windows[piece], None)
            # `log_softmax` at the targets, in place: what is worked out fits in a cache, and need not be kept.
            logits -= logits.max(axis=1, keepdims=True)
            scores[piece] = picked(logits, wanted[piece])
            with np.errstate(invalid="ignore"):
                scores[piece] -= np.log(np.exp(logits, out=logits).sum(axis=1))
        return scores.reshape(targets.shape)


class ArrayLearner(ABC):
    """Trains such a network with AdamW. It is a `learner.Learner`."""

    def __init__(
        self,
        network: type[ArrayModel],
        stream: np.ndarray,
        vocabulary_size: int,
        config: Any,
        prior: Prior | None,
        seed: int,
        examples: int,
        classes: np.ndarray | None = None,
    ) -> None:
        self.examples, self.batch, self.lr = examples, min(config.batch, examples), config.lr
        self._network, self._config, self._vocabulary_size, self._prior = network, config, vocabulary_size, prior
        self._shapes = network.shapes(config, vocabulary_size, prior is not None)
        # Philox gives the same numbers in every version of NumPy and on every machine.
        random = np.random.Generator(np.random.Philox(seed))
        weights = network.start(config, vocabulary_size, random, prior is not None)
        self._parameters = Parameters(weights, self._shapes, config.weight_decay)
        self._left_out = left_out(prior, stream) if prior else None
        self._shapes_of_lines = None if classes is None else ShapesOfLines(stream, classes)

    @abstractmethod
    def step(self, chosen: np.ndarray, lr: float) -> float:
        """Follow the gradient of some examples (N,); nan if it is not finite, and then nothing has moved."""

    @property
    def updates(self) -> dict[str, float]:
        """The `update_ratio` of every matrix, if the last step measured it."""
        return self._parameters.updates

    def model(self) -> ArrayModel:
        """The network with a copy of the weights of now, and the shape that is fitted to it."""
        network = self._network(self._config, self._vocabulary_size, self._parameters.weights(), self._prior)
        shapes = self._shapes_of_lines
        return network if shapes is None else network.with_shape(shapes.fitted_to(network, self._rows_at))

    def _rows_at(self, places: np.ndarray) -> np.ndarray | None:
        """What the prior says at some positions, each left out, (N, V)."""
        return None if self._left_out is None else self._left_out.at(places)

    def state(self) -> Weights:
        """Copies of the weights, of the optimizer's memory, and of the number of steps."""
        return self._parameters.state()

    def load_state(self, state: Weights) -> None:
        """Go on from what `state` returned; ValueError or KeyError if it does not fit."""
        self._parameters.load_state(state)


class GradientLearner(ArrayLearner):
    """The engine gives the gradient of all weights, and all are moved."""

    @abstractmethod
    def gradient(self, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        """Give the mean loss of some examples' tokens in nats, and its gradient (P,), which the next call
        overwrites.

        Members of a network learn side by side: the loss is their mean, the gradient that of the sum of theirs.
        """

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """Follow the gradient of some examples (N,); nan if it is not finite, and then nothing has moved."""
        loss, gradient = self.gradient(chosen)
        # The loss is looked at before the weights move: a step from nan would spoil all of them.
        return loss if np.isfinite(loss) and self._parameters.move(gradient, lr) else float("nan")


def member_of(weights: dict[str, Any], member: int) -> dict[str, Any]:
    """Give the weights of one of several networks side by side, by their names in the formula."""
    return under(f"{member}.", weights)
