"""Batches by index: windows of last tokens, or whole lines side by side.

A stream is `0 line 0 line 0`. Position p is the prediction of token p + 1 from the tokens of its line up to p.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..ngram.counts import context_windows

ROUND = 16
"""oneDNN prepares a multiplication for every new shape, which for a small network takes longer than a step: so few
shapes should occur. On an AMD EPYC this made a step of bow and of rnn twice as fast."""
NOWHERE = -1
"""A position whose prediction does not count. As an index it is the last boundary."""


class Windows:
    """An example is a position, given to the network as its last `context` tokens, the newest last."""

    def __init__(self, stream: np.ndarray, context: int, device: torch.device) -> None:
        self._windows = torch.as_tensor(context_windows(stream, context)[:, ::-1].copy(), device=device)  # (N, C)
        self.examples = len(stream) - 1

    def at(self, chosen: np.ndarray) -> tuple[tuple[Tensor, ...], np.ndarray]:
        """What the network reads, and the positions (N,) it answers for."""
        return (self._windows[torch.as_tensor(chosen, device=self._windows.device)],), chosen


class WholeLines:
    """An example is a line. The lines of a batch stand side by side, the longest first, and are read in steps:
    the network gets the tokens of all steps one after the other, and how many lines are left at each. A few lines
    that have ended go on, so that the numbers of lines are multiples of `ROUND`; these positions are `NOWHERE`."""

    def __init__(self, stream: np.ndarray, device: torch.device) -> None:
        boundaries = np.flatnonzero(stream == 0)
        self._starts, self._lengths = boundaries[:-1], np.diff(boundaries)
        self._tokens = torch.as_tensor(stream.astype(np.int64), device=device)
        self.examples = len(self._starts)

    def at(self, chosen: np.ndarray) -> tuple[tuple[Tensor, ...], np.ndarray]:
        """What the network reads, and the positions (N,) it answers for."""
        order = np.argsort(-self._lengths[chosen], kind="stable")
        lengths, starts = self._lengths[chosen][order], self._starts[chosen][order]  # (B,)
        steps = np.arange(lengths[0])[:, None]
        inside = steps < lengths  # (T, B)
        sizes = np.minimum(-(-inside.sum(axis=1) // ROUND) * ROUND, len(chosen))  # (T,), rounded up
        positions = np.where(inside, steps + starts, NOWHERE)[np.arange(len(chosen)) < sizes[:, None]]  # (N,)
        tokens = self._tokens[torch.as_tensor(positions, device=self._tokens.device)]
        return (tokens, torch.as_tensor(sizes)), positions


def corpus_of(stream: np.ndarray, config: Any, device: torch.device) -> Windows | WholeLines:
    """The examples of a stream `0 line 0 line 0`: windows for a network that has a context, or else lines."""
    context = getattr(config, "context", None)
    return WholeLines(stream, device) if context is None else Windows(stream, context, device)
