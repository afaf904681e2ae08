"""What models are trained on: lines with their split, their vocabulary and the stream of their tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .config import DataConfig
from .lines import Lines
from .splits import Split, split_lines
from .vocabulary import Vocabulary, build_vocabulary


@dataclass(frozen=True)
class Prepared:
    """Holds lines with their split, vocabulary and training stream: several models can be trained on them."""

    lines: Lines
    config: DataConfig
    split: Split
    vocabulary: Vocabulary
    stream: np.ndarray

    @classmethod
    def of(cls, lines: Lines, config: DataConfig) -> Prepared:
        """Split lines, and encode those to train on."""
        split = split_lines(lines, config.split, config.split_seed)
        # A model knows nothing of the lines that judge it, not even their letters.
        vocabulary = build_vocabulary(split.train, config.unit, config.min_count)
        return cls(lines, config, split, vocabulary, vocabulary.encode(split.train))


def usual_length(stream: np.ndarray) -> int:
    """Find the 99th percentile of the lengths of a stream's lines, in tokens."""
    lengths = np.diff(np.flatnonzero(stream == 0)) - 1
    return int(np.quantile(lengths, 0.99, method="lower"))


def longest(stream: np.ndarray) -> int:
    """Measure a stream's longest line, in tokens."""
    return int(np.diff(np.flatnonzero(stream == 0)).max()) - 1
