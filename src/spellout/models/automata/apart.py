"""The states of an n-gram of lines that have shapes, with the shape left out.

There are far more pairs of a context and a state of the shapes than contexts, and what a model says in a pair is
what it says in the context, times a factor for each class of tokens. So that both can be looked up apart, this is
an automaton of the contexts alone, as if there were no shape.

A model of new lines also has states along its trie. Each of these is reached by one way, and so belongs to one
pair: there, what it says is whole, and no factor is left to be applied.
"""

from __future__ import annotations

import numpy as np

from ..shape.automaton import Shape
from .automaton import Automaton
from .new_lines import WeightedAutomaton


class Apart:
    """The states without the shape (see `automaton.Automaton`): those along a trie first, then the contexts.

    Attributes:
        pairs: the automaton of the model itself.
        shape: that of its lines.
        power: the factors are taken to it.
        whole: in so many states, the first, no factor is to be applied.
    """

    def __init__(self, pairs: Automaton, contexts: Automaton, shape: Shape, power: float) -> None:
        self.pairs, self.shape, self.power, self._contexts = pairs, shape, power, contexts
        self.whole = pairs.nodes if isinstance(pairs, WeightedAutomaton) else 0
        self.vocabulary_size, self.states = contexts.vocabulary_size, self.whole + contexts.states

    def start(self) -> int:
        """The state after the boundary at the beginning of a line."""
        return int(self._without(np.array([self.pairs.start()]))[0])

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states that tokens lead to."""
        return self._without(self.pairs.after(self.paired(states, 0), tokens))

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states; where factors are to be applied, before they are."""
        on = states < self.whole
        rows = np.empty((len(states), self.vocabulary_size))
        rows[on] = self.pairs.rows(states[on])
        rows[~on] = self._contexts.rows(states[~on] - self.whole)
        return rows

    def all_states(self) -> np.ndarray:
        """All states that lines can come to."""
        contexts = self.whole + self._contexts.all_states()
        if isinstance(self.pairs, WeightedAutomaton):
            return np.concatenate([self.pairs.inner_nodes(), contexts])
        return contexts

    def targets(self, states: np.ndarray) -> np.ndarray:
        """The states that all tokens lead to."""
        return self._without(self.pairs.targets(self.paired(states, 0)))

    def paired(self, states: np.ndarray, shapes: np.ndarray | int) -> np.ndarray:
        """The states of the model itself, of states (N,) and those of the shape."""
        pairs = self.whole + (states - self.whole) * len(self.shape.factors) + shapes
        return np.where(states < self.whole, states, pairs)

    def _without(self, pairs: np.ndarray) -> np.ndarray:
        contexts = self.whole + (pairs - self.whole) // len(self.shape.factors)
        return np.where(pairs < self.whole, pairs, contexts)
