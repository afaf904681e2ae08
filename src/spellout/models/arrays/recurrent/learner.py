"""A gru in training. An example is a line: a step reads some from their boundary to their end.

N tokens of a batch · V vocabulary · P all weights together
"""

from __future__ import annotations

import numpy as np

from ....errors import UsageError
from ...candidates import MANY_TOKENS
from ...counts.priors import Prior
from ...weights import views
from ..blas import one_thread
from ..dropout import kept
from ..network import GradientLearner
from .gru import GruArrays, GruConfig
from .model import GruModel
from .packed import Lines


class GruLearner(GradientLearner):
    """Trains a gru on every line of a stream.

    With `soft_targets`, probabilities (positions, V), it learns what a teacher says there, not the token that came.
    """

    def __init__(
        self,
        stream: np.ndarray,
        vocabulary_size: int,
        config: GruConfig,
        prior: Prior | None,
        seed: int,
        soft_targets: np.ndarray | None = None,
    ) -> None:
        if vocabulary_size > MANY_TOKENS:
            raise UsageError(
                f"gru-numpy: {vocabulary_size:,} different tokens are too many for it, at most {MANY_TOKENS:,}; "
                "use mlp, or gru, which needs PyTorch"
            )
        self._lines = Lines(stream)
        super().__init__(GruModel, stream, vocabulary_size, config, prior, seed, examples=len(self._lines))
        self._seed, self._stream = seed, stream  # in as few bytes as it has
        self._soft_targets = soft_targets
        self._gradient = np.zeros_like(self._parameters.array)
        weights, gradients = (views(flat, self._shapes) for flat in (self._parameters.array, self._gradient))
        self._arrays = GruArrays(weights, gradients)

    def gradient(self, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss over the tokens of some lines, and its gradient (P,)."""
        batch = self._lines.packed(chosen)
        if self._soft_targets is None:
            targets = self._stream[batch.positions + 1].astype(np.int64)
        else:
            targets = self._soft_targets[batch.positions].astype(np.float32)
            # Kept in float16, they add up to nearly one; where nothing counts, to zero.
            targets /= np.maximum(targets.sum(axis=1, keepdims=True), 1e-6)
        prior = None if self._left_out is None else self._left_out.at(batch.positions)
        shape = len(batch.positions), self._arrays.hidden
        keep = kept(self._config.dropout, shape, self._seed, self._parameters.steps, 0)
        with one_thread(), np.errstate(all="ignore"):  # what is not finite is noticed at the end
            tokens = self._stream[batch.positions].astype(np.int64)
            loss = self._arrays.loss(batch, tokens, targets, prior, keep)
            self._arrays.backward()
        return loss, self._gradient
