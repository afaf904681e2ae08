"""The learner of an mlp: which one follows from the size of the vocabulary."""

from __future__ import annotations

import numpy as np

from ..candidates import MANY_TOKENS
from ..ngram.model import NgramModel
from .large import LargeMlpLearner
from .learner import MlpLearner
from .mlp import MlpConfig


def mlp_learner(
    stream: np.ndarray, vocabulary_size: int, config: MlpConfig, prior: NgramModel | None, seed: int
) -> MlpLearner | LargeMlpLearner:
    """A fresh network that learns from a stream, starting from an n-gram if there is one."""
    large = vocabulary_size > MANY_TOKENS or config.tied == "yes"
    kind = LargeMlpLearner if large else MlpLearner
    return kind(stream, vocabulary_size, config, prior, seed)
