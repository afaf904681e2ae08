"""What a model thinks of given lines: the log-probability of every token, and of the whole line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.typed import typed_line
from ..data.vocabulary import Vocabulary
from ..models.contract import LanguageModel

TOKENS_AT_ONCE = 1 << 15
NATS_PER_BIT = float(np.log(2.0))


@dataclass(frozen=True)
class Score:
    """One line. `nats` (tokens + 1,): minus the log-probability of each token, then of the line's end."""

    line: str
    tokens: np.ndarray
    nats: np.ndarray

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
        return [vocabulary.symbol(token) for token in [*self.tokens.tolist(), 0]]

    def to_json(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """The score as one JSON object; `bits` is the surprise of each symbol."""
        return {
            "line": self.line,
            "log_probability": self.log_probability,
            "bits_per_char": self.bits_per_char,
            "symbols": self.symbols(vocabulary),
            "bits": self.bits.tolist(),
        }


@dataclass(frozen=True)
class Step:
    """One token of a line: its probability after what stood before it, its rank, and what was likelier."""

    symbol: str
    probability: float
    rank: int
    expected: list[tuple[str, float]]

    @property
    def bits(self) -> float:
        """The surprise."""
        return -float(np.log2(self.probability))

    def to_json(self) -> dict[str, Any]:
        """The step as one JSON object."""
        return {
            "symbol": self.symbol,
            "probability": self.probability,
            "bits": self.bits,
            "rank": self.rank,
            "expected": [{"symbol": symbol, "probability": p} for symbol, p in self.expected],
        }


def explain_line(model: LanguageModel, vocabulary: Vocabulary, line: str, top: int = 5) -> list[Step]:
    """Every token of a line and its end, with the `top` likeliest ones at that place."""
    stream = vocabulary.encode([typed_line(line.strip(), "the line")])
    rows = np.exp(model.log_probabilities(stream[None, :-1])[0])
    steps = []
    for row, token in zip(rows, stream[1:].tolist(), strict=True):
        order = np.argsort(-row, kind="stable")
        expected = [(vocabulary.symbol(int(one)), float(row[one])) for one in order[:top]]
        rank = 1 + int(np.flatnonzero(order == token)[0])
        steps.append(Step(vocabulary.symbol(token), float(row[token]), rank, expected))
    return steps


def score_lines(model: LanguageModel, vocabulary: Vocabulary, lines: Sequence[str]) -> Iterator[Score]:
    """Score lines, in their order. `DataError` if a line holds something the model does not know."""
    stream = vocabulary.encode(lines)
    scores: list[Score | None] = [None] * len(lines)
    for numbers, tokens, targets, lengths in batches(stream):
        nats = -model.score(tokens, targets)
        for number, row, target, length in zip(numbers, nats, targets, lengths, strict=True):
            scores[number] = Score(lines[number], target[: length - 1], row[:length])
    return (score for score in scores if score is not None)


def batches(
    stream: np.ndarray, tokens_at_once: int = TOKENS_AT_ONCE
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Cut a stream `0 line 0 line 0` into batches of lines of similar length.

    Yields line numbers (B,), tokens (B, T) that start with the boundary, targets (B, T), and the number of
    targets of each line (B,), its end included; beyond that a row holds padding.
    """
    ends = np.flatnonzero(stream == 0)
    lengths = np.diff(ends)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        cells = np.arange(1, len(order) - start + 1) * lengths[order[start:]]  # if the batch ended here
        stop = start + max(1, int(np.searchsorted(cells, tokens_at_once, side="right")))
        numbers = order[start:stop]
        width = int(lengths[numbers[-1]])
        places = ends[numbers][:, None] + np.arange(width + 1)
        rows = stream[np.minimum(places, len(stream) - 1)]
        rows[np.arange(width + 1) > lengths[numbers][:, None]] = 0
        yield numbers, rows[:, :-1], rows[:, 1:], lengths[numbers]
        start = stop
