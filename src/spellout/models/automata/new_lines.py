"""The states of models of new lines: those of a model that is made sharper, and of one whose lines have weights."""

from __future__ import annotations

import numpy as np

from ..new_lines.model import Weighted
from ..new_lines.sharpness import Sharper
from ..new_lines.trie import NOWHERE
from .automaton import Automaton


class SharperAutomaton:
    """The states of the model that is made sharper (see `automaton.Automaton`)."""

    def __init__(self, model: Sharper, inner: Automaton) -> None:
        self._model, self._inner = model, inner
        self.vocabulary_size = model.vocabulary_size

    def start(self) -> int:
        """The state after the boundary at the beginning of a line."""
        return self._inner.start()

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states that tokens lead to."""
        return self._inner.after(states, tokens)

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states."""
        return self._model.sharpened(self._inner.rows(states))


class WeightedAutomaton:
    """The nodes of the trie, then the states of the model off it (see `automaton.Automaton`).

    One way only leads to a node, so the model's own state there is kept when the node is first reached.
    """

    def __init__(self, model: Weighted, inner: Automaton) -> None:
        self._model, self._inner = model, inner
        self.vocabulary_size = model.vocabulary_size
        self._nodes = len(model.trie)
        self._inner_states = np.full(self._nodes, -1)

    def start(self) -> int:
        """The root."""
        self._inner_states[0] = self._inner.start()
        return 0

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states that tokens lead to."""
        nodes, inner = self._apart(states)
        there, inner = self._model.trie.child(nodes, tokens), self._inner.after(inner, tokens)
        on = there != NOWHERE
        self._inner_states[there[on]] = inner[on]
        return np.where(on, there, self._nodes + inner)

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states."""
        nodes, inner = self._apart(states)
        # Many nodes have one inner state, whose row is worked out once.
        distinct, which = np.unique(inner, return_inverse=True)
        return self._model.reweighted(self._inner.rows(distinct)[which], nodes)

    def _apart(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The node of each state, or `NOWHERE`, and the state of the model."""
        on = states < self._nodes
        nodes = np.where(on, states, NOWHERE)
        return nodes, np.where(on, self._inner_states[nodes], states - self._nodes)
