"""Tokens that are parts of lines: words, graphemes, or what a pattern matches, as a rule cuts them.

There is one token for each different piece of the training lines, and one for all pieces rarer than `min_count`,
which is never sampled. Ids: 0 the boundary, 1 the unknown piece if there is one, then the pieces.

What a model makes is a sequence of tokens, and two of them side by side may be a text that the rule would cut
elsewhere: `C` and `l` are `Cl`. Such a text has a sequence of its own, which the model is asked about when the text
is scored, so those that are cut elsewhere are no lines: `decode` gives None, and others are made.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from ...errors import DataError
from ..escape import Escape, Reading
from .codes import could_be_read, smallest_dtype
from .protocol import not_one_line

UNKNOWN = "<unknown>"


class Rule(Protocol):
    """How lines are cut, and how their pieces become lines again."""

    @property
    def noun(self) -> str:
        """What people call a piece."""

    @property
    def flag(self) -> str:
        """What asks for it on the command line."""

    @property
    def between(self) -> str:
        """What stands between two pieces of a line that was made."""

    def knowing(self, tokens: Sequence[str]) -> Rule:
        """Give the rule as it is for a vocabulary of these pieces."""

    def cut(self, line: str) -> list[str]:
        """The pieces of a line."""

    def read_again(self, line: str) -> list[str] | None:
        """The pieces of a line that is made of known ones; None if it is not read as such."""

    def to_json(self) -> dict[str, Any]:
        """What tells the rule from others in a run folder."""


class Pieces:
    """Pieces of lines by a rule."""

    def __init__(
        self,
        rule: Rule,
        pieces: Iterable[str],
        unknown: bool = False,
        escape: Escape | None = None,
        rare: Iterable[str] = (),
    ) -> None:
        self._pieces = list(pieces)
        self.rule = rule.knowing(self._pieces)
        self.noun, self.flag, self.between = rule.noun, rule.flag, rule.between
        self.unknown = unknown
        self.never_sampled: tuple[int, ...] = (1,) if unknown else ()
        self._symbols = ["¶", *([UNKNOWN] if unknown else []), *self._pieces]
        self.size = len(self._symbols)
        self.escape = escape or Escape(self.size, 0)
        self.rare: list[str] | None = list(rare)
        self.dtype = smallest_dtype(self.size)
        self._token_of = dict(zip(self._pieces, range(1 + unknown, self.size), strict=True))

    @property
    def known(self) -> list[str]:
        """The pieces."""
        return self._pieces

    @classmethod
    def of(cls, rule: Rule, lines: Iterable[str], min_count: int = 1) -> Pieces:
        """The pieces of some lines, sorted; those seen fewer than `min_count` times become one unknown piece."""
        lines = list(lines)
        counts = Counter(piece for line in lines for piece in rule.cut(line))
        pieces = sorted(piece for piece, count in counts.items() if count >= min_count)
        if not pieces:
            raise DataError(
                f"no {rule.noun} stands {min_count} times or more in these lines; use a lower --min-count"
            )
        return cls(rule, pieces, len(pieces) < len(counts))._counted(counts, len(lines))

    def counted(self, lines: Sequence[str]) -> Pieces:
        """Give the same tokens, with what some lines tell of what is new."""
        return self._counted(Counter(piece for line in lines for piece in self.pieces(line)), len(lines))

    def _counted(self, counts: Counter[str], lines: int) -> Pieces:
        escape = Escape.of_counts(np.array([lines, *counts.values()]))
        most = max((count for piece, count in counts.items() if piece not in self._token_of), default=1)
        rare = sorted(piece for piece, count in counts.items() if count <= most)
        return Pieces(self.rule, self._pieces, self.unknown, escape, rare)

    def read(self, lines: Sequence[str]) -> Reading:
        """Give the stream of the pieces that are known, or of the unknown piece, and those that are not known."""
        tokens = array("I", [0])  # a list of numbers would take eight times the memory
        found: list[tuple[str, int, int]] = []
        for number, line in enumerate(lines):
            if "\n" in line:
                raise not_one_line([line])
            start = len(tokens)
            for piece in self.rule.cut(line):
                token = self._token_of.get(piece)
                if token is None:
                    found.append((piece, number, len(tokens) - start))
                    if self.unknown:
                        tokens.append(1)
                else:
                    tokens.append(token)
            tokens.append(0)
        return Reading.of(np.frombuffer(tokens, np.uintc).astype(self.dtype), found)

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """Give the stream `0 line 0 line 0`; a new piece is the unknown one if there is one, else a `DataError`."""
        reading = self.read(lines)
        if reading.pieces and not self.unknown:
            line = int(reading.lines[0])
            where = f"line {line + 1}" if len(lines) > 1 else repr(lines[0][:40])
            rare = ", or train with --min-count 2, so that rare words share one" * (self.noun == "word")
            raise DataError(
                f"the {self.noun} {reading.pieces[0][:40]!r} in {where} is not in any of the lines "
                f"the model was trained on; take it out{rare}"
            )
        return reading.stream

    def pieces(self, line: str) -> list[str]:
        """The line's pieces."""
        return self.rule.cut(line)

    def decode(self, tokens: np.ndarray) -> list[str | None]:
        """The lines of a stream; None for what no file could give, or what would be read as other tokens."""
        lines: list[str | None] = []
        ends = np.flatnonzero(tokens == 0)
        for start, end in zip([0, *(ends[:-1] + 1)], ends, strict=True):
            # nothing before the first boundary is the start of the stream, and no blank line
            if end > start or start > 0:
                lines.append(self._line([self._symbols[token] for token in tokens[start:end]]))
        return lines

    def _line(self, pieces: list[str]) -> str | None:
        text = self.rule.between.join(pieces)
        return text if could_be_read(text) and self.rule.read_again(text) == pieces else None

    def symbol(self, token: int) -> str:
        """The piece, `¶` for the boundary, `<unknown>` for the unknown one."""
        return self._symbols[token]

    def to_json(self) -> dict[str, Any]:
        """Give the rule, the pieces in the order of their tokens, whether there is an unknown one, and of new ones
        what tells how likely they are and what they may look like."""
        name = "words" if self.noun == "word" else "pieces"
        tokens = {name: self._pieces, "unknown": self.unknown}
        return {**self.rule.to_json(), **tokens, "seen": asdict(self.escape), "rare": self.rare}
