"""gpt: a small Transformer written in scalars, one line at a time.

Vaswani et al. 2017, "Attention Is All You Need"; Radford et al. 2019, "Language Models are Unsupervised Multitask
Learners" (GPT-2); Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", here without gains. Each position
sees the vectors of its token and its position and those of all positions before it; there are no biases. A line is
one example, so there is one program for each length of lines.

    T positions · C width · H heads of C/H numbers · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import sqrt
from types import MappingProxyType
from typing import Any

import numpy as np

from ...autograd.functions import dot, pick
from ...autograd.value import Value
from ...errors import UsageError
from ...nn.attention import attend
from ...nn.normalization import rms_norm
from ..ranges import Heads, Layers, LongContext, WeightDecay, Width
from ..weights import Shapes, Weights
from .network import Rows, ScalarLearner, ScalarLineModel, Values, add_prior


@dataclass(frozen=True, kw_only=True)
class GptConfig:
    """The settings of a gpt."""

    width: Width = 16
    """Numbers that each position holds."""
    heads: Heads = 4
    """Heads of attention; they share the width."""
    layers: Layers = 1
    """Blocks of attention and feed-forward network."""
    context: LongContext = 16
    """How many of the last tokens it sees."""
    batch: int = 32
    """Lines a step learns from."""
    lr: float = 1e-2
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.01
    """How much AdamW shrinks the weights."""

    former_names = MappingProxyType({"block": "context"})  # see `stored.name_of_today`

    def __post_init__(self) -> None:
        for name in ("width", "heads", "layers", "context", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: a gpt needs at least 1")
        if self.width % self.heads:
            raise UsageError(f"width={self.width}: must be a multiple of the number of heads, {self.heads}")


class GptModel(ScalarLineModel):
    """The network: embeddings, blocks of attention and a feed-forward network, and a last layer to logits."""

    Config = GptConfig

    @staticmethod
    def formula(config: GptConfig, weights: Values, tokens: list[Any], prior: Rows | None) -> Rows:
        """Logits (T, V) for a line of T tokens, which starts with the boundary."""
        # (T, C): embeddings of token and position, as attention by itself would see a set without an order.
        x = [norm(added(pick(weights["token"], token), weights["place"][t])) for t, token in enumerate(tokens)]
        for layer in range(config.layers):
            query, key, value, projection, up, down = [weights[f"{layer}.{name}"] for name in _BLOCK]
            inputs = [norm(vector) for vector in x]  # (T, C)
            k, v = [[linear(weight, vector) for vector in inputs] for weight in (key, value)]  # (T, C) each
            for t, vector in enumerate(inputs):
                q = linear(query, vector)  # (C,)
                taken = attend(q, k[: t + 1], v[: t + 1], config.heads)  # (C,), from no later position
                x[t] = added(x[t], linear(projection, taken))
            for t, vector in enumerate(x):
                hidden = [number.relu() for number in linear(up, norm(vector))]  # (4 · C,)
                x[t] = added(vector, linear(down, hidden))
        # Unlike GPT-2: no last normalisation, and the last layer is not the embedding.
        logits = [linear(weights["out"], vector) for vector in x]  # (T, V)
        return add_prior(logits, prior, weights.get("prior_scale"))

    def token_vectors(self) -> np.ndarray:
        """The vectors (V, C) that stand for the tokens."""
        return self.weights["token"]

    @staticmethod
    def shapes(config: GptConfig, vocabulary_size: int, prior: bool) -> Shapes:
        """The weights of the embeddings, of each block, and of the last layer, and one that weighs the prior."""
        C = config.width
        shapes: Shapes = {"token": (vocabulary_size, C), "place": (config.context, C)}
        for layer in range(config.layers):
            sizes = [*[(C, C)] * 4, (4 * C, C), (C, 4 * C)]
            shapes |= {f"{layer}.{name}": size for name, size in zip(_BLOCK, sizes, strict=True)}
        shapes["out"] = (vocabulary_size, C)
        return shapes | {"prior_scale": ()} if prior else shapes

    @staticmethod
    def start(config: GptConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Normal with 0.08, what is added to the residual scaled down with depth; zeros in the last layer."""
        shapes = GptModel.shapes(config, vocabulary_size, False)
        weights = {name: 0.08 * random.standard_normal(shape) for name, shape in shapes.items()}
        for layer in range(config.layers):
            for name in ("mix", "down"):
                weights[f"{layer}.{name}"] /= sqrt(2 * config.layers)
        weights["out"][:] = 0.0  # the first loss is ln V, or that of the prior
        return weights | {"prior_scale": np.ones(())} if prior else weights


gpt_learner = partial(ScalarLearner, GptModel)
_BLOCK = ("query", "key", "value", "mix", "up", "down")  # a block's matrices, by the names that runs know them by
_EPS = 1e-5  # so that a vector of zeros is not divided by zero


def norm(x: list[Value]) -> list[Value]:
    """x / sqrt(mean(x²) + ε), so that no layer sees larger numbers the deeper it stands."""
    return rms_norm(x, _EPS)


def linear(weight: list[list[Value]], x: list[Value]) -> list[Value]:
    """W·x: a matrix (O, K) and a vector (K,) to (O,)."""
    return [dot(row, x) for row in weight]


def added(x: list[Value], y: list[Value]) -> list[Value]:
    """The sum of two vectors."""
    return [a + b for a, b in zip(x, y, strict=True)]
