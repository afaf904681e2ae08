"""bigram: one linear layer on a one-hot letter, the first lecture's network.

A one-hot vector times a matrix is a row of the matrix, so the logits of what follows a token are its row. Trained
to the end it is the table of counted bigrams; weight decay is its add-k smoothing. The formula is written in
scalars for one position and recorded as a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.functions import pick
from ...autograd.value import Value
from ...errors import UsageError
from ..ngram.model import NgramModel
from ..parameters import Shapes, Weights
from ..ranges import WeightDecay
from .scalar import Values, add_prior
from .windows import ScalarWindowLearner, ScalarWindowModel


@dataclass(frozen=True, kw_only=True)
class BigramConfig:
    """The settings of a neural bigram."""

    batch: int = 4096
    """Positions a step learns from."""
    lr: float = 0.1
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.0
    """How much AdamW shrinks the weights."""

    context = 1

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UsageError(f"batch={self.batch}: a step needs at least 1 position")


class BigramModel(ScalarWindowModel):
    """The trained network."""

    Config = BigramConfig

    @staticmethod
    def shapes(config: BigramConfig, vocabulary_size: int, prior: bool) -> Shapes:
        """See `WindowModel`."""
        matrix: Shapes = {"weight": (vocabulary_size, vocabulary_size)}
        return matrix | {"prior_scale": ()} if prior else matrix

    @staticmethod
    def start(config: BigramConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Zeros: every token is as likely as any other."""
        weights = {"weight": np.zeros((vocabulary_size, vocabulary_size))}
        return weights | {"prior_scale": np.ones(())} if prior else weights

    @staticmethod
    def formula(weights: Values, context: list[Any], prior: list[Value] | None) -> list[list[Value]]:
        """See `ScalarWindowModel`."""
        row = pick(weights["weight"], context[0])
        return [row if prior is None else add_prior(row, prior, weights["prior_scale"])]


def bigram_learner(
    stream: np.ndarray, vocabulary_size: int, config: BigramConfig, prior: NgramModel | None, seed: int
) -> ScalarWindowLearner:
    """A learner for the table."""
    return ScalarWindowLearner(BigramModel, stream, vocabulary_size, config, prior, seed)
