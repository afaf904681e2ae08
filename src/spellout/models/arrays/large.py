"""An mlp in training on a large vocabulary: a step costs what its own tokens cost, not what all V would.

A batch reads some thousand different tokens, and predicts some; the softmax is estimated from candidates
(`candidates.py`). The rows of these are taken out of the large matrices, and the network of `mlp.py` runs on them
as on a small vocabulary; then the rows are moved and put back. The trained network is the same as any mlp.

N windows · C context · E embedding · H hidden · V vocabulary · T candidates and targets · U tokens that are read
"""

from __future__ import annotations

import numpy as np

from ..candidates import Candidates
from ..ngram.leave_one_out import LeaveOneOut
from ..ngram.model import NgramModel
from ..parameters import Parts
from ..weights import Weights
from .blas import one_thread
from .dropout import kept
from .learner import MlpModel
from .mlp import MlpArrays, MlpConfig, scale, window_columns
from .network import ArrayLearner, member_of

_ROUND = 256
"""Memory is kept for as many rows as there are, rounded up, so that it is seldom asked for anew."""


class LargeMlpLearner(ArrayLearner):
    """Trains an mlp on every position of a stream."""

    def __init__(
        self, stream: np.ndarray, vocabulary_size: int, config: MlpConfig, prior: NgramModel | None, seed: int
    ) -> None:
        super().__init__(MlpModel, stream, vocabulary_size, config, prior, seed, examples=len(stream) - 1)
        self._seed = seed
        self._candidates = Candidates(stream, vocabulary_size, seed)
        columns = window_columns(stream, config)
        self._windows = np.stack([column[:-1] for column in columns], axis=1)  # (examples, C), in few bytes
        self._targets = stream[1:].astype(np.int64)
        self._networks: dict[tuple[int, int, int], tuple[MlpArrays, Weights, Weights]] = {}
        if prior is not None:
            return
        # At first, tokens are as likely as they are frequent: from equal chances, that alone would take an epoch.
        often = np.bincount(self._targets, minlength=vocabulary_size) + 0.5
        for member in range(config.members):
            self._parameters.views()[f"{member}.out.bias"][:] = np.log(often / often.sum())

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """Follow the gradient of some examples (N,); nan if it is not finite, and then nothing has moved."""
        loss, parts = self.gradient(chosen)
        return loss if np.isfinite(loss) and self._parameters.move_parts(parts, lr) else float("nan")

    def gradient(self, chosen: np.ndarray) -> tuple[float, Parts]:
        """Give the mean loss of the members over some positions, estimated, and the gradient of the sum of their
        losses, where there is one."""
        step = self._parameters.steps
        tokens, correction, targets = self._candidates.draw(step, self._targets[chosen])
        read, windows = np.unique(self._windows[chosen], return_inverse=True)
        windows = windows.reshape(len(chosen), -1).astype(np.int64, copy=False)
        left_out = self._left_out
        assert left_out is None or isinstance(left_out, LeaveOneOut)
        prior = None if left_out is None else left_out.of_tokens(chosen, tokens)  # (N, T)
        weights = self._parameters.views()
        losses, parts = [], Parts()
        with one_thread(), np.errstate(all="ignore"):  # what is not finite is noticed at the end
            for member in range(self._config.members):
                here = member_of(weights, member)
                network, taken, gradients = self._network_for(len(read), len(tokens), len(chosen), here)
                _take(here, taken, read, tokens)
                keep = kept(self._config.dropout, network.hidden.shape, self._seed, step, member)
                padded = np.full(len(taken["out.bias"]), -np.inf, np.float32)
                padded[: len(tokens)] = correction
                if prior is not None:
                    prior = np.pad(prior, ((0, 0), (0, len(padded) - prior.shape[1])))
                losses.append(network.loss(windows, targets, prior, keep, padded))
                network.backward()
                found = _parts(gradients, read, tokens)
                if self._config.tied == "yes":
                    found = _tied(found, scale(here))
                parts |= {f"{member}.{name}": part for name, part in found.items()}
        return sum(losses) / len(losses), parts

    def _network_for(
        self, read: int, tokens: int, windows: int, weights: Weights
    ) -> tuple[MlpArrays, Weights, Weights]:
        """Give a network of so many rows, or a few more, with its weights and gradients."""
        read, tokens = (-(-rows // _ROUND) * _ROUND for rows in (read, tokens))
        key = (read, tokens, windows)
        if key not in self._networks:
            shapes = {"out.weight": weights["embedding"].shape}
            shapes |= {name: array.shape for name, array in weights.items()}
            for name, rows in (("embedding", read), ("out.weight", tokens), ("out.bias", tokens)):
                shapes[name] = (rows, *shapes[name][1:])
            taken, gradients = ({n: np.zeros(s, np.float32) for n, s in shapes.items()} for _ in range(2))
            self._networks[key] = MlpArrays(taken, gradients, windows), taken, gradients
        return self._networks[key]


def _tied(parts: Parts, factor: np.floating) -> Parts:
    """Give the gradient of both uses of the vectors as one; what is read is `factor` times the vectors."""
    (read, d_read), (tokens, d_tokens) = parts["embedding"], parts.pop("out.weight")
    assert read is not None
    assert tokens is not None
    rows = np.union1d(read, tokens)
    gradient = np.zeros((len(rows), d_read.shape[1]), d_read.dtype)
    gradient[np.searchsorted(rows, tokens)] = d_tokens
    gradient[np.searchsorted(rows, read)] += d_read * factor
    return parts | {"embedding": (rows, gradient)}


def _take(weights: Weights, taken: Weights, read: np.ndarray, tokens: np.ndarray) -> None:
    """Copy the rows of the tokens, and whatever has no rows of tokens; `untied`, but for the other rows."""
    for name, array in taken.items():
        source = weights.get(name, weights["embedding"])
        rows = _rows(name, read, tokens)
        if rows is None:
            array[...] = source
        else:
            np.take(source, rows, axis=0, out=array[: len(rows)], mode="clip")
    if "out.weight" not in weights:
        taken["embedding"] *= scale(weights)


def _parts(gradients: Weights, read: np.ndarray, tokens: np.ndarray) -> Parts:
    parts = Parts()
    for name, array in gradients.items():
        rows = _rows(name, read, tokens)
        # A copy, as the next member overwrites it.
        parts[name] = rows, array.copy() if rows is None else array[: len(rows)].copy()
    return parts


def _rows(name: str, read: np.ndarray, tokens: np.ndarray) -> np.ndarray | None:
    """Say which rows of an array have a part in a step; None: all."""
    return {"embedding": read, "out.weight": tokens, "out.bias": tokens}.get(name)
