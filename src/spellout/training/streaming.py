"""Training an n-gram on a file larger than memory: one pass, and memory bounded by the distinct n-grams."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from ..data.config import DataConfig
from ..data.growing import GrowingAlphabet
from ..data.prepared import longest, usual_length
from ..data.sources.config import SourceConfig
from ..data.sources.files import Paths, source_name
from ..data.sources.reading import Reading
from ..errors import DataError, UsageError
from ..models.family import Specification
from ..models.ngram.config import NgramConfig
from ..models.ngram.training import NgramCounter, fit_counts, model_of_counts
from .runs.run import Run, Trained

ORDER_OF_STREAMS = 6
"""The order where none is asked for: trying several would take several passes."""


def train_streaming(
    paths: Paths,
    config: NgramConfig,
    encoding: str | None = None,
    advance: Callable[[int], None] = lambda read: None,
    source: SourceConfig = SourceConfig(),
) -> Trained:
    """Train an n-gram on every line of files in one pass, with memory bounded by its distinct n-grams.

    Repeated lines count as often as they stand there, nothing is held back for dev, and the lines are not kept.
    """
    start = perf_counter()
    order = config.order or ORDER_OF_STREAMS
    alphabet, digest = GrowingAlphabet(), hashlib.sha256()
    counter = NgramCounter(order, hold_out=config.smoothing == "fitted")
    lines = usual = most = 0
    reading = Reading(paths, encoding, source, advance=advance)
    for block in reading:
        digest.update(block.encode())
        stream = alphabet.encode(block)
        counter.add(stream, alphabet.size)
        lines, usual = lines + block.count("\n"), max(usual, usual_length(stream))
        most = max(most, longest(stream))
    if not lines:
        raise DataError(f"{source_name(paths)} holds no lines; give a text file with one thing per line")
    vocabulary, new_ids = alphabet.vocabulary()
    counter.renumber(new_ids)
    discounts, held_out = fit_counts(counter, config)
    model = model_of_counts(counter, config, discounts)
    seconds = perf_counter() - start
    facts: dict[str, Any] = {
        "specification": f"ngram:{order}:smoothing={config.smoothing}",
        "data": {
            "name": Path(source_name(paths)).name,
            "lines": lines,
            "fingerprint": digest.hexdigest(),
            "source": source.asked(),
            "between": reading.between,
        },
        "split": {"name": "none", "train": lines, "dev": 0, "test": 0},
        "usual_length": usual,
        "longest": most,
        "results": {"seconds": seconds, "held_out_nats_per_token": held_out, "dev": None},
    }
    events = [{"event": "trained", "model": "ngram", **model.settings(), **facts["results"]}]
    return Trained(Run("ngram", model, vocabulary, None, facts, events), seconds, None)


def check_streaming(config: DataConfig, specification: Specification) -> NgramConfig:
    """Find the n-gram config of a streamed training; `UsageError` for what streaming cannot do."""
    if not isinstance(specification.config, NgramConfig):
        name = specification.family.name
        raise UsageError(f"--stream counts n-grams in one pass; {name} needs the lines in memory")
    if config.label is not None:
        raise UsageError("--stream counts lines without labels; leave out --label, or --stream")
    if config != DataConfig(**config.asked()):
        raise UsageError(
            "--stream reads characters and trains on every line; leave out --unit, --tokens, --split, --dev "
            "and --test"
        )
    return specification.config
