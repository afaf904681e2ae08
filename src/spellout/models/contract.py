"""What every language model is, whatever it is made of.

Token ids go in, log-probabilities come out, as NumPy arrays in natural logarithm (nats). Token 0 is the boundary.
A row of tokens is the beginning of one line: the boundary, then the first characters. Position t of the answer
is the distribution of the token that follows tokens 0..t, and depends on nothing after t, so rows may be padded
on the right with anything. Evaluation, sampling, scoring and comparison are written once against this contract.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np

Event = dict[str, Any]
"""Something that happened in a training, as one JSON object: `event` names it."""
Callback = Callable[[Event], None]


class Reader(Protocol):
    """Reads many lines at once, one token of each at a time: what sampling needs."""

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Take the next token of every line, (B,); give log-probabilities of the one after, (B, V) float64."""
        ...

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only: a boolean mask (B,), or numbers of lines (N,), each as often as wanted."""
        ...


class LanguageModel(Protocol):
    """The contract. `tests/models/test_contract.py` holds every model to it."""

    # Plain attributes rather than properties: they never change.
    vocabulary_size: int
    context: int | None
    """How many last tokens can matter, the boundary included; None: the whole line."""
    parameters: int
    """How many numbers the model has learned."""

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities."""
        ...

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log-probability (B, T) of each target after its tokens, without making all V of them if possible."""
        ...

    def reader(self, lines: int) -> Reader:
        """A reader for so many lines, before their boundary has been read."""
        ...

    def settings(self) -> dict[str, Any]:
        """What JSON can hold of the model; with `arrays`, everything that `restore` needs."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What the model has learned, by name."""
        ...

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """The inverse of `settings` and `arrays`. Raises ValueError or KeyError if they cannot be a model."""
        ...
