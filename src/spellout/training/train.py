"""Training any model of the table on lines, with its honest numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.splits import Split, split_lines
from ..data.vocabulary import Vocabulary, build_vocabulary
from ..generation.evaluation import Evaluation, evaluate
from ..models.contract import Event, Listener
from ..models.table import parse_specification
from .run import Run


@dataclass(frozen=True)
class Prepared:
    """Lines with their split, vocabulary and training stream: what several models can be trained on."""

    lines: Lines
    config: DataConfig
    split: Split
    vocabulary: Vocabulary
    stream: np.ndarray

    @classmethod
    def of(cls, lines: Lines, config: DataConfig) -> Prepared:
        """Split and encode."""
        split = split_lines(lines, config.split, config.split_seed)
        # Words that are rare among the training lines are unknown; characters of every line get a token.
        seen = split.train if config.unit == "word" and config.min_count > 1 else lines.distinct
        vocabulary = build_vocabulary(seen, config.unit, config.min_count)
        return cls(lines, config, split, vocabulary, vocabulary.encode(split.train))


@dataclass(frozen=True)
class Trained:
    """A run, and what it took."""

    run: Run
    seconds: float
    dev: Evaluation | None


def train(prepared: Prepared, specification: str, tell: Listener = lambda event: None) -> Trained:
    """Train one model on the training lines and evaluate it on the dev lines.

    `tell` hears every event as it happens; the run's log keeps them all.
    """
    events: list[Event] = []

    def publish(event: Event) -> None:
        events.append(event)
        tell(event)

    family, config = parse_specification(specification)
    assert family.train is not None, "models that learn in steps come with the loop"
    start = perf_counter()
    model, held_out = family.train(prepared.stream, prepared.vocabulary.size, config, publish)
    seconds = perf_counter() - start
    dev = evaluate(model, prepared.vocabulary, prepared.split.dev) if prepared.split.dev else None
    facts: dict[str, Any] = {
        "specification": specification,
        "data": {
            "name": Path(prepared.lines.name).name,
            "lines": len(prepared.lines),
            "distinct": len(prepared.lines.distinct),
            "fingerprint": prepared.lines.fingerprint,
        },
        "split": {
            "name": prepared.split.name,
            "seed": prepared.config.split_seed,
            "train": len(prepared.split.train),
            "dev": len(prepared.split.dev),
            "test": len(prepared.split.test),
        },
        "usual_length": usual_length(prepared.stream),
        "results": {"seconds": seconds, "held_out_nats_per_token": held_out, "dev": losses(dev)},
    }
    publish({"event": "trained", "model": family.name, **model.settings(), **facts["results"]})
    run = Run(family.name, model, prepared.vocabulary, prepared.split.train, facts, events)
    return Trained(run, seconds, dev)


def usual_length(stream: np.ndarray) -> int:
    """The 99th percentile of the lengths of a stream's lines, in tokens."""
    lengths = np.diff(np.flatnonzero(stream == 0)) - 1
    return int(np.quantile(lengths, 0.99, method="lower"))


def losses(evaluation: Evaluation | None) -> dict[str, float] | None:
    """An evaluation as JSON holds it."""
    if evaluation is None:
        return None
    return {
        "nats_per_char": evaluation.nats_per_char,
        "bits_per_char": evaluation.bits_per_char,
        "perplexity": evaluation.perplexity,
    }
