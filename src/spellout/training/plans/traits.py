"""What the choice of a model asks of a list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.prepared import Prepared
from ...models.counts.gates import MOST_TOKENS

LONG = 13.0
"""Lines of so many tokens on average, their ends counted, are long: what their end depends on is out of sight of a
window of six, and no n-gram has seen it (bench/plans.py)."""
LONGEST = 1000
"""Tokens of the longest line of which something is remembered from its beginning on, one token after the other."""
MOST_MIXED = 1 << 20
"""Positions of a text whose counts are mixed; of a longer one that takes too long."""


@dataclass(frozen=True)
class Traits:
    """A list in numbers.

    Attributes:
        lines: how many lines there are to learn from.
        positions: how many tokens they have, their ends counted.
        vocabulary_size: how many different tokens there are.
        longest: tokens of the longest line.
    """

    lines: int
    positions: int
    vocabulary_size: int
    longest: int = 1

    @classmethod
    def of(cls, prepared: Prepared) -> Traits:
        """Look at the lines to train on."""
        lengths = np.diff(np.flatnonzero(prepared.stream == 0))
        positions = len(prepared.stream)
        return cls(len(lengths), positions, prepared.vocabulary.size, int(lengths.max()) - 1)

    @property
    def length(self) -> float:
        """Give the tokens of a line on average, its end counted."""
        return self.positions / max(1, self.lines)

    @property
    def may_be_mixed(self) -> bool:
        """Say whether a network may start from mixed counts: of long texts and many tokens these take long."""
        few = self.vocabulary_size <= MOST_TOKENS
        return self.longest <= LONGEST and self.positions <= MOST_MIXED and few

    @property
    def long_lines(self) -> bool:
        """Say whether lines are long, and yet short enough to be remembered from their beginning on."""
        return self.length >= LONG and self.longest <= LONGEST
