"""gpt: a small Transformer written in scalars, one line at a time.

Vaswani et al. 2017, "Attention Is All You Need"; Radford et al. 2019, "Language Models are Unsupervised Multitask
Learners" (GPT-2); Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", here without gains. Each position
sees the vectors of its token and its place and those of all positions before it; there are no biases. A line is one
example, so there is one program for each length of lines.

Letters: T positions, C numbers each (`width`), H heads of C/H numbers, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.functions import dot, mean, pick, softmax
from ...autograd.value import Value
from ...errors import UsageError
from ...nn.losses import cross_entropy
from ...programs.program import Program
from ...programs.recording import record
from ..contract import LanguageModel
from ..neural import NeuralModel
from ..ngram.leave_one_out import LeaveOneOut
from ..ngram.model import NgramModel
from ..parameters import Parameters, Shapes, Weights, flatten
from ..ranges import Block, Heads, Layers, WeightDecay, Width
from .scalar import Values, add_prior, values_of

if TYPE_CHECKING:
    from ...programs.lanes import Lanes  # Numba is imported when a network is first run, not before

_LINES_AT_ONCE = 1 << 12
_EPS = 1e-5


@dataclass(frozen=True, kw_only=True)
class GptConfig:
    """The settings of a gpt."""

    width: Width = 16
    """Numbers that each position holds."""
    heads: Heads = 4
    """Heads of attention; they share the width."""
    layers: Layers = 1
    """Blocks of attention and feed-forward network."""
    block: Block = 16
    """How many of the last tokens it sees."""
    batch: int = 32
    """Lines a step learns from."""
    lr: float = 1e-2
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.01
    """How much AdamW shrinks the weights."""

    def __post_init__(self) -> None:
        for name in ("width", "heads", "layers", "block", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: a gpt needs at least 1")
        if self.width % self.heads:
            raise UsageError(f"width={self.width}: must be a multiple of the number of heads, {self.heads}")


def shapes_of(config: GptConfig, vocabulary_size: int, prior: bool) -> Shapes:
    """The weights' names and shapes."""
    C = config.width
    shapes: Shapes = {"token": (vocabulary_size, C), "place": (config.block, C)}
    for layer in range(config.layers):
        shapes |= {f"{layer}.{name}": (C, C) for name in ("query", "key", "value", "mix")}
        shapes |= {f"{layer}.up": (4 * C, C), f"{layer}.down": (C, 4 * C)}
    shapes["out"] = (vocabulary_size, C)
    return shapes | {"prior_scale": ()} if prior else shapes


def start(config: GptConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
    """Normal with 0.08, what is added to the residual scaled down with depth; zeros in the last layer."""
    weights = {
        name: 0.08 * random.standard_normal(s) for name, s in shapes_of(config, vocabulary_size, False).items()
    }
    for layer in range(config.layers):
        for name in ("mix", "down"):
            weights[f"{layer}.{name}"] /= sqrt(2 * config.layers)
    weights["out"][:] = 0.0
    return weights | {"prior_scale": np.ones(())} if prior else weights


# The network, for one line ----------------------------------------------------------------------------------


def normalized(x: list[Value]) -> list[Value]:
    """x / sqrt(mean(x²))."""
    size = (mean([value * value for value in x]) + _EPS).sqrt()
    return [value / size for value in x]


def times(matrix: list[list[Value]], x: list[Value]) -> list[Value]:
    """A matrix times a vector."""
    return [dot(row, x) for row in matrix]


def added(x: list[Value], y: list[Value]) -> list[Value]:
    """The sum of two vectors."""
    return [a + b for a, b in zip(x, y, strict=True)]


def attention(q: list[Value], keys: list[list[Value]], values: list[list[Value]], heads: int) -> list[Value]:
    """What one position takes from itself and those before it: C numbers, head by head."""
    size = len(q) // heads
    taken: list[Value] = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        weights = softmax([dot(q[part], key[part]) * (1.0 / sqrt(size)) for key in keys])
        taken += [dot(weights, column) for column in zip(*[value[part] for value in values], strict=True)]
    return taken


def formula(weights: Values, tokens: list[Any], config: GptConfig) -> list[list[Value]]:
    """T lists of V logits for a line of T tokens, which starts with the boundary."""
    stream = [
        normalized(added(pick(weights["token"], token), weights["place"][t])) for t, token in enumerate(tokens)
    ]
    for layer in range(config.layers):
        query, key, value, mix, up, down = [
            weights[f"{layer}.{name}"] for name in ("query", "key", "value", "mix", "up", "down")
        ]
        inputs = [normalized(x) for x in stream]
        keys, values = [times(key, x) for x in inputs], [times(value, x) for x in inputs]
        for t, x in enumerate(inputs):
            taken = attention(times(query, x), keys[: t + 1], values[: t + 1], config.heads)
            stream[t] = added(stream[t], times(mix, taken))
        for t, x in enumerate(stream):
            hidden = [number.relu() for number in times(up, normalized(x))]
            stream[t] = added(x, times(down, hidden))
    return [times(weights["out"], x) for x in stream]


# Its programs, one for each length ----------------------------------------------------------------------------


def _logits_of(values: Values, config: GptConfig, tokens: list[Any], prior: Any) -> list[list[Value]]:
    logits = formula(values, tokens, config)
    if not prior:
        return logits
    return [add_prior(row, rows, values["prior_scale"]) for row, rows in zip(logits, prior[0], strict=True)]


@cache
def logits_program(config: GptConfig, vocabulary_size: int, prior: bool, length: int) -> Program:
    """The program of all logits of a line with `length` tokens."""
    values, flat = values_of(shapes_of(config, vocabulary_size, prior))
    example = [[0] * length] + [[[0.0] * vocabulary_size] * length] * prior
    return record(lambda tokens, *rows: _logits_of(values, config, tokens, rows), *example, parameters=flat)


@cache
def loss_program(config: GptConfig, vocabulary_size: int, prior: bool, length: int) -> Program:
    """The program of the loss of a line with `length` tokens: nats, summed over them."""
    values, flat = values_of(shapes_of(config, vocabulary_size, prior))

    def loss(tokens: list[Any], targets: list[Any], *rows: Any) -> Value:
        logits = _logits_of(values, config, tokens, rows)
        return sum([cross_entropy(row, t) for row, t in zip(logits, targets, strict=True)], Value(0.0))

    example = [[0] * length, [0] * length] + [[[0.0] * vocabulary_size] * length] * prior
    return record(loss, *example, parameters=flat)


class GptModel(NeuralModel):
    """The trained network."""

    Config = GptConfig

    def __init__(
        self, config: GptConfig, vocabulary_size: int, weights: Weights, prior: NgramModel | None = None
    ) -> None:
        super().__init__(config, vocabulary_size, weights, prior)
        self._lanes: dict[int, Lanes] = {}

    @property
    def reach(self) -> int:
        """See `NeuralModel`."""
        block: int = self.config.block
        return block

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        tokens, block = tokens.astype(np.int64), self.config.block
        result = np.empty((*tokens.shape, self.vocabulary_size))
        head = slice(0, block)
        result[:, head] = self._run(tokens[:, head], None if prior is None else prior[:, head])
        for t in range(block, tokens.shape[1]):
            rows = None if prior is None else prior[:, t]
            result[:, t] = self.next_logits(tokens[:, : t + 1], rows)
        return result

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        window = tokens[:, -self.config.block :]
        rows = None
        if prior is not None:  # only the last position's matter
            rows = np.repeat(prior[:, None], window.shape[1], axis=1)
        return self._run(window, rows)[:, -1]

    def check(self) -> None:
        """See `NeuralModel`."""
        flatten(self.weights, shapes_of(self.config, self.vocabulary_size, self.prior is not None))

    def _run(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """(B, T) tokens, T at most the block, to (B, T, V). What follows does not matter, so it may be padding."""
        T = tokens.shape[1]
        length = min(self.config.block, 1 << max(2, (T - 1).bit_length()))
        lanes = self._lanes_of(length)
        result = np.empty((*tokens.shape, self.vocabulary_size))
        padded = np.zeros((len(tokens), length), np.int64)
        padded[:, :T] = tokens
        for begin in range(0, len(tokens), _LINES_AT_ONCE):
            part = slice(begin, begin + _LINES_AT_ONCE)
            floats = np.zeros((0, 0))
            if prior is not None:
                rows = np.zeros((len(padded[part]), length, self.vocabulary_size))
                rows[:, :T] = prior[part]
                floats = rows.reshape(len(rows), -1).T
            logits = lanes.forward(floats, padded[part].T)
            result[part] = logits.T.reshape(-1, length, self.vocabulary_size)[:, :T]
        return result

    def _lanes_of(self, length: int) -> Lanes:
        from ...programs.lanes import Lanes

        if length not in self._lanes:
            learned = self.prior is not None
            lanes = Lanes(logits_program(self.config, self.vocabulary_size, learned, length))
            lanes.weights[:] = flatten(self.weights, shapes_of(self.config, self.vocabulary_size, learned))
            self._lanes[length] = lanes
        return self._lanes[length]


class GptLearner:
    """Trains on whole lines, those of one length together; longer ones in pieces (see `learner.Learner`)."""

    def __init__(
        self,
        stream: np.ndarray,
        vocabulary_size: int,
        config: GptConfig,
        prior: NgramModel | None,
        seed: int,
    ) -> None:
        self._config, self._vocabulary_size, self._prior = config, vocabulary_size, prior
        random = np.random.Generator(np.random.Philox(seed))
        weights = start(config, vocabulary_size, random, prior is not None)
        shapes = shapes_of(config, vocabulary_size, prior is not None)
        self._parameters = Parameters(weights, shapes, config.weight_decay)
        self._lanes: dict[int, Lanes] = {}
        self._left_out = LeaveOneOut(prior, stream) if prior else None
        self._stream = stream.astype(np.int64)
        self._starts, self._lengths = _pieces(stream, config.block)
        self.examples = len(self._starts)
        self.batch = min(config.batch, self.examples)
        self.lr = config.lr

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """See `Learner`."""
        lengths = self._lengths[chosen]
        tokens = int(lengths.sum())
        total, nats = np.zeros_like(self._parameters.array), 0.0
        for length in np.unique(lengths).tolist():
            lanes = self._lanes_of(length)
            lanes.weights[:] = self._parameters.array
            floats, integers = self._batch(self._starts[chosen[lengths == length]], length)
            results, gradient = lanes.backward(floats, integers, 1.0 / tokens)
            total += gradient
            nats += float(results.sum(dtype=np.float64))
        loss = nats / tokens
        return loss if np.isfinite(loss) and self._parameters.move(total, lr) else float("nan")

    @property
    def updates(self) -> dict[str, float]:
        """See `Learner`."""
        return self._parameters.updates

    def model(self) -> LanguageModel:
        """See `Learner`."""
        return GptModel(self._config, self._vocabulary_size, self._parameters.weights(), self._prior)

    def state(self) -> Weights:
        """See `Learner`."""
        return self._parameters.state()

    def load_state(self, state: Weights) -> None:
        """See `Learner`."""
        self._parameters.load_state(state)

    def _lanes_of(self, length: int) -> Lanes:
        from ...programs.lanes import Lanes

        if length not in self._lanes:
            program = loss_program(self._config, self._vocabulary_size, self._prior is not None, length)
            self._lanes[length] = Lanes(program, np.float32)
        return self._lanes[length]

    def _batch(self, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Floats (T · V, N) of the prior and integers (2 T, N), tokens and then targets, of pieces of a length."""
        places = starts + np.arange(length)[:, None]
        integers = np.concatenate([self._stream[places], self._stream[places + 1]])
        if self._left_out is None:
            return np.zeros((0, 0), np.float32), integers
        rows = self._left_out.at(places.ravel()).reshape(length, len(starts), -1)
        return rows.transpose(0, 2, 1).reshape(-1, len(starts)), integers


def gpt_learner(
    stream: np.ndarray, vocabulary_size: int, config: GptConfig, prior: NgramModel | None, seed: int
) -> GptLearner:
    """A learner for the table."""
    return GptLearner(stream, vocabulary_size, config, prior, seed)


def _pieces(stream: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the lines of a stream begin, in pieces of at most `block` tokens, and the lengths of the pieces."""
    ends = np.flatnonzero(stream == 0)
    starts = np.concatenate([np.arange(begin, end, block) for begin, end in pairwise(ends)])
    return starts, np.diff(starts, append=ends[-1])
