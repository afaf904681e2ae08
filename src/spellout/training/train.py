"""Training any model of the table on lines, with its honest numbers; and n-grams on files larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..data.alphabet import GrowingAlphabet
from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.reading import read_blocks
from ..data.splits import Split, split_lines
from ..data.vocabulary import Vocabulary, build_vocabulary
from ..errors import DataError, UsageError
from ..generation.evaluation import Evaluation, evaluate
from ..models.ngram import NgramConfig
from ..models.ngram_training import NgramCounter, fit_counts, model_of_counts
from ..models.table import parse_specification
from .run import Run

ORDER_OF_STREAMS = 6


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
    prepared: Prepared | None
    """What it was trained on; None after streaming."""


def train(prepared: Prepared, specification: str) -> Trained:
    """Train one model on the training lines and evaluate it on the dev lines."""
    family, config = parse_specification(specification)
    start = perf_counter()
    model, held_out = family.train(prepared.stream, prepared.vocabulary.size, config)
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
    events = [{"event": "trained", "model": family.name, **model.settings(), **facts["results"]}]
    run = Run(family.name, model, prepared.vocabulary, prepared.split.train, facts, events)
    return Trained(run, seconds, dev, prepared)


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


def train_streaming(
    path: str | Path,
    config: NgramConfig,
    encoding: str | None = None,
    advance: Callable[[int], None] = lambda read: None,
) -> Trained:
    """Train an n-gram on every line of a file in one pass, with memory bounded by its distinct n-grams.

    Repeated lines count as often as they stand there, nothing is held back for dev, and the lines are not kept.
    """
    start = perf_counter()
    order = config.order or ORDER_OF_STREAMS
    alphabet, digest = GrowingAlphabet(), hashlib.sha256()
    counter = NgramCounter(order, hold_out=config.smoothing == "fitted")
    lines = usual = 0
    for block in read_blocks(path, encoding, advance=advance):
        digest.update(block.encode())
        stream = alphabet.encode(block)
        counter.add(stream, alphabet.size)
        lines, usual = lines + block.count("\n"), max(usual, usual_length(stream))
    if not lines:
        raise DataError(f"{path} holds no lines; give a text file with one thing per line")
    vocabulary, new_ids = alphabet.vocabulary()
    counter.renumber(new_ids)
    discounts, held_out = fit_counts(counter, config)
    model = model_of_counts(counter, config, discounts)
    seconds = perf_counter() - start
    facts: dict[str, Any] = {
        "specification": f"ngram:{order}:smoothing={config.smoothing}",
        "data": {"name": Path(path).name, "lines": lines, "fingerprint": digest.hexdigest()},
        "split": {"name": "none", "train": lines, "dev": 0, "test": 0},
        "usual_length": usual,
        "results": {"seconds": seconds, "held_out_nats_per_token": held_out, "dev": None},
    }
    events = [{"event": "trained", "model": "ngram", **model.settings(), **facts["results"]}]
    return Trained(Run("ngram", model, vocabulary, None, facts, events), seconds, None, None)


def check_streaming(config: DataConfig, specification: str) -> NgramConfig:
    """The n-gram config of a streamed training; `UsageError` for what streaming cannot do."""
    family, model_config = parse_specification(specification)
    if not isinstance(model_config, NgramConfig):
        raise UsageError(f"--stream counts n-grams in one pass; {family.name} needs the lines in memory")
    if config != DataConfig():
        raise UsageError("--stream reads characters and trains on every line; leave out --unit and --split")
    return model_config
