"""How good a model is on held-out lines.

Nats and bits are averages over all characters, the end of every line counted as one, whatever the model's
tokens are, and what no training line held is paid for, an unknown word letter by letter (see `price`): so
models of characters, bytes and words compare, of a words model all but where the white space is wider than a
space.

Perplexity is per token, as in the literature: per character for characters, per word for words, where an
unknown word is one token, whichever it is. So it compares between models of one vocabulary only. For words the
literature gives it with the line ends counted as tokens or without them; both are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import accumulate, takewhile
from typing import Any, Literal

import numpy as np

from ..data.labels import Labelled, first_tokens, without_label
from ..data.prepared import Prepared
from ..data.vocabulary.protocol import Vocabulary
from ..models.contract import LanguageModel
from ..models.ngram.model import NgramModel
from .price import Price
from .scoring import NATS_PER_BIT, at_once, batches

JUDGING = 1 << 29
"""The work of judging a result (see `enough`): for three million characters, or fifty thousand words."""
FEWEST = 2000
"""Fewer tokens than that tell too little of a loss."""
HIDDEN = 128
"""A hidden layer of usual size is so much work for a token, in tokens of the vocabulary."""


@dataclass(frozen=True)
class Evaluation:
    """Losses on so many `lines`. `characters` and `tokens` count the line ends too.

    Of the `nats`, `spelling` say which unknown word it is, and `ends` are those of the line ends, which are
    told for words only. `new` tokens are characters or words without a token of their own.
    """

    nats: float
    characters: int
    tokens: int
    lines: int
    spelling: float = 0.0
    ends: float = 0.0
    new: int = 0

    def __add__(self, other: Evaluation) -> Evaluation:
        """The losses on both, if no line is in both."""
        return Evaluation(*[mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)])

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
        return float(np.exp((self.nats - self.spelling) / self.tokens))

    @property
    def perplexity_without_ends(self) -> float | None:
        """Give the same of the words alone, without the ends of lines; None for characters and bytes."""
        if not self.ends:
            return None
        return float(np.exp((self.nats - self.spelling - self.ends) / (self.tokens - self.lines)))

    def to_json(self) -> dict[str, float | None]:
        """Give the losses, and on how many lines, as JSON holds them."""
        names = (
            "nats_per_char",
            "bits_per_char",
            "perplexity",
            "perplexity_without_ends",
            "lines",
            "tokens",
            "new",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Conditional:
    """The loss of a model of new lines, or of two parts.

    Attributes:
        result: the loss.
        mass: what the model as it is gives to the training lines together.
        error: the standard error of the mass, if it was estimated; else 0.
        chance: of a line that was seen before; None if lines do not recur.
        sharpness: the power that the model's chances are taken to.
    """

    result: Evaluation
    mass: float
    error: float = 0.0
    chance: float | None = None
    sharpness: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Give the loss and what it rests on, as JSON holds them."""
        more = {
            "mass": self.mass,
            "mass_error": self.error,
            "chance_seen": self.chance,
            "sharpness": self.sharpness,
        }
        return self.result.to_json() | more


def judging(prepared: Prepared, part: Literal["dev", "test"] = "dev", work: int = JUDGING) -> Sequence[str]:
    """Choose the lines of a part that judge: the first ones, as many as so much work allows, or all.

    Results on lines that were given are to compare with what others publish: then all judge, whatever it costs.
    """
    lines = {"dev": prepared.split.dev, "test": prepared.split.test}[part]
    return lines if part in prepared.given and work == JUDGING else enough(lines, prepared.vocabulary, work)


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
