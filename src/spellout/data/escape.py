"""What has no token: where it stands in lines, and the chance of meeting it.

A vocabulary knows what the training lines hold, and other lines may hold more. How likely that is, the training
lines tell themselves: of what comes next, about as large a part is new as of them stands there only once (Good
1953, "The population frequencies of species and the estimation of population parameters"; the idea is
Turing's). Compressors call it the escape (Witten & Bell 1991, "The zero-frequency problem"). It is smoothed by
half an occurrence, so that it is never nothing, and the tokens of the vocabulary share the rest of 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

CODE_POINTS = 0x110000 - 0x800 - 3
"""All code points of Unicode that a line may hold: no halves of characters, no line ends and no zero.

Those that are not assigned yet count too, as each version of Python knows others of them."""


@dataclass(frozen=True)
class Escape:
    """How many tokens the training lines had, line ends included, and how many of these stood there only once."""

    tokens: int
    once: int

    def __post_init__(self) -> None:
        if not 0 <= self.once < self.tokens:
            raise ValueError(f"of {self.tokens} tokens, {self.once} cannot have stood there only once")

    @classmethod
    def of_counts(cls, counts: np.ndarray) -> Escape:
        """Count them from how often each token was seen; the boundary is the first, and is nothing that is ever
        new."""
        return cls(int(counts.sum()), int((counts[1:] == 1).sum()))

    @property
    def chance(self) -> float:
        """Give the chance that the next token is new."""
        return (self.once + 0.5) / (self.tokens + 1.0)

    @property
    def new_nats(self) -> float:
        """Say what it costs to meet something new, in nats, before it is said what it is."""
        return -math.log(self.chance)

    @property
    def known_nats(self) -> float:
        """Say what every token that is not new pays for that, in nats."""
        return -math.log1p(-self.chance)


@dataclass(frozen=True)
class Reading:
    """Lines as a model reads them: `stream` is `0 line 0 line 0`, as far as there are tokens.

    Of each of U characters or words that have none: what it is (`pieces`), the number of its line (`lines`, (U,)),
    and how many tokens of that line stand before it (`positions`, (U,)). A word that is read as the unknown word is
    such a piece too, and the unknown word's token stands in the stream at its position.
    """

    stream: np.ndarray
    pieces: list[str]
    lines: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, stream: np.ndarray, found: list[tuple[str, int, int]]) -> Reading:
        """Make it from a list of pieces, their lines and their positions."""
        places = np.array([(line, position) for _, line, position in found], np.int64).reshape(-1, 2)
        return cls(stream, [piece for piece, _, _ in found], places[:, 0], places[:, 1])
