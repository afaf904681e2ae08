"""A model whose counts have to fit into so many bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ...models.contract import LanguageModel
from ...models.counts.model import CountsModel
from ...models.counts.priors import Prior
from ...models.ensembles.ensemble import Ensemble
from ...models.neural import NeuralModel
from ...models.ngram.model import NgramModel
from ..lowering.table import lowered
from ..packing.tables import packed
from ..step import Step
from .greedy import Pruner

_TRIES = 8
_LITTLE_LESS = 0.97


def pruned(model: LanguageModel, stream: np.ndarray, most: int) -> LanguageModel:
    """Leave out counts until those that are left take at most so many bytes, packed, or no more can be left out.

    `stream` are the training lines `0 line 0 line 0`; of less than a few dozen nothing can be learned, and the
    model stays as it is.
    """
    bytes_now = bytes_of(lowered(model))
    if bytes_now <= most or np.count_nonzero(stream == 0) < 50:
        return model
    pruners = _pruners(model, stream)
    entries = [pruner.entries for _, pruner in pruners]
    smaller, share = model, 1.0
    for _ in range(_TRIES):
        share *= _LITTLE_LESS * most / bytes_now
        for (_, pruner), before in zip(pruners, entries, strict=True):
            pruner.down_to(int(share * before))
        found = [(prior, pruner.pruned()) for prior, pruner in pruners]
        smaller = _with(model, partial(_other, found))
        bytes_now = bytes_of(lowered(smaller))
        if bytes_now <= most:
            break
    return smaller


def bytes_of(step: Step) -> int:
    """Count the bytes of a step's tables, packed."""
    return len(packed(list(step.tables.values()), step.vocabulary_size)[0]) if step.tables else 0


def _pruners(model: LanguageModel, stream: np.ndarray) -> list[tuple[Prior, Pruner]]:
    """A pruner for each prior of a model; members of an ensemble that start from the same counts share one."""
    if isinstance(model, Ensemble):
        pruners: list[tuple[Prior, Pruner]] = []
        for member in model.members:
            prior = _prior(member)
            if prior is not None and not any(_same(prior, other) for other, _ in pruners):
                pruners += _pruners(member, stream)
        return pruners
    prior = _prior(model)
    return [] if prior is None else [(prior, Pruner(model, prior, stream))]


def _prior(model: LanguageModel) -> Prior | None:
    if isinstance(model, NgramModel | CountsModel):
        return model
    return model.prior if isinstance(model, NeuralModel) else None


def _with(model: LanguageModel, other: Callable[[Prior], Prior]) -> LanguageModel:
    """Give a model with other counts for those that it has."""
    if isinstance(model, Ensemble):
        return type(model)([_with(member, other) for member in model.members], model.weights)
    if isinstance(model, NgramModel | CountsModel):
        return other(model)
    if isinstance(model, NeuralModel) and model.prior is not None:
        return model.with_prior(other(model.prior))
    return model


def _other(found: list[tuple[Prior, Prior]], prior: Prior) -> Prior:
    return next(smaller for one, smaller in found if _same(one, prior))


def _same(one: Prior, other: Prior) -> bool:
    mine, theirs = one.arrays(), other.arrays()
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
