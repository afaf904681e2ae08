"""The states of an n-gram that also knows the shapes of lines: a context, and a state of the shapes' automaton."""

from __future__ import annotations

import numpy as np

from ..shape.automaton import Shape
from .ngram import NgramAutomaton


class ShapedAutomaton:
    """Pairs of states (see `automaton.Automaton`): the context's times the number of shapes, plus the shape's."""

    def __init__(self, contexts: NgramAutomaton, shape: Shape) -> None:
        self._contexts, self._shape, self._shapes = contexts, shape, len(shape.factors)
        self.vocabulary_size, self.states = contexts.vocabulary_size, contexts.states * self._shapes

    def start(self) -> int:
        """The state after the boundary at the beginning of a line."""
        return self._contexts.start() * self._shapes

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states that tokens lead to."""
        contexts, shapes = np.divmod(states, self._shapes)
        return self._contexts.after(contexts, tokens) * self._shapes + self._shape.next_states(shapes, tokens)

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states."""
        contexts, shapes = np.divmod(states, self._shapes)
        # Many pairs have one context, whose distribution is worked out once.
        distinct, which = np.unique(contexts, return_inverse=True)
        chances = self._contexts.chances(distinct)[which]
        self._shape.weigh(chances, shapes)
        return np.log(chances)

    def all_states(self) -> np.ndarray:
        """All pairs."""
        return np.arange(self.states)

    def targets(self, states: np.ndarray) -> np.ndarray:
        """The states that all tokens lead to."""
        size = self.vocabulary_size
        each = self.after(np.repeat(states, size), np.tile(np.arange(size), len(states)))
        return each.reshape(-1, size)
