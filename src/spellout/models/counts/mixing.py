"""What learns how much each view counts (see `gates.py`): AdamW along the gradient of the mean loss.

As the logits are linear in all of the weights, the loss is convex, and a few hundred steps find its lowest point
from anywhere.

    N positions · K views · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..parameters import Parameters
from ..weights import Weights, views
from .gates import mixing_shapes, scales

BATCH = 512
HIGHEST_LR = 1.5e-2
WAY = 2.5
"""Rate times steps: AdamW goes so far, whether in few steps or, with less noise, in many."""
WARMUP = 0.05


def learning_rate(step: int, steps: int) -> float:
    """Give the rate of one of so many steps: it rises, and falls to zero, in straight lines."""
    progress = (step + 0.5) / steps
    return min(HIGHEST_LR, WAY / steps) * min(progress / WARMUP, (1.0 - progress) / (1.0 - WARMUP))


class Mixer:
    """The weights in training."""

    def __init__(self, number: int, vocabulary_size: int) -> None:
        self._shapes = mixing_shapes(number, vocabulary_size)
        weights = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        weights["always"] += 1.0 / number  # a geometric mean
        self._parameters = Parameters(weights, self._shapes, weight_decay=0.0)

    def weights(self) -> Weights:
        """Give copies of the weights of now."""
        return self._parameters.weights()

    def step(self, rows: list[np.ndarray], chosen: dict[str, np.ndarray], targets: np.ndarray, lr: float) -> float:
        """Move along the gradient of the mean loss at some positions, which is returned: K rows (N, V) of
        log-probabilities, what chooses the scales, and the targets (N,)."""
        w, gradient = views(self._parameters.array, self._shapes), np.zeros_like(self._parameters.array)
        d, scale = views(gradient, self._shapes), scales(w, chosen).T  # (K, N)
        logits = np.tile(w["bias"], (len(targets), 1))
        added = np.empty_like(logits)
        for view, row in zip(scale, rows, strict=True):
            logits += np.multiply(row, view[:, None], out=added)
        logits -= logits.max(axis=1, keepdims=True)
        places = np.arange(len(targets))
        right = logits[places, targets]
        d_logits = np.exp(logits, out=logits)
        total = d_logits.sum(axis=1)
        loss = float((np.log(total) - right).mean())
        d_logits /= total[:, None]
        d_logits[places, targets] -= 1.0
        d_logits *= 1.0 / len(targets)
        d_scale = np.stack([np.einsum("nv,nv->n", row, d_logits) for row in rows])  # (K, N)
        d["bias"][:] = d_logits.sum(axis=0)
        d["always"][:] = d_scale.sum(axis=1)
        for name, where in chosen.items():
            for number, one in enumerate(d_scale):
                d[name][:, number] = np.bincount(where, one, minlength=len(d[name]))
        self._parameters.move(gradient, lr)
        return loss
