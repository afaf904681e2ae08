"""The learner of an mlp: which one follows from the size of the vocabulary."""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from ..candidates import MANY_TOKENS
from ..counts.priors import Prior
from .large import LargeMlpLearner
from .learner import MlpLearner
from .mlp import MlpConfig


def mlp_learner(
    stream: np.ndarray,
    vocabulary_size: int,
    config: MlpConfig,
    prior: Prior | None,
    seed: int,
    soft_targets: np.ndarray | None = None,
) -> MlpLearner | LargeMlpLearner:
    """A fresh network that learns from a stream, starting from an n-gram if there is one.

    With `soft_targets`, probabilities (positions, V), it learns what a teacher says there: of all tokens, however
    many they are.
    """
    if prior is not None and config.tied == "yes":
        raise UsageError("tied=yes: such an mlp starts from no n-gram; leave out tied, or +ngram")
    if soft_targets is not None and config.tied == "yes":
        raise UsageError("tied=yes: such an mlp is no student; leave out tied, or the teacher")
    if prior is None and soft_targets is None and (vocabulary_size > MANY_TOKENS or config.tied == "yes"):
        return LargeMlpLearner(stream, vocabulary_size, config, seed)
    return MlpLearner(stream, vocabulary_size, config, prior, seed, soft_targets)
