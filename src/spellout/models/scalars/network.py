"""What carries a formula in Values: it is recorded, run for many examples at once, and trained.

`bigram.py`, `mlp.py` and `gpt.py` say for ONE example how logits come from weights and tokens. Recorded once, that
is the loss that is trained and the logits that are sampled (see `programs/`). The Values only stand for the
weights: the numbers live in one flat array, in the order of the weights' names (`parameters.py`).

    N examples · T positions of an example · C tokens of context · V vocabulary · P all weights together
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.functions import mean, sum
from ...autograd.value import Value
from ...nn.losses import cross_entropy
from ...programs.program import Program
from ...programs.recording import trace
from ..arrays.network import ArrayModel, GradientLearner, WindowModel, member_of
from ..counts.priors import Prior
from ..ngram.counts import context_columns
from ..weights import Shapes, Weights, flatten

if TYPE_CHECKING:
    from ...programs.lanes import Lanes  # Numba is imported when a network is first run, not before

Values = dict[str, Any]
"""Weights by name: nested lists of Values, as deep as the shapes are long."""
Rows = list[list[Value]]
"""V numbers for each of T positions, such as logits."""
_LINES_AT_ONCE = 1 << 12  # lines whose logits are in memory together


class ScalarModel(ArrayModel):
    """A network that is run as a program. A family gives its `Config`, `shapes`, `start` and `formula`."""

    def __init__(self, config: Any, vocabulary_size: int, weights: Weights, prior: Prior | None = None) -> None:
        super().__init__(config, vocabulary_size, weights, prior)
        self._lanes: dict[int, Lanes] = {}

    @staticmethod
    @abstractmethod
    def formula(config: Any, weights: Values, tokens: list[Any], prior: Rows | None) -> Rows:
        """The logits of one example at its T positions, from its tokens and the prior's log-probabilities.

        Of a network with members it is the formula of one of them. They learn side by side, each from its own
        loss, and answer with the mean of their logits.
        """

    @staticmethod
    def window(config: Any) -> int:
        """How many tokens stand before the formula at each position. A network of lines finds the others itself."""
        return 1

    @classmethod
    def examples(cls, stream: np.ndarray, config: Any) -> tuple[np.ndarray, np.ndarray]:
        """Where the examples of a stream begin, and how many positions each has: (examples,) both."""
        return np.arange(len(stream) - 1), np.ones(len(stream) - 1, np.int64)

    def run(self, tokens: np.ndarray, prior: np.ndarray | None, positions: int) -> np.ndarray:
        """Tokens (N, ·) and the prior's rows (N, T, V) to logits (N, T, V), float64."""
        if positions not in self._lanes:
            from ...programs.lanes import Lanes

            learned = self.prior is not None
            lanes = Lanes(logits_program(type(self), self.config, self.vocabulary_size, learned, positions))
            # Once for all: a model's weights do not change.
            lanes.weights[:] = flatten(self.weights, self.shapes(self.config, self.vocabulary_size, learned))
            self._lanes[positions] = lanes
        floats = np.zeros((0, 0)) if prior is None else prior.reshape(len(prior), -1).T.astype(float, copy=False)
        logits: np.ndarray = self._lanes[positions].forward(floats, tokens.T)  # (T · V, N)
        return logits.T.reshape(len(tokens), positions, self.vocabulary_size)


class ScalarWindowModel(ScalarModel, WindowModel):
    """A network of a window: its formula reads the last C tokens, the newest first, at one position."""

    @staticmethod
    def window(config: Any) -> int:
        """The network's whole context."""
        context: int = config.context
        return context

    def window_logits(self, windows: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Run the program of one position: windows (N, C) and the prior's rows (N, V) to logits (N, V)."""
        return self.run(windows, None if prior is None else prior[:, None], 1)[:, 0]


class ScalarLineModel(ScalarModel):
    """A network of lines: its formula reads the beginning of a line, T tokens, and answers at each of them.

    It sees the last C tokens. There is one program for each number of positions.
    """

    @classmethod
    def examples(cls, stream: np.ndarray, config: Any) -> tuple[np.ndarray, np.ndarray]:
        """Whole lines, those longer than the context in pieces."""
        ends = np.flatnonzero(stream == 0)
        starts = np.concatenate([np.arange(begin, end, config.context) for begin, end in pairwise(ends)])
        return starts, np.diff(starts, append=ends[-1])

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Read the first C tokens at once, and a window of them at each later one: (B, T) to (B, T, V)."""
        # Beyond the first C, each position is the last of a window of its own, with embeddings of other positions.
        context = self.config.context
        begun = self._padded(tokens[:, :context], None if prior is None else prior[:, :context])
        later = [
            self.next_logits(tokens[:, : t + 1], None if prior is None else prior[:, t])
            for t in range(context, tokens.shape[1])
        ]
        return np.concatenate([begun, *(row[:, None] for row in later)], axis=1)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Read the last C tokens: (B, T), and (B, V) of the prior, to (B, V)."""
        window = tokens[:, -self.config.context :]
        rows = None
        if prior is not None:  # only the last position's matter
            rows = np.repeat(prior[:, None], window.shape[1], axis=1)
        return self._padded(window, rows)[:, -1]

    def _padded(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """(B, T) tokens, T at most C, to (B, T, V)."""
        (lines, T), V = tokens.shape, self.vocabulary_size
        # What follows a position does not matter to it, so powers of two are lengths enough.
        length = min(self.config.context, 1 << max(2, (T - 1).bit_length()))
        padded = np.pad(tokens.astype(np.int64), ((0, 0), (0, length - T)))
        result = np.empty((lines, T, V))
        for begin in range(0, lines, _LINES_AT_ONCE):
            part = slice(begin, begin + _LINES_AT_ONCE)
            rows = None if prior is None else np.pad(prior[part], ((0, 0), (0, length - T), (0, 0)))
            result[part] = self.run(padded[part], rows, length)[:, :T]
        return result


class ScalarLearner(GradientLearner):
    """Trains a formula on the examples of a stream, those of one number of positions together."""

    def __init__(
        self,
        network: type[ScalarModel],
        stream: np.ndarray,
        vocabulary_size: int,
        config: Any,
        prior: Prior | None,
        seed: int,
    ) -> None:
        self._starts, self._lengths = network.examples(stream, config)
        super().__init__(network, stream, vocabulary_size, config, prior, seed, len(self._starts))
        columns = [column[:-1] for column in context_columns(stream, network.window(config))]
        self._tokens = np.stack([*columns, stream[1:]])  # what is read and then the target, at every position
        self._members = getattr(config, "members", 1)
        self._lanes: dict[int, Lanes] = {}

    def gradient(self, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss over all tokens of the examples, and the gradient, added up length by length."""
        lengths = self._lengths[chosen]
        # The mean is over tokens, not over lines: a long line has as much more say as it has tokens.
        tokens, nats, total = int(lengths.sum()), 0.0, np.zeros_like(self._parameters.array)
        found = np.flatnonzero(np.bincount(lengths)).tolist()
        for length in found:
            alike = chosen if len(found) == 1 else chosen[lengths == length]
            places = self._starts[alike] + np.arange(length)[:, None]  # (T, N)
            integers = self._tokens.take(places.ravel(), axis=1).reshape(-1, len(alike)).astype(np.int64)
            floats = np.zeros((0, 0), np.float32)
            if self._left_out is not None:
                rows = self._left_out.at(places.ravel()).reshape(*places.shape, -1)  # (T, N, V)
                floats = rows.transpose(0, 2, 1).reshape(-1, len(alike))  # (T · V, N)
            lanes = self._lanes_of(length)
            lanes.weights[:] = self._parameters.array  # they moved since the last step
            results, gradient = lanes.backward(floats, integers, 1.0 / tokens)
            total += gradient
            nats += float(results.sum(dtype=np.float64))
        return nats / (tokens * self._members), total

    def _lanes_of(self, length: int) -> Lanes:
        from ...programs.lanes import Lanes

        if length not in self._lanes:
            family = self._network, self._config, self._vocabulary_size, self._prior is not None
            self._lanes[length] = Lanes(loss_program(*family, length), np.float32)
        return self._lanes[length]


# Recording ----------------------------------------------------------------------------------------------------


def values_of(shapes: Shapes) -> tuple[Values, list[Value]]:
    """Values in these shapes, and the same in one list, in the order of the names and of their rows."""
    flat: list[Value] = []

    def build(shape: tuple[int, ...]) -> Any:
        if not shape:
            flat.append(Value(0.1))  # any number will do: the program's parameters are set before it runs
            return flat[-1]
        return [build(shape[1:]) for _ in range(shape[0])]

    return {name: build(shape) for name, shape in shapes.items()}, flat


def add_prior(logits: Rows, prior: Rows | None, scale: Value | None) -> Rows:
    """Logits with the prior's log-probabilities times a factor added, if there is a prior."""
    if prior is None or scale is None:
        return logits
    return [[x + scale * p for x, p in zip(*rows, strict=True)] for rows in zip(logits, prior, strict=True)]


@cache
def logits_program(
    network: type[ScalarModel], config: Any, vocabulary_size: int, prior: bool, positions: int
) -> Program:
    """The program of all logits (T, V) of an example."""
    formula, example, flat = _formula(network, config, vocabulary_size, prior, positions)

    def logits(*example: Any) -> Rows:
        members = formula(*example)
        if len(members) == 1:
            return members[0]
        return [[mean(one) for one in zip(*rows, strict=True)] for rows in zip(*members, strict=True)]

    return trace(logits, *example, parameters=flat)


@cache
def loss_program(
    network: type[ScalarModel], config: Any, vocabulary_size: int, prior: bool, positions: int
) -> Program:
    """The program of an example's loss in nats, summed over its positions and over members of the network."""
    formula, example, flat = _formula(network, config, vocabulary_size, prior, positions)

    def loss(tokens: list[Any], targets: list[Any], *prior: Rows) -> Value:
        members = formula(tokens, *prior)
        return sum([cross_entropy(*pair) for rows in members for pair in zip(rows, targets, strict=True)])

    return trace(loss, example[0], [0] * positions, *example[1:], parameters=flat)


def _formula(
    network: type[ScalarModel], config: Any, vocabulary_size: int, prior: bool, positions: int
) -> tuple[Callable[..., list[Rows]], list[Any], list[Value]]:
    """The formula as a function of tokens and, with a prior, of its rows, to the logits of each member; an example
    of its arguments; and its weights in one list."""
    values, flat = values_of(network.shapes(config, vocabulary_size, prior))
    # Only the mlp has members, and names its weights by them.
    members = [member_of(values, m) for m in range(config.members)] if hasattr(config, "members") else [values]

    def formula(tokens: list[Any], prior: Rows | None = None) -> list[Rows]:
        return [network.formula(config, weights, tokens, prior) for weights in members]

    # What is recorded does not depend on the example's numbers, only on their shapes.
    example = [[0] * (positions - 1 + network.window(config))] + [[[0.0] * vocabulary_size] * positions] * prior
    return formula, example, flat
