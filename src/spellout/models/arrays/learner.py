"""An mlp in training, and a trained one: the network of `mlp.py` behind the contracts.

N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..counts.left_out import left_out
from ..counts.priors import Prior
from ..inspection import Activations, Inside
from ..ngram.counts import Columns
from ..weights import Weights, views
from . import mlp
from .blas import one_thread
from .dropout import kept
from .exact import ExactLinear
from .mlp import MlpArrays, MlpConfig, scale, untied, window_columns
from .network import GradientLearner, WindowModel, member_of

_WINDOWS_AT_ONCE = 512  # what is worked out for them stays in the fast cache
_LARGEST_TABLES = 1 << 19  # numbers


class MlpModel(WindowModel):
    """The trained network."""

    Config = MlpConfig
    shapes, start = staticmethod(mlp.shapes), staticmethod(mlp.start)
    bounded = True  # tanh is between -1 and 1

    @property
    def own_context(self) -> int | None:
        """Say how many last tokens it sees; with the first one, it has to know the whole line."""
        return None if self.config.first == "yes" else super().own_context

    def columns_of(self, tokens: np.ndarray) -> Columns:
        """Give what the network sees at every position, a column for each token."""
        return window_columns(tokens, self.config)

    def window_logits(self, windows: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """The mean of the members' logits: windows (N, C) and the prior's rows (N, V) to (N, V)."""
        logits = np.empty((len(windows), self.vocabulary_size))
        first, *others = self._exact_members
        with one_thread():
            for start in range(0, len(windows), _WINDOWS_AT_ONCE):
                piece = slice(start, start + _WINDOWS_AT_ONCE)
                rows = None if prior is None else prior[piece]
                logits[piece] = first.logits(windows[piece], rows)
                for member in others:
                    logits[piece] += member.logits(windows[piece], rows)
        if others:
            logits /= len(self._exact_members)
        return logits

    def token_vectors(self) -> np.ndarray:
        """The vectors (V, E) that stand for the tokens, of the first member."""
        return self.weights["0.embedding"]

    def inspect(self, stream: np.ndarray) -> Inside:
        """Activations and gradients of the loss on a stream `0 line 0 line 0`, of the first member, in float64.

        It is the loss that the network learns by, without the shape of lines.
        """
        own = member_of(self.weights, 0)
        weights = untied({name: array.astype(np.float64) for name, array in own.items()})
        gradients = {name: np.empty_like(array) for name, array in weights.items()}
        windows = np.stack([one[:-1] for one in self.columns_of(stream.astype(np.int64))], axis=1)  # (N, C)
        prior = None if self.prior is None else left_out(self.prior, stream).at(np.arange(len(windows)))
        network = MlpArrays(weights, gradients, len(windows))
        network.loss(windows, stream[1:].astype(np.int64), prior)
        before = network.before.copy()
        network.backward()
        layer = Activations("layer 1, tanh", before, network.hidden, network.d_hidden, True)
        if self.config.tied == "yes":
            gradients["embedding"] = gradients["embedding"] * scale(own) + gradients["out.weight"]
        return Inside([layer], {name: gradients[name] for name, array in own.items() if array.ndim == 2})

    @cached_property  # made when it is first run: a model in training is often only saved
    def _exact_members(self) -> list[_Member]:
        return [_Member(member_of(self.weights, member)) for member in range(self.config.members)]


class _Member:
    """One network, run so that a window's logits do not depend on those beside it (see `exact.py`)."""

    def __init__(self, weights: Weights) -> None:
        weights = untied(weights)
        embedding = weights["embedding"]
        self._first = ExactLinear(
            weights["hidden.weight"], weights["hidden.bias"], float(np.abs(embedding).max(initial=0.0))
        )
        self._embedding = self._first.whole(embedding)  # (V, E)
        # What a token adds at a place of the window is the same every time, and looked up if there is room for it.
        numbers = len(embedding) * weights["hidden.weight"].size // embedding.shape[1]
        self._tables = self._first.tables(self._embedding) if numbers <= _LARGEST_TABLES else None  # (C, V, H)
        out, bias = weights["out.weight"], weights["out.bias"]
        if "prior.weight" in weights:  # how much the prior counts: one output more
            out = np.vstack([out, weights["prior.weight"]])
            bias = np.append(bias, weights["prior.bias"])
        self._project: ExactLinear | None = None
        largest = 1.0  # tanh is at most 1
        if "project.weight" in weights:
            project, added = weights["project.weight"], weights["project.bias"]
            self._project = ExactLinear(project, added, largest)
            largest = float((np.abs(project).sum(axis=1) + np.abs(added)).max())
        self._last = ExactLinear(out, bias, largest)

    def logits(self, windows: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Windows (N, C) and the prior's rows (N, V) to logits (N, V)."""
        hidden = self._before(windows)  # (N, H)
        # Rounding also takes away what the last bits of tanh differ by between processors.
        features = np.tanh(hidden, out=hidden)
        if self._project is not None:
            features = self._project(self._project.whole(features))  # (N, H) to (N, E)
        outputs = self._last(self._last.whole(features))  # (N, V), and the prior's scale
        if prior is None:
            return outputs
        logits: np.ndarray = outputs[:, :-1] + outputs[:, -1:] * prior
        return logits

    def _before(self, windows: np.ndarray) -> np.ndarray:
        """What tanh is given, (N, H): the same bits both ways, as no sum is rounded."""
        if self._tables is None:
            return self._first(self._embedding[windows].reshape(len(windows), -1))
        before: np.ndarray = np.take(self._tables[0], windows[:, 0], axis=0)
        added = np.empty_like(before)
        for place in range(1, windows.shape[1]):
            before += np.take(self._tables[place], windows[:, place], axis=0, out=added, mode="clip")
        return before


class MlpLearner(GradientLearner):
    """Trains an mlp on every position of a stream.

    With `soft_targets`, probabilities (positions, V), it learns what a teacher says there, not the token that came.
    With the `classes` (V,) of the tokens, the network knows the shapes of lines, too.
    """

    def __init__(
        self,
        stream: np.ndarray,
        vocabulary_size: int,
        config: MlpConfig,
        prior: Prior | None,
        seed: int,
        soft_targets: np.ndarray | None = None,
        classes: np.ndarray | None = None,
    ) -> None:
        examples = len(stream) - 1
        super().__init__(MlpModel, stream, vocabulary_size, config, prior, seed, examples, classes)
        self._seed = seed
        self._gradient = np.zeros_like(self._parameters.array)
        self._members: list[MlpArrays] = []
        self._made_for = 0  # so many windows, as a batch may be of any size
        columns = window_columns(stream, config)
        self._windows = np.stack([column[:-1] for column in columns], axis=1)  # (examples, C), in few bytes
        self._targets = stream[1:] if soft_targets is None else soft_targets

    def gradient(self, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss of the members over some positions, and the gradient (P,) of the sum of their losses."""
        windows, targets = self._windows[chosen].astype(np.int64), self._targets[chosen]
        if targets.ndim > 1:
            targets = targets.astype(np.float32)
            targets /= targets.sum(axis=1, keepdims=True)  # kept in float16, they add up to nearly one
        else:
            targets = targets.astype(np.int64)
        prior = None if self._left_out is None else self._left_out.at(chosen)
        losses = []
        with one_thread(), np.errstate(all="ignore"):  # what is not finite is noticed at the end
            for number, member in enumerate(self._members_for(len(chosen))):
                shape = member.hidden.shape
                keep = kept(self._config.dropout, shape, self._seed, self._parameters.steps, number)
                losses.append(member.loss(windows, targets, prior, keep))
                member.backward()
        return sum(losses) / len(losses), self._gradient

    def _members_for(self, windows: int) -> list[MlpArrays]:
        if windows != self._made_for:
            weights, gradients = (views(flat, self._shapes) for flat in (self._parameters.array, self._gradient))
            self._members = [
                MlpArrays(member_of(weights, member), member_of(gradients, member), windows)
                for member in range(self._config.members)
            ]
            self._made_for = windows
        return self._members
