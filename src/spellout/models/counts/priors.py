"""What a network may start from: an n-gram, or many counts mixed."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..contract import Callback
from ..ngram.leave_one_out import LeaveOneOut
from ..ngram.model import NgramConfig, NgramModel
from ..ngram.training import train_ngram
from .model import CountsConfig, CountsModel
from .training import counted_anew, train_counts

Prior = NgramModel | CountsModel
PriorConfig = NgramConfig | CountsConfig


class LeftOut(Protocol):
    """What a prior says at the positions of the text it was trained on, each without that very occurrence."""

    def at(self, places: np.ndarray) -> np.ndarray:
        """(N,) positions to the log-probabilities (N, V), float32, of the token that follows each."""
        ...


def train_prior(
    stream: np.ndarray,
    vocabulary_size: int,
    config: PriorConfig,
    callback: Callback,
    given: Prior | None = None,
) -> Prior:
    """Train on one stream `0 line 0 line 0`, or take what is `given`: the prior itself, or its n-gram."""
    if isinstance(config, NgramConfig):
        return given or train_ngram(stream, vocabulary_size, config, callback)[0]
    if isinstance(given, CountsModel):
        return given
    return train_counts(stream, vocabulary_size, config, callback, given)[0]


def prior_counted_anew(prior: Prior, stream: np.ndarray) -> Prior:
    """The same of another text `0 line 0 line 0`: only the counts change."""
    return counted_anew(prior, stream) if isinstance(prior, CountsModel) else prior.counted_anew(stream)


def restore_prior(settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Prior:
    """The inverse of a prior's `settings` and `arrays`; ValueError or KeyError if they are of none."""
    family: type[Prior] = CountsModel if "views" in settings else NgramModel
    return family.restore(settings, arrays)


def left_out(prior: Prior, stream: np.ndarray) -> LeftOut:
    """What a network with this prior learns from. Counts that include the token to be predicted would teach it to
    trust what is only memorised."""
    return prior.left_out(stream) if isinstance(prior, CountsModel) else LeaveOneOut(prior, stream)
