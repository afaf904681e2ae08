"""The lines of a batch side by side, packed: at every step only those that have not ended.

The longest line stands first, so that the lines of a step are the first ones of the step before; all tokens of the
first step come first, then those of the second.

    N tokens of a batch · T tokens of the longest line · B lines
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Packed:
    """One batch.

    Attributes:
        positions: (N,) where each token stands in the stream.
        steps: the first token of every step and the one after its last, in their order.
    """

    positions: np.ndarray
    steps: list[tuple[int, int]]

    @property
    def lines(self) -> int:
        """Count the lines."""
        return self.steps[0][1]

    def before(self) -> np.ndarray:
        """Say of each token where that of its line at the step before is, (N,), if all of them stand after B
        places for the beginnings."""
        # A line keeps its place among those of a step, and the step before begins as many tokens earlier as it has.
        sizes = np.array([end - start for start, end in self.steps])
        earlier = np.concatenate([[self.lines], sizes[:-1]])
        return np.arange(len(self.positions)) + self.lines - np.repeat(earlier, sizes)


class Lines:
    """The lines of a stream `0 line 0 line 0`, by their numbers."""

    def __init__(self, stream: np.ndarray) -> None:
        boundaries = np.flatnonzero(stream == 0)
        self._starts, self._lengths = boundaries[:-1], np.diff(boundaries)

    def __len__(self) -> int:
        """Count them."""
        return len(self._starts)

    def packed(self, chosen: np.ndarray) -> Packed:
        """Put some lines (B,) side by side; each is read from its boundary to its last token."""
        order = chosen[np.argsort(-self._lengths[chosen], kind="stable")]
        starts, lengths = self._starts[order], self._lengths[order]
        steps = np.arange(lengths[0])[:, None]
        inside = steps < lengths  # (T, B)
        ends = np.cumsum(inside.sum(axis=1)).tolist()
        return Packed((steps + starts)[inside], list(pairwise([0, *ends])))
