"""mlp: embeddings of the last letters, a tanh layer, a softmax.

Bengio et al. 2003, "A Neural Probabilistic Language Model": every token has a vector that is learned, shared by all
places of the window; the vectors of the last k tokens side by side go through one hidden layer. The formula is
written in scalars for one position and recorded as a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.functions import dot, pick
from ..autograd.value import Value
from ..errors import UsageError
from .ngram import NgramModel
from .scalar import Shapes, Values, Weights
from .windows import WindowLearner, WindowModel


@dataclass(frozen=True, kw_only=True)
class MlpConfig:
    """The settings of an mlp."""

    hidden: int = 128
    """Units of the hidden layer."""
    context: int = 8
    """How many of the last tokens it sees."""
    embedding: int = 16
    """Numbers of a token's vector."""
    batch: int = 1024
    """Positions a step learns from."""
    lr: float = 6e-3
    """The highest learning rate."""
    weight_decay: float = 0.05
    """How much AdamW shrinks the weights."""

    def __post_init__(self) -> None:
        for name in ("hidden", "context", "embedding", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: an mlp needs at least 1")


class MlpModel(WindowModel):
    """The trained network."""

    Config = MlpConfig

    @staticmethod
    def shapes(config: MlpConfig, vocabulary_size: int) -> Shapes:
        """See `WindowModel`."""
        return {
            "embedding": (vocabulary_size, config.embedding),
            "hidden.weight": (config.hidden, config.context * config.embedding),
            "hidden.bias": (config.hidden,),
            "out.weight": (vocabulary_size, config.hidden),
            "out.bias": (vocabulary_size,),
        }

    @staticmethod
    def start(config: MlpConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Kaiming's gain for tanh, 5/3, in the hidden layer, and zeros in the last: the first loss is ln V."""
        weights = {name: np.zeros(shape) for name, shape in MlpModel.shapes(config, vocabulary_size).items()}
        inputs = config.context * config.embedding
        weights["embedding"] = random.standard_normal((vocabulary_size, config.embedding))
        weights["hidden.weight"] = random.standard_normal((config.hidden, inputs)) * (5 / 3) / np.sqrt(inputs)
        return weights

    @staticmethod
    def formula(weights: Values, context: list[Any]) -> list[Value]:
        """See `WindowModel`."""
        x = [number for token in context for number in pick(weights["embedding"], token)]
        hidden = [
            dot(w, x, b).tanh() for w, b in zip(weights["hidden.weight"], weights["hidden.bias"], strict=True)
        ]
        return [dot(w, hidden, b) for w, b in zip(weights["out.weight"], weights["out.bias"], strict=True)]


def mlp_learner(
    stream: np.ndarray, vocabulary_size: int, config: MlpConfig, prior: NgramModel | None, seed: int
) -> WindowLearner:
    """A learner for the table."""
    return WindowLearner(MlpModel, stream, vocabulary_size, config, prior, seed)
