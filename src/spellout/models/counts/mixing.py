"""How much each view counts: the logits are a sum of the views' log-probabilities, each times a scale.

The scales depend on where one is: to those that always hold, others are added that are chosen by the place in the
line and by the last two tokens, as the gates of a PAQ compressor choose their weights (Mahoney 2005, "Adaptive
weighing of context models for lossless data compression"; Knoll & de Freitas 2012, "A Machine Learning Perspective
on Predictive Coding with PAQ"). As the logits are linear in all of it, the loss is convex, and a few hundred steps
of AdamW find its lowest point from anywhere.

    N positions · K views · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..parameters import Parameters, Shapes, Weights, views
from .past import Past

PLACES = 32
"""Later places in a line count as the last of these."""
MOST_TOKENS = 256
"""Of so many tokens each can choose scales of its own; the others choose together."""
BATCH = 512
HIGHEST_LR = 1.5e-2
WAY = 2.5
"""Rate times steps: AdamW goes so far, whether in few steps or, with less noise, in many."""
WARMUP = 0.05


def mixing_shapes(number: int, vocabulary_size: int) -> Shapes:
    """The names and shapes of the weights for so many views."""
    tokens = min(vocabulary_size, MOST_TOKENS)
    return {
        "always": (number,),
        "place": (PLACES, number),
        "last": (tokens, number),
        "second": (tokens, number),
        "bias": (vocabulary_size,),
    }


def gates(past: Past, vocabulary_size: int) -> dict[str, np.ndarray]:
    """What chooses the scales at every position, by the name of the weights, (N,) int64 each."""
    most = min(vocabulary_size, MOST_TOKENS) - 1
    last, second = (np.minimum(column, most).astype(np.int64) for column in past.recent[:2])
    return {"place": np.minimum(past.place, PLACES - 1).astype(np.int64), "last": last, "second": second}


def scales(weights: Weights, chosen: dict[str, np.ndarray]) -> np.ndarray:
    """How much each view counts at every position, (N, K)."""
    total: np.ndarray = weights["always"] + weights["place"][chosen["place"]]
    for name in ("last", "second"):
        total += weights[name][chosen[name]]
    return total


def learning_rate(step: int, steps: int) -> float:
    """The rate of one of so many steps: it rises, and falls to zero, in straight lines."""
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
        """Copies of the weights of now."""
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
