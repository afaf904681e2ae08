"""mlp in NumPy: many windows at once, and the backward pass written by hand, as in the course's fourth lecture.

Bengio et al. 2003, "A Neural Probabilistic Language Model"; the formula for one window is in `scalars/mlp.py`.
Forward, every line computes a matrix for all windows; backward, the lines come in the opposite order, and each
turns the gradient of what it made into the gradients of what it was made of. Where a matrix was multiplied by
another one, its gradient is multiplied by the other one transposed; where one number went to many places, its
gradient is the sum of theirs.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import UsageError
from ..ngram.counts import Columns, context_columns, first_of_line
from ..ranges import Context, Dropout, Embedding, Hidden, Tied, WeightDecay
from ..weights import Shapes, Weights
from .first_layer import first_layer

MOST_MEMBERS = 256


@dataclass(frozen=True, kw_only=True)
class MlpConfig:
    """The settings of an mlp."""

    hidden: Hidden = 128
    """Units of the hidden layer."""
    context: Context = 6
    """How many of the last tokens it sees."""
    embedding: Embedding = 24
    """Numbers of a token's vector."""
    batch: int = 1024
    """Positions a step learns from."""
    lr: float = 6e-3
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.05
    """How much AdamW shrinks the weights."""
    dropout: Dropout = 0.0
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    tied: Tied = "no"
    """yes: the vectors of the tokens also give their logits (Press & Wolf 2017); for large vocabularies."""
    members: int = 1
    """So many networks learn side by side and answer together: slower, better."""
    first: Literal["no", "yes"] = "no"
    """yes: beside the last tokens it sees the line's first one, as where that is a label."""

    @property
    def columns(self) -> int:
        """Say how many tokens it sees."""
        return self.context + (self.first == "yes")

    def __post_init__(self) -> None:
        for name in ("hidden", "context", "embedding", "batch", "members"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: an mlp needs at least 1")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout:g}: must be at least 0 and below 1")
        if self.members > MOST_MEMBERS:
            raise UsageError(f"members={self.members}: at most {MOST_MEMBERS} networks learn side by side")


def window_columns(tokens: np.ndarray, config: MlpConfig) -> Columns:
    """Give what it sees at every position of `tokens` (..., T): the last ones, the newest first, then the first."""
    columns = context_columns(tokens, config.context)
    return columns if config.first == "no" else [*columns, first_of_line(tokens)]


def shapes(config: MlpConfig, vocabulary_size: int, prior: bool) -> Shapes:
    """The weights of each member; with a prior, also those that weigh it."""
    shapes: Shapes = {}
    for member in range(config.members):
        shapes |= {
            f"{member}.embedding": (vocabulary_size, config.embedding),
            f"{member}.hidden.weight": (config.hidden, config.columns * config.embedding),
            f"{member}.hidden.bias": (config.hidden,),
        }
        if config.tied == "yes":
            shapes |= {
                f"{member}.project.weight": (config.embedding, config.hidden),
                f"{member}.project.bias": (config.embedding,),
            }
        else:
            shapes |= {f"{member}.out.weight": (vocabulary_size, config.hidden)}
        shapes |= {f"{member}.out.bias": (vocabulary_size,)}
        if prior:
            features = config.embedding if config.tied == "yes" else config.hidden
            shapes |= {f"{member}.prior.weight": (features,), f"{member}.prior.bias": ()}
    return shapes


def start(config: MlpConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
    """Kaiming's gain for tanh, 5/3, in the hidden layer, and zeros in the last: the first loss is ln V.

    A prior counts once, whatever the hidden units say: the first loss is the prior's.
    """
    weights = {name: np.zeros(shape) for name, shape in shapes(config, vocabulary_size, prior).items()}
    # Over the root of the number of inputs, a sum of them is as large as one; 5/3 makes up for what tanh takes.
    inputs = config.columns * config.embedding
    for member in range(config.members):
        weights[f"{member}.embedding"] = random.standard_normal((vocabulary_size, config.embedding))
        hidden = random.standard_normal((config.hidden, inputs))
        weights[f"{member}.hidden.weight"] = hidden * (5 / 3) / np.sqrt(inputs)
        if config.tied == "yes":
            weights[f"{member}.embedding"] /= np.sqrt(config.embedding)  # logits are sums of so many products
            project = random.standard_normal((config.embedding, config.hidden))
            weights[f"{member}.project.weight"] = project / np.sqrt(config.hidden)
        if prior:
            weights[f"{member}.prior.bias"] = np.ones(())
    return weights


def untied(weights: Weights) -> Weights:
    """Give the arrays that a network runs on: of tied vectors two, what is read and what gives the logits."""
    if "out.weight" in weights:
        return weights
    embedding = weights["embedding"]
    return weights | {"embedding": embedding * scale(weights), "out.weight": embedding}


def scale(weights: Weights) -> np.floating:
    """Say how many times as large tied vectors (V, E) are when they are read: sqrt(E), for a deviation of 1."""
    embedding = weights["embedding"]
    factor: np.floating = embedding.dtype.type(embedding.shape[1] ** 0.5)
    return factor


class MlpArrays:
    """One network on batches of N windows. What a step needs is allocated once, and overwritten by the next.

    Args:
        weights: the arrays of one member, by name.
        gradients: arrays of the same names and shapes, in which `backward` writes; all are of one float type.
        windows: N, how many windows a batch has.

    Attributes:
        before: what tanh was given, (N, H), after `loss`; `backward` puts its gradient there.
        hidden: what tanh made of it, (N, H).
        d_hidden: the gradient of the loss with respect to `hidden`, (N, H), after `backward`.
    """

    def __init__(self, weights: Weights, gradients: Weights, windows: int) -> None:
        self._weights, self._gradients = weights, gradients
        self._first = first_layer(weights, gradients, windows)
        (vocabulary, features), hidden = weights["out.weight"].shape, len(weights["hidden.weight"])
        outputs, real = vocabulary + ("prior.weight" in weights), weights["out.weight"].dtype
        self._columns = np.arange(windows)
        # Logits have a window in each column, so that sums over the vocabulary add up whole rows.
        self.before, self.hidden, self.d_hidden = np.empty((3, windows, hidden), real)
        self._last, self._d_last = np.empty((2, outputs, features), real)
        self._outputs = np.empty((outputs, windows), real)
        self._logits = self._outputs[:vocabulary]
        self._prior, self._added = np.empty((2, vocabulary if outputs > vocabulary else 0, windows), real)

    def loss(
        self,
        windows: np.ndarray,
        targets: np.ndarray,
        prior: np.ndarray | None,
        kept: np.ndarray | None = None,
        correction: np.ndarray | None = None,
    ) -> float:
        """Mean nats per token of windows (N, C), the newest token first, that are followed by targets: tokens (N,),
        or distributions (N, V).

        `prior` (N, V) are log-probabilities to start from. `kept` (N, H) is by how much dropout multiplies each
        hidden number. If the tokens are candidates for a larger vocabulary, `correction` (V,) is added to the
        logits of all but the targets.
        """
        w, outputs, logits = self._weights, self._outputs, self._logits
        self._targets, self._kept, size = targets, kept, len(logits)
        self._first.forward(windows, self.before)  # (N, H)
        np.tanh(self.before, out=self.hidden)
        self._given = self.hidden if kept is None else self.hidden * kept
        if "project.weight" in w:
            self._features = self._given @ w["project.weight"].T + w["project.bias"]  # (N, H) to (N, E)
        else:
            self._features = self._given
        self._last[:size] = w["out.weight"]
        if prior is not None:
            self._last[size] = w["prior.weight"]  # how much the prior counts is one output more
        np.matmul(self._last, self._features.T, out=outputs)  # (V, N), a window in each column
        logits += w["out.bias"][:, None]
        if prior is not None:
            outputs[size] += w["prior.bias"]
            self._prior[:] = prior.T
            logits += np.multiply(self._prior, outputs[size], out=self._added)
        if correction is not None:
            own = logits[targets, self._columns]
            logits += correction[:, None]
            logits[targets, self._columns] = own
        logits -= logits.max(axis=0)  # softmax stays the same, and no exponential is too large
        soft = targets.ndim > 1
        right = (logits * targets.T).sum(axis=0) if soft else logits[targets, self._columns]  # (N,)
        np.exp(logits, out=logits)
        self._total = logits.sum(axis=0)
        return float((np.log(self._total) - right).mean(dtype=np.float64))

    def backward(self) -> None:
        """The gradients of that loss."""
        d, hidden = self._gradients, self.hidden
        # Gradients take the place of what they are gradients of, once that is no longer needed.
        d_outputs, d_logits, size = self._outputs, self._logits, len(self._logits)
        # softmax and cross-entropy together: the probabilities, less 1 for the right token, in a mean over N
        d_logits /= self._total
        if self._targets.ndim > 1:
            d_logits -= self._targets.T
        else:
            d_logits[self._targets, self._columns] -= 1.0
        d_logits *= 1.0 / len(hidden)
        np.sum(d_logits, axis=1, out=d["out.bias"])
        if len(d_outputs) > size:  # logits = ... + scale · prior, so the scale has the sum of d_logits · prior
            np.multiply(d_logits, self._prior, out=self._added)
            np.sum(self._added, axis=0, out=d_outputs[size])
            np.sum(d_outputs[size], axis=0, out=d["prior.bias"])
        np.matmul(d_outputs, self._features, out=self._d_last)  # (V, H)
        d["out.weight"][:] = self._d_last[:size]
        if len(d_outputs) > size:
            d["prior.weight"][:] = self._d_last[size]
        if "project.weight" in d:
            d_features = d_outputs.T @ self._last  # (N, E)
            np.matmul(d_features.T, self._given, out=d["project.weight"])
            np.sum(d_features, axis=0, out=d["project.bias"])
            np.matmul(d_features, self._weights["project.weight"], out=self.d_hidden)
        else:
            np.matmul(d_outputs.T, self._last, out=self.d_hidden)  # (N, H)
        if self._kept is not None:
            self.d_hidden *= self._kept
        # tanh' = 1 - tanh²
        d_before = np.multiply(hidden, hidden, out=self.before)
        np.subtract(1.0, d_before, out=d_before)
        d_before *= self.d_hidden
        self._first.backward(d_before)
