"""What a new character, word or other token costs: the chance of meeting something new, and then which one it is.

Models know the tokens of the training lines. A line that is judged may hold more, and a price that is infinite,
or none at all, would make losses incomparable. So a model never sees what is new, its context goes on as if
that were not there, and beside the model stands `Escape`: with its chance something new comes and is spelled,
else the model's token.

    a token t       p(t | context) · (1 - chance)
    a new character chance / how many characters there are without a token
    a new word      chance · P(its letters)

All these sum to one. A new word is spelled by the letters of those of the training lines, each of them once
(`Speller`), and a letter that none of them has costs what a new character costs. A vocabulary with an unknown word
has the model say how likely that is, and such a word pays for its letters only. A new grapheme, or what else a
pattern makes a token, is spelled as a word is, by its characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from ..data.escape import CODE_POINTS
from ..data.labels import plain
from ..data.vocabulary.characters import Characters
from ..data.vocabulary.protocol import Vocabulary
from ..models.ngram.config import NgramConfig
from ..models.ngram.counts import Counts
from ..models.ngram.model import NgramModel

ORDER_OF_LETTERS = 7
"""Of the n-gram that spells. Fitted discounts take four times as long and win 0.1 of 15 nats (bench/units.py)."""


class Speller:
    """The letters of words or other pieces without a token: P(word), given that it is none of the `known` ones.

    An n-gram of the letters of all words, the `rare` ones and those that are `known`, each of them once, says how
    likely a word is; what it would give to the words that have tokens, or to no letters at all, the others share.
    New words look more like rare ones than like frequent ones, but an n-gram of the rare ones alone has fewer to
    learn from and is worse: by 0.9 of 18 nats a word in Brown, by 7 of 16 for graphemes of Hindi.
    """

    def __init__(self, rare: Iterable[str], known: Sequence[str]) -> None:
        words = sorted({*rare, *known})
        self._letters = Characters.of(words)
        self._price = Price(self._letters)
        config = NgramConfig(order=ORDER_OF_LETTERS, smoothing="closed-form")
        stream = self._letters.encode(words)
        counts = Counts.of(stream, ORDER_OF_LETTERS, self._letters.size)
        self._model = NgramModel.estimate(counts, config)
        mass = math.fsum(np.exp(-self._nats([*known, ""])))
        self._rest = math.log1p(-mass)

    def nats(self, words: Sequence[str]) -> np.ndarray:
        """Give minus the log-probability of each word (U,), none of which is known."""
        different = list(dict.fromkeys(words))
        nats = dict(zip(different, (self._nats(different) + self._rest).tolist(), strict=True))
        return np.array([nats[word] for word in words])

    def _nats(self, words: Sequence[str]) -> np.ndarray:
        """Give the same where a word may also be known."""
        reading = self._letters.read(words)
        stream = reading.stream.astype(np.int64)
        # What an n-gram knows of a position ends at the boundary before it, so a stream may be one long row.
        letters = self._price.known - self._model.score(stream[None, :-1], stream[None, 1:])[0]
        ends = np.flatnonzero(stream == 0)
        nats: np.ndarray = np.add.reduceat(letters, ends[:-1])
        np.add.at(nats, reading.lines, self._price.of(reading.pieces))
        return nats


@dataclass(frozen=True)
class Price:
    """What the tokens of a vocabulary pay for what has no token, and what that costs; all in nats."""

    vocabulary: Vocabulary

    @property
    def predicted(self) -> bool:
        """Tell whether the model itself says how likely an unknown word is."""
        return bool(self.vocabulary.never_sampled)

    @property
    def known(self) -> float:
        """Say what every token pays, the end of a line too."""
        return 0.0 if self.predicted else self.vocabulary.escape.known_nats

    @property
    def new(self) -> float:
        """Say what it costs to meet something new, before it is spelled."""
        return 0.0 if self.predicted else self.vocabulary.escape.new_nats

    def spelling(self, pieces: Sequence[str]) -> np.ndarray:
        """Give the cost of saying which one it is, of each new character or word (U,)."""
        if not pieces:
            return np.zeros(0)
        vocabulary = plain(self.vocabulary)
        if vocabulary.rare is not None:
            return _speller_of(vocabulary, vocabulary.rare).nats(pieces)
        # Where bytes stand for some, these are among the others too: it costs a trace too much.
        return np.full(len(pieces), math.log(CODE_POINTS - len(vocabulary.known)))

    def of(self, pieces: Sequence[str]) -> np.ndarray:
        """Say what each new character or word (U,) costs, beside what the model says of the unknown word."""
        return self.new + self.spelling(pieces)


_SPELLERS: WeakKeyDictionary[Vocabulary, Speller] = WeakKeyDictionary()


def _speller_of(vocabulary: Vocabulary, rare: Sequence[str]) -> Speller:
    """Make the speller of a vocabulary when the first new word is met, and only once."""
    if vocabulary not in _SPELLERS:
        _SPELLERS[vocabulary] = Speller(rare, vocabulary.known)
    return _SPELLERS[vocabulary]
