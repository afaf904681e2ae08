"""Lines with labels: what is known of a line before its first letter, such as the sex of who has a name.

A label is a token of its own, the first of its line. So a model of lines with labels is a model of lines given
labels: one that reads whole lines sees it, and what looks at the last tokens keeps the first one in view (see
`models/counts/views.py`). It is not printed, and no loss counts it: P(line | label). Which label a line has that is
made, chance decides as often as the training lines have it, or who asks for one.

Until it is encoded, such a line is its label, a tab and the line, as in a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from .escape import Reading
from .sources.config import TAB
from .vocabulary.codes import smallest_dtype
from .vocabulary.protocol import Vocabulary

MOST_LABELS = 1000
"""More are no labels, but probably another column of the lines."""
LABELS_SHOWN = 8


def parted(line: str) -> tuple[str, str]:
    """Cut a line that has a label into both. `DataError` if it has none."""
    label, tab, text = line.partition(TAB)
    if not (label and tab and text):
        raise DataError(f"the line {line[:40]!r} has no label; give it one, or a model that was trained without")
    return label, text


def without_label(line: str) -> str:
    """Give a line that has a label without it."""
    return line.partition(TAB)[2]


class Labelled:
    """Another vocabulary, with a token for each label after those it has. Obeys `vocabulary/protocol.py`.

    Attributes:
        plain: that vocabulary.
        labels: the labels, the most frequent first.
        shares: (labels,) how likely each is, where none is asked for.
    """

    def __init__(self, plain: Vocabulary, times: dict[str, int], only: str | None = None) -> None:
        self.plain, self.times = plain, times
        self.labels = sorted(times, key=lambda label: (-times[label], label))
        counts = np.array([times[label] if only in (None, label) else 0 for label in self.labels], np.float64)
        self.shares: np.ndarray = counts / counts.sum()
        self.noun, self.flag, self.between = plain.noun, plain.flag, plain.between
        self.never_sampled, self.escape, self.rare = plain.never_sampled, plain.escape, plain.rare
        self.size = plain.size + len(self.labels)
        self.dtype = smallest_dtype(self.size)
        self._token_of = {label: plain.size + place for place, label in enumerate(self.labels)}

    @property
    def known(self) -> list[str]:
        """What has a token of its own, but for labels."""
        return self.plain.known

    def given(self, label: str) -> Labelled:
        """Give the same where all lines that are made have this label. `UsageError` if no line had it."""
        if label not in self.times:
            raise UsageError(f"--label {label}: no line the model learned from has it; {self.said()}")
        return Labelled(self.plain, self.times, label)

    def said(self) -> str:
        """Name the labels, as the end of a sentence."""
        more = f" and {len(self.labels) - LABELS_SHOWN} more" if len(self.labels) > LABELS_SHOWN else ""
        return f"its labels are {', '.join(self.labels[:LABELS_SHOWN])}{more}"

    def read(self, lines: Sequence[str]) -> Reading:
        """Give the stream of what is known of some lines, and what is not known of them."""
        labels, texts = self._parted(lines)
        reading = self.plain.read(texts)
        stream = self._with(labels, reading.stream)
        return Reading(stream, reading.pieces, reading.lines, reading.positions + 1)

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """Give the stream `0 label line 0 label line 0`. `DataError` names what is not known."""
        labels, texts = self._parted(lines)
        return self._with(labels, self.plain.encode(texts))

    def _parted(self, lines: Sequence[str]) -> tuple[list[int], list[str]]:
        labels, texts = [], []
        for line in lines:
            label, text = parted(line)
            if label not in self._token_of:
                raise DataError(
                    f"the label {label[:40]!r} of {text[:40]!r} is new: no line the model learned from has it; "
                    + self.said()
                )
            labels.append(self._token_of[label])
            texts.append(text)
        return labels, texts

    def _with(self, labels: Sequence[int], stream: np.ndarray) -> np.ndarray:
        """Put labels before the first tokens of the lines of a stream."""
        begins = np.flatnonzero(stream == 0)[:-1] + 1
        return np.insert(stream.astype(self.dtype), begins, np.array(labels, self.dtype))

    def pieces(self, line: str) -> list[str]:
        """List the characters or words of a line, which has no label."""
        return self.plain.pieces(line)

    def decode(self, tokens: np.ndarray) -> list[str | None]:
        """Give the lines of a stream with their labels; None for what reading a file could not give."""
        stream = np.concatenate([np.zeros(int(len(tokens) == 0 or tokens[0] != 0), np.int64), tokens])
        begins = np.flatnonzero(stream == 0)[:-1] + 1
        is_label = stream >= self.plain.size
        spoiled = np.add.reduceat(is_label.astype(np.int64), begins - 1) != 1 if len(begins) else np.zeros(0, bool)
        texts = self.plain.decode(stream[~is_label])
        labels = [
            None if token < self.plain.size else self.labels[token - self.plain.size]
            for token in stream[begins].tolist()
        ]
        return [
            None if text is None or bad or label is None else label + TAB + text
            for text, bad, label in zip(texts, spoiled.tolist(), labels, strict=True)
        ]

    def _label(self, token: int) -> str | None:
        return self.labels[token - self.plain.size] if token >= self.plain.size else None

    def symbol(self, token: int) -> str:
        """Say how a token is shown to people."""
        return self.plain.symbol(token) if token < self.plain.size else self.labels[token - self.plain.size]

    def counted(self, lines: Sequence[str]) -> Labelled:
        """Give the same tokens, with what the training lines tell of what is new."""
        return Labelled(self.plain.counted([without_label(line) for line in lines]), self.times)

    def to_json(self) -> dict[str, Any]:
        """Give what the plain vocabulary needs to be built again, and how often each label was seen."""
        return self.plain.to_json() | {"labels": self.times}


def labelled(lines: Iterable[str], plain: Vocabulary) -> Labelled:
    """Make a vocabulary of lines with labels, from that of the lines without."""
    times = Counter(parted(line)[0] for line in lines)
    if len(times) > MOST_LABELS:
        raise DataError(
            f"there are {len(times):,} different labels, such as {next(iter(times))[:40]!r}; a label is what many "
            "lines share: name another column with --label"
        )
    return Labelled(plain, dict(times))


def first_tokens(stream: np.ndarray) -> np.ndarray:
    """Give the first token of every line of a stream `0 line 0 line 0`."""
    return stream[np.flatnonzero(stream == 0)[:-1] + 1]


def plain(vocabulary: Vocabulary) -> Vocabulary:
    """Give the vocabulary of the lines without their labels."""
    return vocabulary.plain if isinstance(vocabulary, Labelled) else vocabulary


def texts(vocabulary: Vocabulary, lines: Sequence[str]) -> Sequence[str]:
    """Give lines of a vocabulary without their labels, if they have some."""
    return [without_label(line) for line in lines] if isinstance(vocabulary, Labelled) else lines
