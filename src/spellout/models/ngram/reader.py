"""Reads many lines at once with an n-gram, one token of each at a time (see `contract.Reader`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..shape.automaton import Shape
from .counts import Columns


class NgramReader:
    """The last tokens of many lines, and the state of each line's shape if the model knows shapes.

    Args:
        past: how many last tokens matter.
        contexts_of: gives the ids at each level of contexts (see `NgramModel.contexts_of`).
        distributions: gives the probabilities (N, V) after such contexts.
        shape: what the shape says, or None.
        lines: how many there are.
    """

    def __init__(
        self,
        past: int,
        contexts_of: Callable[[Columns], list[np.ndarray]],
        distributions: Callable[[list[np.ndarray]], np.ndarray],
        shape: Shape | None,
        lines: int,
    ) -> None:
        self._contexts_of, self._distributions, self._shape = contexts_of, distributions, shape
        self._columns = [np.zeros(lines, np.int64) for _ in range(past)]
        self._states: np.ndarray | None = None  # before the boundary

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        self._columns = [tokens, *self._columns[:-1]]
        contexts = self._contexts_of(self._columns)
        # Many lines share a context, and each is worked out once: it is known by its longest part that was seen.
        longest = np.zeros(len(tokens), np.int64)
        for depth, ids in enumerate(contexts):
            longest = np.where(ids >= 0, ids * len(contexts) + depth, longest)
        if self._shape is not None:
            self._states = self._shape.next_states(self._states, tokens)
            longest = longest * len(self._shape.factors) + self._states
        _, first, which = np.unique(longest, return_index=True, return_inverse=True)
        rows = self._distributions([ids[first] for ids in contexts])
        if self._shape is not None and self._states is not None:
            self._shape.weigh(rows, self._states[first])
        logs: np.ndarray = np.log(rows)[which]
        return logs

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._columns = [column[rows] for column in self._columns]
        if self._states is not None:
            self._states = self._states[rows]
