"""The last layer: from what a network remembers to logits, and the loss with its gradients.

With a prior, the logits are scale · log p_counts + what the network adds; the scale is one output more.

    N tokens of a batch · H hidden · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ...weights import Weights
from .memory import Memory


class LastLayer:
    """Linear, softmax and cross-entropy. Arrays have a token of the batch in each column, so that sums over the
    vocabulary add up whole rows.

    Args:
        weights: `out.weight` (V, H) and `out.bias` (V,), with a prior `trust.weight` (H,) and `trust.bias` ().
        gradients: arrays of the same names and shapes, in which `backward` writes.
    """

    def __init__(self, weights: Weights, gradients: Weights) -> None:
        self._w, self._d = weights, gradients
        (self._size, hidden), real = weights["out.weight"].shape, weights["out.weight"].dtype
        self._weighs = "trust.weight" in weights
        self._all, self._d_all = np.empty((2, self._size + self._weighs, hidden), real)
        self._memory = Memory(real)

    def loss(self, features: np.ndarray, targets: np.ndarray, prior: np.ndarray | None) -> float:
        """Mean nats per token of features (N, H) before targets: tokens (N,), or distributions (N, V), which may be
        zero at positions that do not count. `prior` (N, V) are log-probabilities."""
        w, size, number = self._w, self._size, len(features)
        self._features, self._targets = features, targets
        self._all[:size] = w["out.weight"]
        if self._weighs:
            self._all[size] = w["trust.weight"]
        self._outputs = np.matmul(self._all, features.T, out=self._memory.of("outputs", len(self._all), number))
        self._logits = logits = self._outputs[:size]
        logits += w["out.bias"][:, None]
        if self._weighs:
            assert prior is not None
            self._outputs[size] += w["trust.bias"]
            self._prior = self._memory.of("prior", size, number)
            self._prior[:] = prior.T
            self._added = self._memory.of("added", size, number)
            logits += np.multiply(self._prior, self._outputs[size], out=self._added)
        logits -= logits.max(axis=0)  # softmax stays the same, and no exponential is too large
        if targets.ndim > 1:
            right = (logits * targets.T).sum(axis=0)
            self._counting = targets.sum(axis=1)
        else:
            right = logits[targets, np.arange(number)]
            self._counting = np.ones(number, logits.dtype)
        np.exp(logits, out=logits)
        self._total = logits.sum(axis=0)
        loss = self._counting * np.log(self._total) - right
        return float(loss.sum(dtype=np.float64) / self._counting.sum(dtype=np.float64))

    def backward(self, d_features: np.ndarray) -> None:
        """Write the gradients of that loss, that of the features into `d_features` (N, H)."""
        d, size, d_logits = self._d, self._size, self._logits
        # softmax and cross-entropy together: the probabilities, less 1 for the right token, in a mean over N
        d_logits *= self._counting / self._total
        if self._targets.ndim > 1:
            d_logits -= self._targets.T
        else:
            d_logits[self._targets, np.arange(len(self._targets))] -= 1.0
        d_logits *= 1.0 / self._counting.sum()
        np.sum(d_logits, axis=1, out=d["out.bias"])
        if self._weighs:  # logits = ... + scale · prior, so the scale has the sum of d_logits · prior
            np.multiply(d_logits, self._prior, out=self._added)
            np.sum(self._added, axis=0, out=self._outputs[size])
            np.sum(self._outputs[size], axis=0, out=d["trust.bias"])
        np.matmul(self._outputs, self._features, out=self._d_all)
        d["out.weight"][:] = self._d_all[:size]
        if self._weighs:
            d["trust.weight"][:] = self._d_all[size]
        np.matmul(self._outputs.T, self._all, out=d_features)
