"""What all networks share, whatever engine runs them: they give logits, and may start from counts.

With a prior, the logits of a token are scale · log p_counts + what the network adds, so that the network learns
what the counts do not know. In training, the counts of each token's own occurrence are left out, or the network
would learn to trust what was memorised (Neubig & Dyer 2016, "Generalizing and Hybridizing Count-based and Neural
Language Models"; Li et al. 2022, "Residual Learning of Neural Text Generation with n-gram Language Model").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np

from .contract import Reader
from .counts.priors import Prior, restore_prior
from .softmax import log_softmax, score_in_pieces
from .stored import check_sizes, stored_config
from .weights import under


class NeuralModel(ABC):
    """A trained network. Obeys `contract.LanguageModel`.

    Attributes:
        config: the dataclass of its settings; `Config` is its type.
        weights: what it has learned, by name; with a prior also how much that counts.
        prior: the n-gram or the mixed counts it starts from, or None.
    """

    Config: ClassVar[type[Any]]
    context: int | None

    def __init__(
        self, config: Any, vocabulary_size: int, weights: dict[str, np.ndarray], prior: Prior | None = None
    ) -> None:
        self.config = config
        self.vocabulary_size = vocabulary_size
        self.weights = weights
        self.prior = prior
        self.parameters = sum([array.size for array in weights.values()])
        if prior is not None:
            self.parameters += prior.parameters
        self.context = self.own_context
        if prior is not None and self.context is not None:
            self.context = None if prior.context is None else max(self.context, prior.context)

    @property
    def own_context(self) -> int | None:
        """How many last tokens the network itself sees, None if it sees the whole line."""
        own_context: int = self.config.context
        return own_context

    @abstractmethod
    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """(B, T) token ids, and the prior's log-probabilities (B, T, V) if there is one, to logits (B, T, V)."""

    @abstractmethod
    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """The same for what follows the last of the tokens only: (B, T), and (B, V) of the prior, to (B, V).

        The tokens may begin inside a line, if its beginning is beyond the network's context.
        """

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities, float64, nats."""
        prior = None if self.prior is None else self.prior.log_probabilities(tokens)
        return log_softmax(self.logits(tokens, prior))

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log-probability (B, T) of each target after its tokens."""
        return score_in_pieces(self, tokens, targets)

    def reader(self, lines: int) -> Reader:
        """A reader that runs the network on what it has read of every line, as far back as its context goes."""
        return NeuralReader(self, lines)

    def with_prior(self, prior: Prior) -> Self:
        """Give the same with another prior."""
        return type(self)(self.config, self.vocabulary_size, self.weights, prior)

    def settings(self) -> dict[str, Any]:
        """The settings by name, and those of the prior: what `restore` needs beside the arrays."""
        return {
            "config": asdict(self.config),
            "vocabulary_size": self.vocabulary_size,
            "prior": None if self.prior is None else self.prior.settings(),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights, and the prior's arrays under `prior.`."""
        counts = {} if self.prior is None else self.prior.arrays()
        return self.weights | {f"prior.{name}": array for name, array in counts.items()}

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """The inverse of `settings` and `arrays`; ValueError or KeyError if they are not of such a network."""
        counts = under("prior.", arrays)
        weights = {name: array for name, array in arrays.items() if not name.startswith("prior.")}
        prior = None if settings["prior"] is None else restore_prior(settings["prior"], counts)
        config = stored_config(cls.Config, settings["config"])
        check_sizes(config, weights)  # before a network of absurd sizes is built
        model = cls(config, int(settings["vocabulary_size"]), weights, prior)
        if prior is not None and prior.vocabulary_size != model.vocabulary_size:
            raise ValueError("the network and its counts differ in vocabulary")
        model.check()
        return model

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError or KeyError if the weights are not those of such a network."""


class NeuralReader:
    """The tokens of many lines so far (see `contract.Reader`)."""

    def __init__(self, model: NeuralModel, lines: int) -> None:
        self._model = model
        self._tokens = np.zeros((lines, 0), np.int64)
        self._prior = None if model.prior is None else model.prior.reader(lines)

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        self._tokens = np.column_stack([self._tokens, tokens])
        if self._model.own_context is not None:  # what no longer matters to the network is forgotten
            self._tokens = self._tokens[:, -max(1, self._model.own_context) :]
        prior = None if self._prior is None else self._prior.read(tokens)
        return log_softmax(self._model.next_logits(self._tokens, prior))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._tokens = self._tokens[rows]
        if self._prior is not None:
            self._prior.keep(rows)
