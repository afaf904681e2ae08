"""Uniform numbers from raw random ones, as NumPy does not promise that its own draws stay the same."""

from __future__ import annotations

import numpy as np


def uniform(numbers: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1) of random ones of 64 bits: the 53 bits that a float64 holds."""
    return (numbers >> np.uint64(11)) * 2.0**-53
