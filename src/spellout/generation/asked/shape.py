"""What the shape of a line so far says beside an n-gram, as an automaton whose states have gains of tokens.

Some n-grams have factors on the classes of tokens, by the state of an automaton that follows the classes of the
line so far. With the automaton of what was asked, that is one automaton again, so such an n-gram is conditioned as
exactly.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .automaton import Automaton


class Shape(Protocol):
    """Classes of tokens (V,), the state after a token of each class (T, K), and factors on them (T, K).

    State 0 is that of the beginning of a line.
    """

    classes: np.ndarray
    following: np.ndarray
    factors: np.ndarray


def with_shape(automaton: Automaton, shape: Shape, power: float = 1.0) -> tuple[Automaton, np.ndarray]:
    """Give the automaton of both, and the gains (Q, V) of tokens in its states, to a power. OverflowError if that
    takes too many states."""
    classes = shape.classes.astype(np.int64)
    table = np.concatenate(
        [np.zeros((1, len(classes)), np.int32), 1 + shape.following[:, classes].astype(np.int32)]
    )
    follower = Automaton(table, np.arange(len(table)) > 0, 1)
    both, states = automaton.product(follower)
    factors = np.concatenate([np.ones((1, shape.factors.shape[1])), shape.factors])
    return both, factors[states][:, classes] ** power
