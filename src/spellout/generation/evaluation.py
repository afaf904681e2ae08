"""How good a model is on held-out lines (see `losses`): on as many as it can judge, new tokens paid for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, takewhile

import numpy as np

from ..data.labels import Labelled, first_tokens, without_label
from ..data.vocabulary.protocol import Vocabulary
from ..models.contract import LanguageModel
from ..models.ngram.model import NgramModel
from .losses import Evaluation
from .price import Price
from .scoring import at_once, batches

FEWEST = 2000
"""Fewer tokens than that tell too little of a loss."""
HIDDEN = 128
"""A hidden layer of usual size is so much work for a token, in tokens of the vocabulary."""


def evaluate(model: LanguageModel, vocabulary: Vocabulary, lines: Sequence[str]) -> Evaluation:
    """Find the loss of a model on lines, also if they hold something that is not in the vocabulary.

    Of lines with labels it is the loss given these.
    """
    reading, price, words = vocabulary.read(lines), Price(vocabulary), vocabulary.noun == "word"
    stream, new = reading.stream, len(reading.pieces)
    spelling = float(price.spelling(reading.pieces).sum())
    nats, ends = _nats_of_stream(model, stream, words)
    tokens = len(stream) - 1
    if isinstance(vocabulary, Labelled):
        nats, tokens = nats - nats_of_labels(model, stream), tokens - len(lines)
        lines = [without_label(line) for line in lines]
    nats += spelling + price.new * new + price.known * tokens
    return Evaluation(
        nats,
        characters=sum(map(len, lines)) + len(lines),
        tokens=tokens + (0 if price.predicted else new),
        lines=len(lines),
        spelling=0.0 if vocabulary.rare is None else spelling,
        ends=ends + price.known * len(lines) if words else 0.0,
        new=new,
    )


def _nats_of_stream(model: LanguageModel, stream: np.ndarray, ends: bool) -> tuple[float, float]:
    """Give minus the log-probability of a stream, and, if they are asked for, of its line ends alone."""
    if isinstance(model, NgramModel):  # many times as fast as a row for every position
        return model.nats_of_stream(stream), model.nats_of_ends(stream) if ends else 0.0
    nats, of_ends = 0.0, 0.0
    for _, tokens, targets, lengths in batches(stream, at_once(model.vocabulary_size)):
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        logs = model.score(tokens, targets)
        nats -= float(logs[inside].sum())
        of_ends -= float(logs[inside & (targets == 0)].sum()) if ends else 0.0
    return nats, of_ends


def nats_of_labels(model: LanguageModel, stream: np.ndarray) -> float:
    """Give minus the log-probability of the first tokens of all lines, which are their labels."""
    row = model.log_probabilities(np.zeros((1, 1), np.int64))[0, 0]
    return -float(row[first_tokens(stream)].sum())


def enough(lines: Sequence[str], vocabulary: Vocabulary, work: int) -> Sequence[str]:
    """The first of these lines, as many as a network can judge with so much work; about `FEWEST` tokens at least.

    Work is tokens times the size of the vocabulary, which a hidden layer makes `HIDDEN` larger. A split has
    shuffled the lines, so the first ones say of a model what all would say, if less exactly.
    """
    return first_of(lines, max(FEWEST, work // (vocabulary.size + HIDDEN)))


def first_of(lines: Sequence[str], most: int) -> Sequence[str]:
    """The first lines that have so many characters in all, their ends counted; one at least.

    No unit but bytes has more tokens than that.
    """
    ends = accumulate(len(line) + 1 for line in lines)
    return lines[: max(1, sum(1 for _ in takewhile(most.__ge__, ends)))]
