"""How good a model is: on held-out lines, and by what it makes.

Losses are averages over all characters, the end of every line counted as one, whatever the model's tokens are:
so models of characters, bytes and words compare. Perplexity is per token, as in the literature (per character
for characters, per word for words, the end of the line included).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..data.vocabulary import Vocabulary
from ..models.contract import LanguageModel
from ..models.ngram import NgramModel
from ..models.ngram_counts import Counts
from .config import SamplingConfig
from .sampling import sample
from .scoring import NATS_PER_BIT, batches


@dataclass(frozen=True)
class Evaluation:
    """Losses on some lines. `characters` and `tokens` count the line ends too."""

    nats: float
    characters: int
    tokens: int

    @property
    def nats_per_char(self) -> float:
        """Mean surprise of a character in nats."""
        return self.nats / self.characters

    @property
    def bits_per_char(self) -> float:
        """The same in bits."""
        return self.nats_per_char / NATS_PER_BIT

    @property
    def perplexity(self) -> float:
        """exp(nats per token): among how many equally likely tokens the model hesitates."""
        return float(np.exp(self.nats / self.tokens))


def evaluate(model: LanguageModel, vocabulary: Vocabulary, lines: Sequence[str]) -> Evaluation:
    """The loss of a model on lines. `DataError` if they hold something that is not in the vocabulary."""
    stream = vocabulary.encode(lines)
    if isinstance(model, NgramModel):  # n-grams that stand many times are looked up once, sorted as the model is
        nats = model.nats_per_token(Counts.of(stream, model.order, vocabulary.size)) * (len(stream) - 1)
    else:
        nats = 0.0
        for _, tokens, targets, lengths in batches(stream):
            inside = np.arange(targets.shape[1]) < lengths[:, None]
            nats -= float(model.score(tokens, targets)[inside].sum())
    return Evaluation(nats, sum(map(len, lines)) + len(lines), len(stream) - 1)


def unique_and_novel(
    model: LanguageModel, vocabulary: Vocabulary, training: Iterable[str], k: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """unique@k and novel@k: of k lines made, the fraction that are different, and that are not training lines."""
    lines = [made.text for made in islice(sample(model, vocabulary, SamplingConfig(seed=seed)), k)]
    known = set(training)
    return len(set(lines)) / len(lines), sum(line not in known for line in lines) / len(lines)
