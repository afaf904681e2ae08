"""Dropout: in each step, some hidden numbers are left out at random, and the others larger, so that the mean stays.

Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
"""

from __future__ import annotations

import numpy as np

_DROPS = 2
"""The counter of Philox under which they are drawn; others have 0 and 1 (see `candidates.py`)."""


def kept(part: float, shape: tuple[int, int], seed: int, step: int, member: int) -> np.ndarray | None:
    """Say by how much each number is multiplied, 0 or 1 / (1 - part), float32; None if none is left out.

    It depends on the arguments alone, so that a training goes on as if it had not been interrupted.
    """
    if not part:
        return None
    numbers = shape[0] * shape[1]
    # One raw number of 64 bits decides over four, to one part in 65,536.
    raw = np.random.Philox(key=seed, counter=[0, step, _DROPS, member]).random_raw(-(-numbers // 4))
    dropped = min(round(part * 2**16), 2**16 - 1)
    chosen = raw.view(np.uint16)[:numbers].reshape(shape) >= dropped
    return chosen * np.float32(2**16 / (2**16 - dropped))
