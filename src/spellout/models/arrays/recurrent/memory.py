"""Arrays that are used again in the next step: a large one that is new costs more than what is written in it."""

from __future__ import annotations

import numpy as np


class Memory:
    """Arrays by their names, of one float type; each grows with the largest that was asked for."""

    def __init__(self, dtype: np.dtype) -> None:
        self._dtype = dtype
        self._kept: dict[str, np.ndarray] = {}

    def of(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Give an array (rows, columns) with anything in it: what stood in that of this name is lost."""
        kept = self._kept.get(name)
        if kept is None or kept.size < rows * columns:
            kept = self._kept[name] = np.empty(rows * columns, self._dtype)
        return kept[: rows * columns].reshape(rows, columns)
