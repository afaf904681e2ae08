"""What a network starts from: an n-gram, to whose log-probabilities the network's are added.

A specification may name it: `mlp:128+ngram:5` is an mlp that starts from a 5-gram, whatever `--prior` says.
See Neubig & Dyer 2016, "Generalizing and Hybridizing Count-based and Neural Language Models".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import TrainingError, UsageError
from ..models.contract import Callback
from ..models.learner import Learner
from ..models.ngram.model import NgramConfig, NgramModel
from ..models.ngram.training import train_ngram
from ..models.table import Family, parse_specification
from ..optional import require
from .config import TrainingConfig


@dataclass(frozen=True)
class Asked:
    """A specification that was understood. `prior` is None for models that start from nothing."""

    family: Family
    config: Any
    prior: NgramConfig | None


def parse(specification: str, prior: str | None = None) -> Asked:
    """Understand MODEL or MODEL+NGRAM; `prior` is the n-gram of networks that name none. Or `UsageError`."""
    name, plus, start = specification.partition("+")
    family, config = parse_specification(name)
    if not family.in_steps:
        if plus:
            raise UsageError(
                f"model {specification!r}: {family.name} counts and starts from nothing; leave out +{start}"
            )
        return Asked(family, config, None)
    wanted = start if plus else prior
    if wanted is None:
        return Asked(family, config, None)
    where = f"model {specification!r}" if plus else f"--prior {prior}"
    other, ngram = parse_specification(wanted)
    if not isinstance(ngram, NgramConfig):
        raise UsageError(f"{where}: a network starts from an n-gram, not from {other.name}; use ngram or ngram:5")
    return Asked(family, config, ngram)


def check_asked(specification: str, training: TrainingConfig) -> Asked:
    """Understand a specification, and `UsageError` for whatever else about its training can be known beforehand:
    a device or a library that is not there. What is asked for first should cost no reading."""
    asked = parse(specification, training.prior)
    if asked.family.torch_learner is not None:
        require("torch", f"the model {asked.family.name}")
        from ..models.pytorch.device import check_device

        check_device(training.device)
    return asked


def learner_of(
    asked: Asked,
    stream: np.ndarray,
    vocabulary_size: int,
    training: TrainingConfig,
    callback: Callback = lambda event: None,
    prior: NgramModel | None = None,
) -> Learner:
    """A fresh learner, and first the n-gram it starts from, trained on the same lines unless it is given."""
    if asked.prior is not None and prior is None:
        prior = train_ngram(stream, vocabulary_size, asked.prior, callback)[0]
    try:
        return _fresh(asked, stream, vocabulary_size, training, callback, prior)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise TrainingError(
            f"there is not enough memory to train {asked.family.name} with these settings; make it smaller"
        ) from None


def _fresh(
    asked: Asked,
    stream: np.ndarray,
    vocabulary_size: int,
    training: TrainingConfig,
    callback: Callback,
    prior: NgramModel | None,
) -> Learner:
    family, seed = asked.family, training.train_seed
    if family.learner is not None:
        return family.learner(stream, vocabulary_size, asked.config, prior, seed)
    assert family.torch_learner is not None
    device, threads = training.device, training.threads
    return family.torch_learner(stream, vocabulary_size, asked.config, prior, seed, device, threads, callback)
