"""What a model is if all that matters of a line's beginning has a number, its state.

Many lines come to the same states, so that what the model says there need be worked out once only, and a table
tells from then on which token leads to which state (see `generation/drawing/tables.py`).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Automaton(Protocol):
    """The states of one model. What it says in each is, to the last bit, what the model's reader says there."""

    vocabulary_size: int
    states: int
    """All their numbers are below that."""

    def start(self) -> int:
        """The state after the boundary at the beginning of a line."""
        ...

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states (N,) that tokens (N,), no boundaries, lead to from states (N,) where the model was before."""
        ...

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Log-probabilities (N, V) of what follows in different states (N,)."""
        ...

    def all_states(self) -> np.ndarray:
        """All states (N,) that lines can come to."""
        ...

    def targets(self, states: np.ndarray) -> np.ndarray:
        """The states (N, V) that all tokens lead to; what stands for the boundary is no state."""
        ...
