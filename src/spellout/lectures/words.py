"""Words, as in the paper behind the second lecture: Bengio et al. 2003, "A Neural Probabilistic Language Model".

The paper's text is the Brown corpus (Francis & Kucera 1964): the first 800,000 words to train on, the next 200,000
to choose by, the rest to test; words seen at most three times are one unknown word. Its best n-gram had a test
perplexity of 312, its network mixed with a trigram 252, which is 0.81 times as much. Cut and vocabulary here are
not the same to the word, so what compares is the ratio.

A mixture gives each word the weighted mean of what the network and the n-gram say. Its weight has the highest
likelihood on training lines that neither has learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.prepared import Prepared
from ..data.splits import Split
from ..data.vocabulary.building import build_vocabulary
from ..generation.scoring import batches
from ..models.contract import Callback, LanguageModel
from ..models.family import Specification
from ..models.ngram.config import NgramConfig
from ..models.ngram.model import NgramModel
from ..models.ngram.training import train_ngram
from ..training.config import TrainingConfig
from ..training.job import Job
from ..training.train import train

PAPER_NGRAM, PAPER_NETWORK = 312.0, 252.0
MIN_COUNT = 4
ORDERS = (2, 3, 4, 5, 6)
"""Among these the best one on dev lines is the n-gram to compare with."""
NETWORK = "mlp:200:context=5:embedding=100:tied=yes:dropout=0.3:weight_decay=0:lr=0.003"
"""The paper's network as one would build it now: vectors that also give the logits, and dropout."""
SECONDS = 400.0
"""How long it learns, unless something else is asked for."""
HELD_OUT = 20
"""One in so many training lines is held out for the weight of a mixture: the last ones, which are other texts, as
dev and test lines are. Lines from between the others favour the n-gram: a weight of 0.54 where 0.7 is best."""
_HALVINGS = 30


@dataclass(frozen=True)
class Perplexity:
    """exp(nats per token): line ends counted as words (`every`), and without them (`words`)."""

    every: float
    words: float

    @classmethod
    def of(cls, nats: np.ndarray, stream: np.ndarray) -> Perplexity:
        """Find it from the nats (N,) of every token of a stream but the first."""
        return cls(float(np.exp(nats.mean())), float(np.exp(nats[stream[1:] != 0].mean())))


@dataclass(frozen=True)
class Mixture:
    """A network, an n-gram of all training lines, and the weight of the network; `facts` are of its training."""

    network: LanguageModel
    ngram: NgramModel
    weight: float
    facts: dict[str, Any]

    def nats(self, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the nats of every token but the first, (N,) each, of the network alone and of the mixture."""
        alone = nats_of(self.network, stream)
        return alone, mixed(alone, nats_of(self.ngram, stream), self.weight)


def brown(folder: Path) -> Prepared:
    """Read the text of a folder with `train.txt` and `valid.txt`. `DataError` if one is missing."""
    train_lines, dev = (Lines.read(folder / name) for name in ("train.txt", "valid.txt"))
    return prepared_words(train_lines, dev.in_file_order())


def prepared_words(lines: Lines, dev: Sequence[str], test: Sequence[str] = ()) -> Prepared:
    """Training lines with dev and test lines from elsewhere, by words; the vocabulary is the training lines'."""
    words = lines.in_file_order()
    vocabulary = build_vocabulary(words, "word", MIN_COUNT)
    config = DataConfig(unit="word", min_count=MIN_COUNT, split="none")
    return Prepared(
        lines, config, Split(words, list(dev), list(test), "none"), vocabulary, vocabulary.encode(words)
    )


def ngrams(prepared: Prepared, callback: Callback = lambda event: None) -> list[tuple[Perplexity, NgramModel]]:
    """Train the n-grams of `ORDERS`, and give each with its perplexity on dev lines."""
    stream, size = prepared.vocabulary.encode(prepared.split.dev), prepared.vocabulary.size
    models = [train_ngram(prepared.stream, size, NgramConfig(order=order), callback)[0] for order in ORDERS]
    return [(Perplexity.of(nats_of(model, stream), stream), model) for model in models]


def best_ngram(found: Sequence[tuple[Perplexity, NgramModel]]) -> tuple[Perplexity, NgramModel]:
    """Choose the one with the lowest perplexity."""
    return min(found, key=lambda one: one[0].every)


def mixture(
    prepared: Prepared, ngram: NgramModel, network: Specification, training: TrainingConfig, callback: Callback
) -> Mixture:
    """Train a network on most training lines, and weigh it against the n-gram on the others."""
    lines = prepared.split.train
    cut = len(lines) - max(1, len(lines) // HELD_OUT)
    kept, held_out = lines[:cut], lines[cut:]
    vocabulary = prepared.vocabulary
    most = Prepared(
        prepared.lines,
        prepared.config,
        Split(kept, prepared.split.dev, prepared.split.test, prepared.split.name),
        vocabulary,
        vocabulary.encode(kept),
    )
    trained = train(Job(most, network, training, callback))
    config = NgramConfig(order=ngram.order)
    other = train_ngram(most.stream, vocabulary.size, config, callback)[0]
    stream = vocabulary.encode(held_out)
    weight = fitted_weight(nats_of(trained.run.model, stream), nats_of(other, stream))
    return Mixture(trained.run.model, ngram, weight, trained.run.facts["results"])


def nats_of(model: LanguageModel, stream: np.ndarray) -> np.ndarray:
    """Give the surprise (N,) of every token of a stream `0 line 0 line 0` but the first, in order."""
    nats = np.empty(len(stream) - 1)
    starts = np.flatnonzero(stream == 0)
    for numbers, tokens, targets, lengths in batches(stream):
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        places = starts[numbers][:, None] + np.arange(targets.shape[1])
        nats[places[inside]] = -model.score(tokens, targets)[inside]
    return nats


def mixed(network: np.ndarray, ngram: np.ndarray, weight: float) -> np.ndarray:
    """Give the nats (N,) of the weighted mean of two probabilities, from the nats of both."""
    return -np.log(weight * np.exp(-network) + (1.0 - weight) * np.exp(-ngram))


def fitted_weight(network: np.ndarray, ngram: np.ndarray) -> float:
    """Find the weight of the network with which a mixture has the fewest nats on some tokens."""
    one, other = np.exp(-network), np.exp(-ngram)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):  # the likelihood is concave in the weight: its slope falls
        middle = (low + high) / 2
        slope = float(((one - other) / (middle * one + (1.0 - middle) * other)).mean())
        low, high = (middle, high) if slope > 0 else (low, middle)
    return (low + high) / 2
