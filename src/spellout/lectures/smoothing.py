"""The first lecture's remark that a penalty on the weights smooths as adding to the counts does.

Both are solved exactly: the penalised bigram network is convex, and is a matter of the 27 × 27 counts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.prepared import Prepared

LAMBDA = 0.01
"""The lecture's weight of the mean square."""
_ROUNDS, _HALVINGS = 200, 60


@dataclass(frozen=True)
class Smoothing:
    """A penalised network beside the add-k counts with the same loss on the lines.

    `nats` is that loss, `limit` what both have without smoothing; `difference` is the largest difference of a
    probability of a pair (of both letters together), and `unsmoothed` the same between network and k = 0 counts.
    """

    penalty: float
    k: float
    nats: float
    limit: float
    difference: float
    unsmoothed: float


def compare_smoothing(lines: Lines, penalty: float = LAMBDA) -> Smoothing:
    """Find the k that smooths as the penalty does."""
    prepared = Prepared.of(lines, DataConfig(split="none"))
    size, stream = prepared.vocabulary.size, prepared.stream.astype(np.int64)
    counts = np.zeros((size, size))
    np.add.at(counts, (stream[:-1], stream[1:]), 1)
    network = chances_of_network(counts, penalty)
    nats = _nats(counts, network)
    low, high = 0.0, 1e6
    for _ in range(_HALVINGS):
        # k may have any size: halve its logarithm first, then k itself
        middle = (low + high) / 2 if high < 1 else (low + 1e-9) ** 0.5 * high**0.5
        low, high = (middle, high) if _nats(counts, _add(counts, middle)) < nats else (low, middle)
    share = counts.sum(1, keepdims=True) / counts.sum()
    counted = _add(counts, 0.0)
    free = chances_of_network(counts, 0.0)
    difference = float(np.abs(share * (network - _add(counts, high))).max())
    unsmoothed = float(np.abs(share * (free - counted)).max())
    return Smoothing(penalty, high, nats, _nats(counts, counted), difference, unsmoothed)


def chances_of_network(counts: np.ndarray, penalty: float) -> np.ndarray:
    """The softmax (V, V) of the weights that minimise nats + penalty · mean square."""
    target = torch.tensor(counts)
    weights = torch.zeros_like(target, requires_grad=True)
    # the penalty moves digits that the usual tolerances would never reach
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=_ROUNDS, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        nats = -(target * weights.log_softmax(1)).sum() / target.sum()
        torch.autograd.backward(nats + penalty * (weights**2).mean())
        return float(nats.detach()) + penalty * float((weights.detach() ** 2).mean())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach().softmax(1).numpy()


def _add(counts: np.ndarray, k: float) -> np.ndarray:
    raised = counts + k
    total = raised.sum(1, keepdims=True)
    # without smoothing a letter that nothing follows has no shares: all are equally likely then
    return np.divide(raised, total, out=np.full_like(raised, 1 / len(raised)), where=total > 0)


def _nats(counts: np.ndarray, chances: np.ndarray) -> float:
    seen = counts > 0
    return -float((counts[seen] * np.log(chances[seen])).sum() / counts.sum())
