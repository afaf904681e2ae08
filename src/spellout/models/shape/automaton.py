"""What a line's shape so far says of the class of the next token, as a factor on what a model says of the token.

The shape is the classes of the tokens that were read, and so also how many they are. A finite automaton follows it:
along beginnings of patterns that are frequent in the list, each a state, and beside them only by the place in the
line. Every state has a factor for every class, and with t the state after the context,

    p(w | context, t)  =  p(w | context) · g[t, class of w] / Σ_v p(v | context) · g[t, class of v].

Where all lines end after seven digits, the factor of an eighth is nearly 0 there, and that of the end is large; of
the digits, which one comes is left to the model.

    N positions · S states · K classes, the first that of the boundary · V vocabulary
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

START = 0
"""The state after the boundary at the beginning of a line."""
_LARGEST_TABLE = 1 << 20
_LARGEST_LOGARITHM = 60.0
"""A factor that someone else wrote is no further from 1: with it, no probability becomes 0 or infinite."""
_STORED = ("classes", "following", "log_factors")


class Shape:
    """The automaton and its factors.

    Attributes:
        classes: (V,) uint8, the class of every token, 0 for the boundary only.
        following: (S, K) int32, the state after a token of each class; all lead to the start at a boundary.
        log_factors: (S, K) float64.
    """

    def __init__(self, classes: np.ndarray, following: np.ndarray, log_factors: np.ndarray) -> None:
        self.classes, self.following, self.log_factors = classes, following, log_factors
        self.factors = np.exp(log_factors)

    @property
    def size(self) -> int:
        """Count the numbers that were learned."""
        return self.log_factors.size

    def next_states(self, states: np.ndarray | None, tokens: np.ndarray) -> np.ndarray:
        """Follow one more token of each line: states and tokens (N,) to states (N,).

        The first token of all is a boundary, before which there are no states.
        """
        if states is None:
            return np.full(len(tokens), START, self.following.dtype)
        found: np.ndarray = self.following[states, self.classes[tokens]]
        return found

    def states_of(self, tokens: np.ndarray) -> np.ndarray:
        """Give the state after each of `tokens` (..., T), whose rows begin with a boundary."""
        return states_along(tokens, self.classes, self.following)

    def of_tokens(self, states: np.ndarray, logarithms: bool = False) -> np.ndarray:
        """Give the factors, or their logarithms, of all tokens in some states: (N,) to (N, V)."""
        numbers = self.log_factors if logarithms else self.factors
        if len(numbers) * len(self.classes) > _LARGEST_TABLE:
            return numbers[states][:, self.classes]
        found: np.ndarray = (self._log_table if logarithms else self._table)[states]
        return found

    @cached_property
    def _table(self) -> np.ndarray:
        return self.factors[:, self.classes]

    @cached_property
    def _log_table(self) -> np.ndarray:
        return self.log_factors[:, self.classes]

    def weigh(self, rows: np.ndarray, states: np.ndarray) -> None:
        """Change probabilities (N, V) as the states (N,) say, in place; they sum to 1 again."""
        rows *= self.of_tokens(states)
        rows /= rows.sum(axis=1, keepdims=True)

    def ratios(self, states: np.ndarray, tokens: np.ndarray, of_classes: np.ndarray) -> np.ndarray:
        """Say how much likelier one token becomes at each position, (N,).

        `of_classes` (N, K) is what the model says of the classes there.
        """
        factors = self.factors[states]
        usual = np.einsum("nk,nk->n", of_classes, factors)
        return np.take_along_axis(factors, self.classes[tokens][:, None].astype(np.int64), axis=1)[:, 0] / usual

    # Persistence.

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the classes, the automaton and the logarithms of its factors."""
        return {f"shape.{name}": getattr(self, name) for name in _STORED}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], vocabulary_size: int) -> Shape | None:
        """Invert `arrays`; None if there is no shape among them. ValueError if what is there cannot be one."""
        there = [name for name in _STORED if f"shape.{name}" in arrays]
        if not there:
            return None
        classes, following, logs = (arrays[f"shape.{name}"] for name in _STORED)
        sound = (
            classes.shape == (vocabulary_size,)
            and following.ndim == 2
            and following.shape == logs.shape
            and all(array.dtype.kind in "iu" for array in (classes, following))
            and logs.dtype.kind == "f"
            and len(following) > 0
            and bool((classes < following.shape[1]).all() and (classes >= 0).all())
            and bool((following < len(following)).all() and (following >= 0).all())
            and classes[0] == 0
            and bool((classes[1:] > 0).all())
            and bool((following[:, 0] == START).all())
            and bool((np.abs(logs) <= _LARGEST_LOGARITHM).all())
        )
        if not sound:
            raise ValueError("the shape of lines is no automaton over the classes of the tokens")
        return cls(classes, following, logs.astype(np.float64))


def states_along(tokens: np.ndarray, classes: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Give the state after each of `tokens` (..., T): of all lines together, one token of each at a time."""
    flat = tokens.reshape(-1)
    begins = flat == 0
    begins.reshape(tokens.shape)[..., 0] = True
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(flat))
    found = np.zeros(len(flat), following.dtype)
    # The longest lines first, so that those that go on are always the first ones.
    order = np.argsort(-lengths, kind="stable")
    starts, states = starts[order], np.full(len(starts), START, following.dtype)
    longer = np.cumsum(np.bincount(lengths)[:0:-1])[::-1] if len(lengths) else ()  # than each place
    for place, going_on in enumerate(longer[1:], 1):
        where = starts[:going_on] + place
        states = following[states[:going_on], classes[flat[where]]]
        found[where] = states
    return found.reshape(tokens.shape)
