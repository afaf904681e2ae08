"""The learner of an mlp: which one follows from the size of the vocabulary."""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from ..candidates import MANY_TOKENS
from ..counts.model import CountsModel
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
    classes: np.ndarray | None = None,
) -> MlpLearner | LargeMlpLearner:
    """Make a fresh network that learns from a stream, starting from counts if there are any.

    With `soft_targets`, probabilities (positions, V), it learns what a teacher says there: of all tokens, however
    many they are. With the `classes` (V,) of the tokens, the network knows the shapes of lines, too, unless the
    vocabulary is large.
    """
    if soft_targets is None and (vocabulary_size > MANY_TOKENS or config.tied == "yes"):
        if isinstance(prior, CountsModel):  # these say something of every token, and of so many that takes long
            raise UsageError("+counts: such an mlp starts from an n-gram only; use +ngram")
        return LargeMlpLearner(stream, vocabulary_size, config, prior, seed)
    if config.tied == "yes":
        raise UsageError("tied=yes: such an mlp is no student; leave out tied, or the teacher")
    return MlpLearner(stream, vocabulary_size, config, prior, seed, soft_targets, classes)
