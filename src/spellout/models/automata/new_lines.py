"""The states of models of new lines: those of a model that is made sharper, and of one whose lines have weights."""

from __future__ import annotations

import numpy as np

from ..new_lines.model import Weighted
from ..new_lines.sharper import Sharper
from ..new_lines.trie import NOWHERE
from .automaton import Automaton


class SharperAutomaton:
    """The states of the model that is made sharper (see `automaton.Automaton`)."""

    def __init__(self, model: Sharper, inner: Automaton) -> None:
        self._model, self._inner = model, inner
        self.vocabulary_size, self.states = model.vocabulary_size, inner.states

    def start(self) -> int:
        """The state after the boundary at the beginning of a line."""
        return self._inner.start()

    def after(self, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The states that tokens lead to."""
        return self._inner.after(states, tokens)

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states."""
        return self._model.sharpened(self._inner.rows(states))

    def all_states(self) -> np.ndarray:
        """All states of the model."""
        return self._inner.all_states()

    def targets(self, states: np.ndarray) -> np.ndarray:
        """The states that all tokens lead to."""
        return self._inner.targets(states)


class WeightedAutomaton:
    """The nodes of the trie, then the states of the model off it (see `automaton.Automaton`).

    One way only leads to a node, so the model's own state there is kept when the node is first reached.
    """

    def __init__(self, model: Weighted, inner: Automaton) -> None:
        self._model, self._inner = model, inner
        self.vocabulary_size = model.vocabulary_size
        self.nodes = len(model.trie)
        self.states = self.nodes + inner.states
        self._inner_states = np.zeros(self.nodes, np.int64)  # of nodes that lines have come to

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
        return np.where(on, there, self.nodes + inner)

    def rows(self, states: np.ndarray) -> np.ndarray:
        """What follows in some states."""
        nodes, inner = self._apart(states)
        # Many nodes have one inner state, whose row is worked out once.
        distinct, which = np.unique(inner, return_inverse=True)
        return self._model.reweighted(self._inner.rows(distinct)[which], nodes)

    def all_states(self) -> np.ndarray:
        """The nodes where lines go on, and all states of the model off the trie."""
        return np.concatenate([self.inner_nodes(), self.nodes + self._inner.all_states()])

    def inner_nodes(self) -> np.ndarray:
        """The nodes where lines go on."""
        self.start()
        trie, inner_nodes = self._model.trie, [np.zeros(0, np.int64)]
        for above, below, starts in trie.families():
            parents = np.repeat(above, np.diff(starts, append=below.stop - below.start))
            on = np.flatnonzero(trie.tokens[below])
            states = self._inner.after(self._inner_states[parents[on]], trie.tokens[below][on].astype(np.int64))
            self._inner_states[below.start + on] = states
            inner_nodes.append(above)
        return np.concatenate(inner_nodes)

    def targets(self, states: np.ndarray) -> np.ndarray:
        """The states that all tokens lead to."""
        nodes, inner = self._apart(states)
        targets = self.nodes + self._inner.targets(inner)
        parents, tokens, children = self._model.trie.edges_of(nodes)
        targets[parents, tokens] = children
        return targets

    def _apart(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The node of each state, or `NOWHERE`, and the state of the model."""
        on = states < self.nodes
        nodes = np.where(on, states, NOWHERE)
        return nodes, np.where(on, self._inner_states[nodes], states - self.nodes)
