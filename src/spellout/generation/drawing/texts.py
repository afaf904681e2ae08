"""From tokens to texts, many lines at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np

from ...data.vocabulary.characters import Characters
from ...data.vocabulary.protocol import Vocabulary

Texts = Callable[[np.ndarray], list[str | None]]
"""Tokens (B, T), padded with boundaries, to B texts; None for one that reading a file could not give."""


def texts_of(vocabulary: Vocabulary) -> Texts:
    """Find the fastest way to decode lines of a vocabulary."""
    if isinstance(vocabulary, Characters) and not vocabulary.bytes:
        return _OfCharacters(vocabulary)
    return lambda tokens: vocabulary.decode(stream_of(tokens))


def stream_of(tokens: np.ndarray) -> np.ndarray:
    """The stream `line 0 line 0` of tokens (B, T) padded with boundaries, whatever their lengths."""
    lengths = (tokens != 0).sum(axis=1)
    ended = np.column_stack([tokens, np.zeros(len(tokens), tokens.dtype)])
    stream: np.ndarray = ended[np.arange(ended.shape[1]) <= lengths[:, None]]
    return stream


class _OfCharacters:
    """All lines of a block are decoded as one text, each token being one character."""

    def __init__(self, vocabulary: Characters) -> None:
        characters = ["\n", *vocabulary.characters]
        codes = np.array([ord(one) for one in characters])
        narrow = int(codes.max()) < 256
        self._codec = "latin-1" if narrow else "utf-32-le"
        self._codes: np.ndarray = codes.astype(np.uint8 if narrow else "<u4")
        self._spaces = np.array([one.isspace() for one in characters])
        self._spaces[0] = False
        # Characters that are alone what they are may still make others together.
        self._ascii = int(codes.max()) < 128

    def __call__(self, tokens: np.ndarray) -> list[str | None]:
        """Decode lines, none of which is blank."""
        stream = stream_of(tokens)
        text = self._codes[stream].tobytes().decode(self._codec)
        lines: list[str | None] = list(text[:-1].split("\n"))
        if self._spaces.any():
            ends = np.flatnonzero(stream == 0)
            starts = np.concatenate([[0], ends[:-1] + 1])
            for number in np.flatnonzero(self._spaces[stream[starts]] | self._spaces[stream[ends - 1]]).tolist():
                lines[number] = None
        if not self._ascii and not unicodedata.is_normalized("NFC", text):
            lines = [line if line and unicodedata.is_normalized("NFC", line) else None for line in lines]
        return lines
