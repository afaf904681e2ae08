"""What a model says of held-out lines with other rows of its counts, and which gates are best for them.

Whatever a network makes of its prior, logits are a + b · rows, with a and b its own at every position: so it is run
twice, and then never again.

    N positions · K views · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...generation.scoring import at_once, batches
from ...models.contract import LanguageModel
from ...models.counts.gates import gates, scales
from ...models.counts.model import CountsModel
from ...models.counts.past import Past
from ...models.counts.priors import Prior
from ...models.neural import NeuralModel
from ...models.ngram.model import NgramModel
from ...models.shape.automaton import Shape
from ...models.weights import Weights

SCALES = {"always": 2e-3}
ALL = {"always": 1e-3, "bias": 0.05, "place": 0.05, "last": 0.05, "second": 0.05}
"""Which weights are fitted, and how strongly they are pulled to what they were: few positions must not move many
weights far."""
_FAST, _SLOW = 0.9, 0.98


@dataclass
class Judged:
    """Positions of held-out lines.

    Attributes:
        past: what was read there.
        targets: (N,) what came.
        base, trust: (N, V) and (N, 1) float32, a and b.
        beside: (N, V) or 0, what the shape of lines says beside the views.
        gates: what chooses the views' scales.
    """

    past: Past
    targets: np.ndarray
    base: np.ndarray
    trust: np.ndarray
    beside: np.ndarray | float
    gates: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: LanguageModel, prior: Prior, stream: np.ndarray) -> Judged:
        """Judge by a stream `0 line 0 line 0` that the counts do not know."""
        tokens, size = stream.astype(np.int64), model.vocabulary_size
        past = Past.of(tokens)[:-1]
        base, trust = np.zeros((1, size), np.float32), np.ones((1, 1), np.float32)
        if isinstance(model, NeuralModel):
            base, trust = _network(model, tokens)
            base = base + _said(getattr(model, "shape", None), tokens)
        beside = _said(prior.shape, tokens)
        return cls(past, tokens[1:], base, trust, beside, gates(past, size))

    def rows(self, model: NgramModel, columns: tuple[str, ...], classes: np.ndarray) -> np.ndarray:
        """Give what a view says, (N, V) float32."""
        found: np.ndarray = model.rows(self.past.columns(columns or ("c1",), classes))
        return found.astype(np.float32)

    def mixed(self, rows: np.ndarray, weights: Weights | None) -> np.ndarray:
        """Give the prior's logits (N, V) from its views' rows (N, K, V)."""
        if weights is None:
            return rows[:, 0] + self.beside
        scale = scales(weights, self.gates).astype(np.float32)
        found: np.ndarray = (scale[:, None] @ rows)[:, 0]
        return found + weights["bias"].astype(np.float32) + self.beside

    def scale(self, weights: Weights | None, view: int) -> np.ndarray:
        """Say how much one view counts at every position, (N, 1)."""
        if weights is None:
            return np.ones((1, 1), np.float32)
        total = weights["always"][view] + sum(weights[name][where, view] for name, where in self.gates.items())
        return np.asarray(total, np.float32)[:, None]

    def loss(self, mixed: np.ndarray) -> float:
        """Give the nats per token if the prior's logits (N, V) are these."""
        logits = self.base + self.trust * _log_softmax(mixed)
        return -float(_log_softmax(logits)[np.arange(len(logits)), self.targets].mean())

    def fitted(
        self, rows: np.ndarray, weights: Weights, was: Weights, pulled: dict[str, float], steps: int, rate: float
    ) -> Weights:
        """Move the mixer's weights to where the loss is lower, not far from where they were, by Adam."""
        weights = {name: array.astype(np.float64) for name, array in weights.items()}
        first, second = ({name: np.zeros_like(array) for name, array in weights.items()} for _ in range(2))
        for step in range(1, steps + 1):
            gradient = self._gradient(rows, weights)
            for name, pull in pulled.items():
                one = gradient[name] + pull * (weights[name] - was[name])
                first[name] = _FAST * first[name] + (1 - _FAST) * one
                second[name] = _SLOW * second[name] + (1 - _SLOW) * one**2
                size = np.sqrt(second[name] / (1 - _SLOW**step)) + 1e-4
                weights[name] -= rate * (1 - (step - 1) / steps) * first[name] / (1 - _FAST**step) / size
        return weights

    def _gradient(self, rows: np.ndarray, weights: Weights) -> Weights:
        prior = _log_softmax(self.mixed(rows, weights))
        d_logits = np.exp(_log_softmax(self.base + self.trust * prior))
        d_logits[np.arange(len(d_logits)), self.targets] -= 1.0
        d_logits *= self.trust / len(d_logits)
        d_mixed = d_logits - np.exp(prior) * d_logits.sum(axis=1, keepdims=True)
        d_scales = (rows @ d_mixed[:, :, None])[:, :, 0]  # (N, K)
        found = {"always": d_scales.sum(axis=0), "bias": d_mixed.sum(axis=0)}
        for name, where in self.gates.items():
            found[name] = np.zeros(weights[name].shape)
            np.add.at(found[name], where, d_scales)
        return {name: array.astype(np.float64) for name, array in found.items()}


def _network(model: NeuralModel, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a and b, (N, V) and (N, 1), at the positions of a stream."""
    size, starts = model.vocabulary_size, np.flatnonzero(stream == 0)
    base, trust = np.empty((len(stream) - 1, size), np.float32), np.empty((len(stream) - 1, 1), np.float32)
    for lines, tokens, _, lengths in batches(stream, at_once(size)):
        inside = np.arange(tokens.shape[1]) < lengths[:, None]
        places = (starts[lines][:, None] + np.arange(tokens.shape[1]))[inside]
        nothing, one = (model.logits(tokens, np.full((*tokens.shape, size), number)) for number in (0.0, 1.0))
        base[places], trust[places] = nothing[inside], (one - nothing)[inside][:, :1]
    return base, trust


def _said(shape: Shape | None, tokens: np.ndarray) -> np.ndarray | float:
    if shape is None:
        return 0.0
    return shape.of_tokens(shape.states_of(tokens)[:-1], logarithms=True).astype(np.float32)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def views_of(prior: Prior) -> list[tuple[NgramModel, tuple[str, ...]]]:
    """List the n-gram models of a prior, and what their contexts are made of."""
    if isinstance(prior, CountsModel):
        return [(model, view.columns) for model, view in zip(prior.models, prior.views, strict=True)]
    return [(prior, tuple(f"c{back}" for back in range(1, prior.order)))]
