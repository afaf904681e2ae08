"""What a network in NumPy does not know of the shape of a line: its length and the pattern of classes so far.

A window of six letters shows neither, and what a network starts from may know it, but is scaled by what the network
sees. So factors of the classes are fitted to what the network says at some positions of its training
text, whenever it is to be judged.

    B lines · T positions of a line · K classes · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from ..softmax import log_softmax
from .automaton import Shape
from .fitting import fitted_shape

FITTED = 1 << 13
"""A shape is fitted to lines of about so many tokens in all."""
_NUMBERS = 1 << 21
"""But to no more probabilities than these."""
_CELLS_AT_ONCE = 1 << 11


class Network(Protocol):
    """What is asked of a network: logits (B, T, V) of tokens (B, T) and the prior's rows (B, T, V), if any."""

    vocabulary_size: int

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel.logits`."""
        ...


class ShapesOfLines:
    """Every k-th line of a stream `0 line 0 line 0`, and the classes (V,) of its tokens."""

    def __init__(self, stream: np.ndarray, classes: np.ndarray) -> None:
        self._classes, self._of_classes = classes, np.eye(int(classes.max()) + 1)[classes]  # (V, K)
        ends = np.flatnonzero(stream == 0)
        every = -(-(len(stream) - 1) // max(1, min(FITTED, _NUMBERS // len(classes))))
        self._starts, self._lengths = ends[:-1][::every], np.diff(ends)[::every]
        # Where each position of these lines is in the stream, and where each line begins among these positions.
        self._begins = np.cumsum(self._lengths) - self._lengths
        offsets = np.repeat(self._starts - self._begins, self._lengths)
        self._places = np.arange(int(self._lengths.sum())) + offsets
        self._stream = stream
        self._some = np.concatenate([stream[:1], stream[self._places + 1]])

    def fitted_to(self, network: Network, rows_at: Callable[[np.ndarray], np.ndarray | None]) -> Shape | None:
        """Fit a shape to a network, None if none is better. `rows_at` gives what its prior says at places (N,)."""
        chances = np.empty((len(self._places), self._of_classes.shape[1]))
        for lines in self._batches():
            width = int(self._lengths[lines].max())
            inside = np.arange(width) < self._lengths[lines][:, None]
            places = np.where(inside, self._starts[lines][:, None] + np.arange(width), self._starts[lines][:, None])
            rows = rows_at(places.ravel())
            prior = None if rows is None else rows.reshape(*places.shape, -1)
            logits = network.logits(self._stream[places].astype(np.int64), prior)
            where = (self._begins[lines][:, None] + np.arange(width))[inside]
            chances[where] = np.exp(log_softmax(logits[inside])) @ self._of_classes
        return fitted_shape(self._some, self._classes, chances) if np.isfinite(chances).all() else None

    def _batches(self) -> Iterator[np.ndarray]:
        """Number some lines of like length at a time."""
        order = np.argsort(self._lengths, kind="stable")
        start = 0
        while start < len(order):
            cells = np.arange(1, len(order) - start + 1) * self._lengths[order[start:]]
            stop = start + max(1, int(np.searchsorted(cells, _CELLS_AT_ONCE, side="right")))
            yield order[start:stop]
            start = stop
