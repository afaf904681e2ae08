"""mlp in NumPy: many windows at once, and the backward pass written by hand, as in the course's fourth lecture.

The formula is that of `mlp.py`. Forward, every line computes a matrix for all windows; backward, the lines come in
the opposite order, and each turns the gradient of what it made into the gradients of what it was made of. Where a
matrix was multiplied by another one, its gradient is multiplied by the other one transposed; where one number went
to many places, its gradient is the sum of theirs.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..parameters import Weights
from .first_layer import first_layer


class MlpArrays:
    """One network on batches of N windows. What a step needs is allocated once, and overwritten by the next.

    Args:
        weights: those of one member, by name, and
        gradients: where their gradients are written, in the same shapes; all of one float type.
        windows: N.

    Attributes:
        before: what tanh was given, (N, H), after `loss`; `backward` puts its gradient there.
        hidden: what tanh made, (N, H).
        d_hidden: the gradient of the loss with respect to that, (N, H), after `backward`.
    """

    def __init__(self, weights: Weights, gradients: Weights, windows: int) -> None:
        self._weights, self._gradients = weights, gradients
        self._first = first_layer(weights, gradients, windows)
        vocabulary, hidden = weights["out.weight"].shape
        outputs, real = vocabulary + ("prior.weight" in weights), weights["out.weight"].dtype
        self._columns = np.arange(windows)
        self.before, self.hidden, self.d_hidden = np.empty((3, windows, hidden), real)
        self._last, self._d_last = np.empty((2, outputs, hidden), real)
        self._outputs = np.empty((outputs, windows), real)
        self._logits = self._outputs[:vocabulary]
        self._prior, self._added = np.empty((2, vocabulary if outputs > vocabulary else 0, windows), real)

    def loss(self, windows: np.ndarray, targets: np.ndarray, prior: np.ndarray | None) -> float:
        """Mean nats per token of windows (N, C), the newest token first, that are followed by targets (N,).

        `prior` (N, V) are log-probabilities to start from.
        """
        w, outputs, logits = self._weights, self._outputs, self._logits
        self._targets, size = targets, len(logits)
        self._first.forward(windows, self.before)  # (N, H)
        np.tanh(self.before, out=self.hidden)
        self._last[:size] = w["out.weight"]
        if prior is not None:
            self._last[size] = w["prior.weight"]  # how much the prior counts is one output more
        np.matmul(self._last, self.hidden.T, out=outputs)  # (V, N), a window in each column
        logits += w["out.bias"][:, None]
        if prior is not None:
            outputs[size] += w["prior.bias"]
            self._prior[:] = prior.T
            logits += np.multiply(self._prior, outputs[size], out=self._added)
        logits -= logits.max(axis=0)  # softmax stays the same, and no exponential is too large
        right = logits[targets, self._columns]  # (N,)
        np.exp(logits, out=logits)
        self._total = logits.sum(axis=0)
        return float((np.log(self._total) - right).mean(dtype=np.float64))

    def backward(self) -> None:
        """The gradients of that loss."""
        d, hidden = self._gradients, self.hidden
        d_outputs, d_logits, size = self._outputs, self._logits, len(self._logits)
        # softmax and cross-entropy together: the probabilities, less 1 for the right token, in a mean over N
        d_logits /= self._total
        d_logits[self._targets, self._columns] -= 1.0
        d_logits *= 1.0 / len(hidden)
        np.sum(d_logits, axis=1, out=d["out.bias"])
        if len(d_outputs) > size:
            np.multiply(d_logits, self._prior, out=self._added)
            np.sum(self._added, axis=0, out=d_outputs[size])
            np.sum(d_outputs[size], axis=0, out=d["prior.bias"])
        np.matmul(d_outputs, hidden, out=self._d_last)  # (V, H)
        d["out.weight"][:] = self._d_last[:size]
        if len(d_outputs) > size:
            d["prior.weight"][:] = self._d_last[size]
        np.matmul(d_outputs.T, self._last, out=self.d_hidden)  # (N, H)
        # tanh' = 1 - tanh²
        d_before = np.multiply(hidden, hidden, out=self.before)
        np.subtract(1.0, d_before, out=d_before)
        d_before *= self.d_hidden
        self._first.backward(d_before)
