"""What every vocabulary does.

Token 0 is the boundary: it starts and ends every line. Lines are encoded into one flat stream,
`0 line 0 line 0 ... 0`, in the smallest unsigned type that holds every id: never one-hot, never padded.

A vocabulary is made of the training lines, and other lines may hold what has no token: `read` says where it stands,
and `escape` how likely that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ...errors import DataError
from ..escape import Escape, Reading


class Vocabulary(Protocol):
    """What every vocabulary does."""

    noun: str
    """What people call a token: character, byte, word, grapheme, token."""
    flag: str
    """What asks for such tokens on the command line."""
    between: str
    """What stands between two tokens of a line that was made."""
    size: int
    """Number of tokens, the boundary included."""
    never_sampled: tuple[int, ...]
    """Tokens that stand for nothing in particular."""
    escape: Escape
    """How likely it is to meet what has no token."""
    rare: list[str] | None
    """Those that were rare in training, with a token or without: new ones are spelled by the letters of these and
    of `known`. None if what is new is a character, and any is as likely."""

    @property
    def known(self) -> list[str]:
        """What has a token of its own, in the order of these."""

    def read(self, lines: Sequence[str]) -> Reading:
        """Give the stream of what is known of some lines, and what is not known of them."""

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """The stream `0 line 0 line 0`, shape (1 + tokens + lines,). `DataError` names what is not known."""

    def pieces(self, line: str) -> list[str]:
        """What a line is made of: each is known or not, whatever stands beside it."""

    def decode(self, tokens: np.ndarray) -> list[str | None]:
        """The lines of a stream; None for one that reading a file could never give, or would give other tokens."""

    def symbol(self, token: int) -> str:
        """How a token is shown to people."""

    def counted(self, lines: Sequence[str]) -> Vocabulary:
        """Give the same tokens, with what the training lines, which they all are, tell of what is new."""

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the vocabulary again, by `vocabulary_from_json`."""


def not_one_line(lines: Sequence[str]) -> DataError:
    """The error for lines of which one has an end inside: it would become two without a word."""
    line = next(line for line in lines if "\n" in line)
    return DataError(f"{line[:40]!r} is not one line; take the line end out")
