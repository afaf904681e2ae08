"""Two models as one: the weighted geometric mean of what they say, renormalised, p(w) ∝ p_1(w)^a · p_2(w)^(1 - a).

Models that err in different places correct each other (Hinton 2002, "Training Products of Experts by Minimizing
Contrastive Divergence"), but a weak one at half the weight spoils a strong one: so the weight is fitted, on lines
that neither model was trained on. The loss is convex in it; where it is lowest, the mixture expects the two to
differ about the next token as much as they do differ, on average, about the one that came. There is no temperature
beside the weight: a model alone may gain by one too, and the mixture is to win by mixing only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from .contract import LanguageModel, Reader
from .softmax import log_softmax, picked

_HALVINGS = 20


class Mixture:
    """The geometric mean of two models of one vocabulary: the first has the `weight`, the second the rest of 1."""

    def __init__(self, first: LanguageModel, second: LanguageModel, weight: float = 0.5) -> None:
        assert first.vocabulary_size == second.vocabulary_size
        assert 0.0 <= weight <= 1.0
        self.members, self.weight = (first, second), weight
        self.vocabulary_size = first.vocabulary_size
        # One member that sees the whole line is enough for the mixture to see it.
        reaches = [model.context for model in self.members if model.context is not None]
        self.context = max(reaches) if len(reaches) == len(self.members) else None
        self.parameters = first.parameters + second.parameters + 1

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities."""
        first, second = self.members
        return mixed(first.log_probabilities(tokens), second.log_probabilities(tokens), self.weight)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log-probability (B, T) of each target after its tokens."""
        return picked(self.log_probabilities(tokens), targets)

    def reader(self, lines: int) -> Reader:
        """A reader that reads with both members."""
        first, second = self.members
        return MixtureReader(first.reader(lines), second.reader(lines), self.weight)

    def settings(self) -> dict[str, Any]:
        """The weight of the first, and the members' settings. A mixture is not kept in a run; its members are."""
        return {"weight": self.weight, "members": [model.settings() for model in self.members]}

    def arrays(self) -> dict[str, np.ndarray]:
        """The members' arrays, each under its number."""
        return {
            f"{number}.{name}": array
            for number, model in enumerate(self.members)
            for name, array in model.arrays().items()
        }

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Always raises ValueError: it would take the members' families to restore them."""
        raise ValueError("a mixture is not restored; restore its members")


class MixtureReader:
    """Both members' readers (see `contract.Reader`)."""

    def __init__(self, first: Reader, second: Reader, weight: float) -> None:
        self._first, self._second, self._weight = first, second, weight

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        return mixed(self._first.read(tokens), self._second.read(tokens), self._weight)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._first.keep(rows)
        self._second.keep(rows)


def mixed(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """Log-probabilities (..., V) of two models to those of their mixture.

    At a weight of 0 or 1 they are one model's as they are, whatever the other says is impossible.
    """
    if weight in (0.0, 1.0):
        return first if weight else second
    return log_softmax(weight * first + (1.0 - weight) * second)


def fitted_weight(
    first: LanguageModel,
    second: LanguageModel,
    batches: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> float:
    """The weight of the first with which the mixture gives some lines the highest probability.

    `batches` are tokens (B, T), targets (B, T) and which of them count, a mask (B, T). Half each if there are none.
    """
    places = []
    for tokens, targets, inside in batches:
        logs = [model.log_probabilities(tokens)[inside] for model in (first, second)]
        places.append((logs[0], logs[1], targets[inside]))
    if not places:
        return 0.5
    one, other, chosen = (np.concatenate(parts) for parts in zip(*places, strict=True))
    # The slope of the loss by the weight is Σ p(w) · difference(w), less the difference of the token that came.
    difference = one - other
    came = float(picked(difference, chosen).sum())
    low, high = 0.0, 1.0
    if float((np.exp(other) * difference).sum()) >= came:  # even a trace of the first makes it worse
        return 0.0
    if float((np.exp(one) * difference).sum()) <= came:
        return 1.0
    for _ in range(_HALVINGS):  # the slope rises with the weight, as the loss is convex
        middle = (low + high) / 2
        expected = float((np.exp(mixed(one, other, middle)) * difference).sum())
        low, high = (middle, high) if expected < came else (low, middle)
    return (low + high) / 2
