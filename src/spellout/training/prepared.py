"""What models are trained on: lines with their split, vocabulary and stream, and how a run describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.splits import Split, split_lines
from ..data.vocabulary import Vocabulary, build_vocabulary
from ..generation.evaluation import Evaluation, enough

JUDGING = 1 << 29
"""The work of judging a result (see `enough`): for three million characters, or fifty thousand words."""


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
        # Words that are rare among the training lines are unknown; characters of every line get a token.
        seen = split.train if config.unit == "word" and config.min_count > 1 else lines.distinct
        vocabulary = build_vocabulary(seen, config.unit, config.min_count)
        return cls(lines, config, split, vocabulary, vocabulary.encode(split.train))

    def judging(self, part: Literal["dev", "test"] = "dev", work: int = JUDGING) -> Sequence[str]:
        """Choose the lines of a part that judge: the first ones, as many as so much work allows, or all."""
        lines = {"dev": self.split.dev, "test": self.split.test}[part]
        return enough(lines, self.vocabulary, work)


def facts_of(prepared: Prepared, specification: str, results: dict[str, Any]) -> dict[str, Any]:
    """Write the part of `config.json` that people read, and `--resume` to prepare the lines again."""
    lines, split, config = prepared.lines, prepared.split, prepared.config
    return {
        "specification": specification,
        "data": {
            "name": Path(lines.name).name,
            "lines": len(lines),
            "distinct": len(lines.distinct),
            "fingerprint": lines.fingerprint,
            "unit": config.unit,
            "min_count": config.min_count,
        },
        "split": {
            "name": split.name,
            "seed": config.split_seed,
            "train": len(split.train),
            "dev": len(split.dev),
            "test": len(split.test),
        },
        "usual_length": usual_length(prepared.stream),
        "longest": longest(prepared.stream),
        "results": results,
    }


def usual_length(stream: np.ndarray) -> int:
    """Find the 99th percentile of the lengths of a stream's lines, in tokens."""
    lengths = np.diff(np.flatnonzero(stream == 0)) - 1
    return int(np.quantile(lengths, 0.99, method="lower"))


def longest(stream: np.ndarray) -> int:
    """Measure a stream's longest line, in tokens."""
    return int(np.diff(np.flatnonzero(stream == 0)).max()) - 1


def losses(evaluation: Evaluation | None) -> dict[str, float] | None:
    """Write an evaluation as JSON holds it."""
    if evaluation is None:
        return None
    return {
        "nats_per_char": evaluation.nats_per_char,
        "bits_per_char": evaluation.bits_per_char,
        "perplexity": evaluation.perplexity,
        "lines": evaluation.lines,
    }
