"""The learner of an mlp: which one follows from the size of the vocabulary."""

from __future__ import annotations

import numpy as np

from ..candidates import MANY_TOKENS
from ..ngram.model import NgramModel
from .large import LargeMlpLearner
from .learner import MlpLearner
from .mlp import MlpConfig


def mlp_learner(
    stream: np.ndarray,
    vocabulary_size: int,
    config: MlpConfig,
    prior: NgramModel | None,
    seed: int,
    soft_targets: np.ndarray | None = None,
) -> MlpLearner | LargeMlpLearner:
    """A fresh network that learns from a stream, starting from an n-gram if there is one.

    With `soft_targets`, probabilities (positions, V), it learns what a teacher says there: of all tokens, however
    many they are.
    """
    if vocabulary_size > MANY_TOKENS and soft_targets is None:
        return LargeMlpLearner(stream, vocabulary_size, config, prior, seed)
    return MlpLearner(stream, vocabulary_size, config, prior, seed, soft_targets)
