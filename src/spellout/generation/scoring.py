"""What a model thinks of given lines: the log-probability of every token, and of the whole line.

What no training line held has a price as well (see `price`), and the model reads on as if it were not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.labels import Labelled, parted
from ..data.sources.config import TAB
from ..data.typed import typed_line
from ..data.vocabulary.protocol import Vocabulary
from ..models.contract import LanguageModel
from ..models.softmax import checked
from .losses import NATS_PER_BIT
from .price import Price

TOKENS_AT_ONCE = 1 << 15
PROBABILITIES_AT_ONCE = 1 << 25
"""Of a large vocabulary so few tokens are scored at once that no more than these are in memory together."""


@dataclass(frozen=True)
class Score:
    """One line. `nats` (tokens + 1,): minus the log-probability of each token, then of the line's end.

    A character or word without a token, as no training line held it, is -1 in `tokens`, and `unknown` holds all
    such in their order. The others are scored as if it were not there, or stood for the unknown word.
    """

    line: str
    tokens: np.ndarray
    nats: np.ndarray
    unknown: tuple[str, ...] = ()
    label: str | None = None

    @property
    def given(self) -> str:
        """Give the line as it was to be scored, with its label if it has one."""
        return self.line if self.label is None else self.label + TAB + self.line

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the probability of the whole line, its end included."""
        return -float(self.nats.sum())

    @property
    def bits(self) -> np.ndarray:
        """The surprise of each token and of the line's end, in bits."""
        return self.nats / NATS_PER_BIT

    @property
    def bits_per_char(self) -> float:
        """Mean surprise of a character, the end of the line counted as one."""
        return float(self.bits.sum()) / (len(self.line) + 1)

    def symbols(self, vocabulary: Vocabulary) -> list[str]:
        """How each scored token is shown, the line's end last."""
        unknown = iter(self.unknown)
        return [next(unknown) if token < 0 else vocabulary.symbol(token) for token in [*self.tokens.tolist(), 0]]

    def to_json(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """The score as one JSON object; `bits` is the surprise of each symbol. What is infinite there is null."""
        return {
            "line": self.line,
            **({} if self.label is None else {"label": self.label}),
            "log_probability": _finite(self.log_probability),
            "bits_per_char": _finite(self.bits_per_char),
            "symbols": self.symbols(vocabulary),
            "bits": [_finite(bits) for bits in self.bits.tolist()],
            "unknown": list(self.unknown),
        }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Prediction:
    """One token of a line: its log-probability after what stood before it, its rank, and what was likelier.

    `new` says that no training line held it: then there is no token, and its rank is among those that are.
    """

    symbol: str
    log_probability: float
    rank: int
    expected: list[tuple[str, float]]
    new: bool = False

    @property
    def probability(self) -> float:
        """0 where float64 has no smaller number, while `bits` still tells how little it is."""
        return float(np.exp(self.log_probability))

    @property
    def bits(self) -> float:
        """The surprise."""
        return -self.log_probability / NATS_PER_BIT

    def to_json(self) -> dict[str, Any]:
        """The prediction as one JSON object."""
        return {
            "symbol": self.symbol,
            "probability": self.probability,
            "bits": self.bits,
            "rank": self.rank,
            "new": self.new,
            "expected": [{"symbol": symbol, "probability": p} for symbol, p in self.expected],
        }


def explain_line(model: LanguageModel, vocabulary: Vocabulary, line: str, top: int = 5) -> list[Prediction]:
    """Every token of a line and its end, with the `top` likeliest ones at that place."""
    (score,) = score_lines(model, vocabulary, [typed_line(line.strip(), "the line")])
    stream = vocabulary.read([score.given]).stream
    rows = checked(model.log_probabilities(stream[None, :-1])[0]) - Price(vocabulary).known
    if isinstance(vocabulary, Labelled):
        rows = rows[1:]
    predictions, position = [], 0
    for symbol, token, nats in zip(score.symbols(vocabulary), [*score.tokens.tolist(), 0], score.nats, strict=True):
        row, log = rows[position], float(-nats if token < 0 else rows[position, token])
        order = np.argsort(-row, kind="stable")
        expected = [(vocabulary.symbol(int(one)), float(np.exp(row[one]))) for one in order[:top]]
        rank = 1 + int((row > log).sum() if token < 0 else np.flatnonzero(order == token)[0])
        predictions.append(Prediction(symbol, log, rank, expected, new=token < 0))
        if token >= 0 or Price(vocabulary).predicted:
            position += 1
    return predictions


def score_lines(model: LanguageModel, vocabulary: Vocabulary, lines: Sequence[str]) -> Iterator[Score]:
    """Score lines, in their order."""
    reading, price = vocabulary.read(lines), Price(vocabulary)
    new, ends = price.of(reading.pieces), np.searchsorted(reading.lines, np.arange(len(lines) + 1))
    scores: list[Score | None] = [None] * len(lines)
    for numbers, tokens, targets, lengths in batches(reading.stream, at_once(vocabulary.size)):
        nats = price.known - model.score(tokens, targets)
        for number, row, target, length in zip(numbers.tolist(), nats, targets, lengths, strict=True):
            here = slice(ends[number], ends[number + 1])
            positions, surprises = reading.positions[here], checked(row[:length])
            read = target[: length - 1].astype(np.int64)
            if price.predicted:
                read[positions] = -1
                surprises[positions] += new[here]
            else:
                read = np.insert(read, positions, -1)
                surprises = np.insert(surprises, positions, new[here])
            scores[number] = _score(lines[number], read, surprises, tuple(reading.pieces[here]), vocabulary)
    return (score for score in scores if score is not None)


def _score(
    line: str, tokens: np.ndarray, nats: np.ndarray, unknown: tuple[str, ...], vocabulary: Vocabulary
) -> Score:
    """Make the score of a line, of which nothing is counted for its label."""
    if not isinstance(vocabulary, Labelled):
        return Score(line, tokens, nats, unknown)
    label, text = parted(line)
    return Score(text, tokens[1:], nats[1:], unknown, label)


def at_once(vocabulary_size: int) -> int:
    """Say how many tokens are scored at once."""
    return min(TOKENS_AT_ONCE, PROBABILITIES_AT_ONCE // vocabulary_size)


def batches(
    stream: np.ndarray, tokens_at_once: int = TOKENS_AT_ONCE
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Cut a stream `0 line 0 line 0` into batches of lines of similar length.

    Yields line numbers (B,), tokens (B, T) that start with the boundary, targets (B, T), and the number of
    targets of each line (B,), its end included; beyond that a row holds padding.
    """
    ends = np.flatnonzero(stream == 0)
    lengths = np.diff(ends)
    # lines of like length in one batch need little padding
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        cells = np.arange(1, len(order) - start + 1) * lengths[order[start:]]  # if the batch ended here
        stop = start + max(1, int(np.searchsorted(cells, tokens_at_once, side="right")))
        numbers = order[start:stop]
        width = int(lengths[numbers[-1]])
        positions = ends[numbers][:, None] + np.arange(width + 1)
        # the padding of the last line would lie beyond the stream
        rows = stream[np.minimum(positions, len(stream) - 1)]
        rows[np.arange(width + 1) > lengths[numbers][:, None]] = 0
        yield numbers, rows[:, :-1], rows[:, 1:], lengths[numbers]
        start = stop
