"""Networks of a window, written in scalars: a family's formula for one position becomes a model and a learner.

`bigram.py` and `mlp.py` have such a formula. The mlp is trained and run in NumPy (`mlp_learner.py`); as a program,
it is what that is compared with.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.functions import mean, sum
from ...autograd.value import Value
from ...nn.losses import cross_entropy
from ...programs.program import Program
from ...programs.recording import trace
from ..arrays.windows import WindowModel
from ..contract import LanguageModel
from ..ngram.counts import context_columns
from ..ngram.leave_one_out import LeaveOneOut
from ..ngram.model import NgramModel
from ..parameters import Parameters, Weights, flatten
from .scalar import Values, values_of

if TYPE_CHECKING:
    from ...programs.lanes import Lanes  # Numba is imported when a network is first run, not before


class ScalarWindowModel(WindowModel):
    """A network of a window that is run as a program."""

    def __init__(
        self, config: Any, vocabulary_size: int, weights: Weights, prior: NgramModel | None = None
    ) -> None:
        super().__init__(config, vocabulary_size, weights, prior)
        self._lanes: Lanes | None = None

    @staticmethod
    @abstractmethod
    def formula(weights: Values, context: list[Any], prior: list[Value] | None) -> list[list[Value]]:
        """V logits of what follows `context` (k tokens, the newest first), from each member of the model.

        Members learn side by side, each from its own loss; together they answer with the mean of their logits.
        `prior` are V log-probabilities to start from, if there are any.
        """

    def window_logits(self, windows: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `WindowModel`."""
        if self._lanes is None:
            from ...programs.lanes import Lanes

            family, learned = type(self), self.prior is not None
            self._lanes = Lanes(_logits(family, self.config, self.vocabulary_size, learned))
            shapes = family.shapes(self.config, self.vocabulary_size, learned)
            self._lanes.weights[:] = flatten(self.weights, shapes)
        floats = np.zeros((0, 0)) if prior is None else prior.T.astype(np.float64, copy=False)
        logits: np.ndarray = self._lanes.forward(floats, np.ascontiguousarray(windows.T)).T
        return logits


class ScalarWindowLearner:
    """Trains such a network on every position of a stream (see `learner.Learner`)."""

    def __init__(
        self,
        family: type[ScalarWindowModel],
        stream: np.ndarray,
        vocabulary_size: int,
        config: Any,
        prior: NgramModel | None,
        seed: int,
    ) -> None:
        from ...programs.lanes import Lanes

        self.examples = len(stream) - 1
        self._members = getattr(config, "members", 1)
        self.batch = min(config.batch, self.examples)
        self.lr = config.lr
        self._family, self._config, self._vocabulary_size = family, config, vocabulary_size
        self._prior = prior
        learned = prior is not None
        self._lanes = Lanes(_loss(family, config, vocabulary_size, learned), np.float32)
        random = np.random.Generator(np.random.Philox(seed))
        weights = family.start(config, vocabulary_size, random, learned)
        shapes = family.shapes(config, vocabulary_size, learned)
        self._parameters = Parameters(weights, shapes, config.weight_decay)
        contexts = context_columns(stream, config.context)
        self._tokens = np.stack([*[column[:-1] for column in contexts], stream[1:]])
        self._left_out = LeaveOneOut(prior, stream) if prior else None

    def gradient(self, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss of the members over some positions, and the gradient (P,) of the sum of their losses."""
        tokens = self._tokens[:, chosen].astype(np.int64)
        prior = np.zeros((0, 0), np.float32)
        if self._left_out:
            prior = self._left_out.at(chosen).T
        self._lanes.weights[:] = self._parameters.array
        results, gradient = self._lanes.backward(prior, tokens, 1.0 / len(chosen))
        return float(results.sum(dtype=np.float64)) / (len(chosen) * self._members), gradient

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """See `Learner`."""
        loss, gradient = self.gradient(chosen)
        return loss if np.isfinite(loss) and self._parameters.move(gradient, lr) else float("nan")

    @property
    def updates(self) -> dict[str, float]:
        """See `Learner`."""
        return self._parameters.updates

    def model(self) -> LanguageModel:
        """See `Learner`."""
        return self._family(self._config, self._vocabulary_size, self._parameters.weights(), self._prior)

    def state(self) -> Weights:
        """See `Learner`."""
        return self._parameters.state()

    def load_state(self, state: Weights) -> None:
        """See `Learner`."""
        self._parameters.load_state(state)


@cache
def _logits(family: type[ScalarWindowModel], config: Any, vocabulary_size: int, prior: bool) -> Program:
    """The program of all logits of one position."""
    values, flat = values_of(family.shapes(config, vocabulary_size, prior))

    def logits(context: list[Any], *prior: list[Value]) -> list[Value]:
        members = family.formula(values, context, prior[0] if prior else None)
        return members[0] if len(members) == 1 else [mean(column) for column in zip(*members, strict=True)]

    example = [[0] * config.context] + [[0.0] * vocabulary_size] * prior
    return trace(logits, *example, parameters=flat)


@cache
def _loss(family: type[ScalarWindowModel], config: Any, vocabulary_size: int, prior: bool) -> Program:
    """The program of the loss of one position, in nats."""
    values, flat = values_of(family.shapes(config, vocabulary_size, prior))

    def loss(context: list[Any], target: Any, *prior: list[Value]) -> Value:
        members = family.formula(values, context, prior[0] if prior else None)
        return sum([cross_entropy(logits, target) for logits in members])

    example = [[0] * config.context, 0] + [[0.0] * vocabulary_size] * prior
    return trace(loss, *example, parameters=flat)
