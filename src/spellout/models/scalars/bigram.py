"""bigram: one linear layer on a one-hot letter, the first lecture's network.

A one-hot vector times a matrix is a row of the matrix, so the logits of what follows a token are its row. Trained
to the end it is the table of counted bigrams; weight decay is its add-k smoothing. The formula is written in
scalars for one position and recorded as a program.

    V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...autograd.functions import pick
from ...errors import UsageError
from ..ranges import WeightDecay
from ..weights import Shapes, Weights
from .network import Rows, ScalarLearner, ScalarWindowModel, Values, add_prior


@dataclass(frozen=True, kw_only=True)
class BigramConfig:
    """The settings of a neural bigram."""

    batch: int = 4096
    """Positions a step learns from."""
    lr: float = 0.1
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.0
    """How much AdamW shrinks the weights."""

    context = 1  # not a setting: a bigram is of one letter and the next

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UsageError(f"batch={self.batch}: a step needs at least 1 position")


class BigramModel(ScalarWindowModel):
    """The network: the logits are the row of the last token."""

    Config = BigramConfig

    @staticmethod
    def shapes(config: BigramConfig, vocabulary_size: int, prior: bool) -> Shapes:
        """A matrix (V, V), and a number that weighs the prior."""
        matrix: Shapes = {"weight": (vocabulary_size, vocabulary_size)}
        return matrix | {"prior_scale": ()} if prior else matrix

    @staticmethod
    def start(config: BigramConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Zeros: every token is as likely as any other."""
        weights = {"weight": np.zeros((vocabulary_size, vocabulary_size))}
        return weights | {"prior_scale": np.ones(())} if prior else weights

    @staticmethod
    def formula(config: BigramConfig, weights: Values, tokens: list[Any], prior: Rows | None) -> Rows:
        """Logits (1, V) of what follows one token."""
        # A row stands for the product of the matrix and a one-hot vector, which would be V - 1 parts zeros.
        return add_prior([pick(weights["weight"], tokens[0])], prior, weights.get("prior_scale"))


bigram_learner = partial(ScalarLearner, BigramModel)
