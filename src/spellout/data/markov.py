"""A source of lines whose entropy is known exactly.

Lines are drawn from a random Markov chain over `letters`: the next letter, or the end of the line, depends on the
last `order` letters (fewer at the start of a line). Because the chain starts afresh at every line end, the
average uncertainty of a character is a finite sum over contexts: visits(context) times entropy(context). A model
trained on the lines can then be compared with the truth, not only with other models (Shannon 1948).
"""

from __future__ import annotations

from functools import cached_property
from itertools import product

import numpy as np


class MarkovSource:
    """A random chain of the given order. `concentration`: small values make peaked, predictable rows."""

    def __init__(
        self, order: int = 2, letters: str = "abcdefghij", concentration: float = 0.5, seed: int = 0
    ) -> None:
        if order < 1 or len(letters) < 1:
            raise ValueError("a Markov source needs an order of at least 1 and at least one letter")
        self.order, self.letters = order, letters
        size = len(letters)
        ids = range(1, size + 1)
        self.contexts = [context for length in range(order + 1) for context in product(ids, repeat=length)]
        """Every context as a tuple of letter ids, 1 to size; shorter than `order` only at the start of a line."""
        place = {context: i for i, context in enumerate(self.contexts)}
        random = np.random.default_rng(seed)
        self.transitions = random.dirichlet(np.full(size + 1, concentration), len(self.contexts))
        """(contexts, 1 + size) probabilities; column 0 is the end of the line."""
        self.transitions[0, 0] = 0.0  # no blank lines
        # a line ends at each letter with a chance of about 2 % or more: none goes on without end
        self.transitions[:, 0] = np.maximum(self.transitions[:, 0], 0.02 * (np.arange(len(place)) > 0))
        self.transitions /= self.transitions.sum(axis=1, keepdims=True)
        after = [[place[(*context, letter)[-order:]] for letter in ids] for context in self.contexts]
        self.successors = np.pad(after, ((0, 0), (1, 0)))  # a column of zeros for the end of the line
        """(contexts, 1 + size): the context after each outcome; the end of a line leads to the empty context."""

    @cached_property
    def entropy(self) -> float:
        """Nats per character, line ends counted as characters."""
        count = len(self.contexts)
        step = np.zeros((count, count))
        np.add.at(step, (np.arange(count)[:, None], self.successors), self.transitions)
        # Stationary distribution: visits = visits @ step, summing to one.
        system = np.vstack([step.T - np.eye(count), np.ones(count)])
        visits = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0]
        positive = np.where(self.transitions > 0, self.transitions, 1.0)
        return float(visits @ -(self.transitions * np.log(positive)).sum(axis=1))

    def sample(self, characters: int, seed: int = 0) -> list[str]:
        """Lines of at least `characters` characters in all, line ends counted."""
        random = np.random.default_rng(seed)
        cumulative = self.transitions.cumsum(axis=1)
        alphabet = np.array(["\n", *self.letters])
        lines: list[str] = []
        made = 0
        while made < characters:
            # many lines side by side, so that a step of all of them is a few calls of NumPy
            state = np.zeros(4096, np.intp)
            columns = []
            running = np.ones(len(state), bool)
            while running.any():
                draw = random.random(len(state))
                outcome = (cumulative[state, :-1] <= draw[:, None]).sum(axis=1)
                outcome[~running] = 0
                columns.append(outcome)
                state = self.successors[state, outcome]
                running &= outcome != 0
            rows = alphabet[np.stack(columns, axis=1)]
            lines += [("".join(row)).rstrip("\n") for row in rows]
            made += int((np.stack(columns) != 0).sum()) + len(state)
        return lines
