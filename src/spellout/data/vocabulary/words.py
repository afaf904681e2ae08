"""White-space separated words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..sources.config import line_ends_apart


class WhiteSpace:
    """Cuts lines where there is white space; one space joins words again, whatever stood there.

    What stands for a line end is a word by itself, also without white space around it.
    """

    noun = "word"
    flag = "--unit word"
    between = " "

    def knowing(self, tokens: Sequence[str]) -> WhiteSpace:
        """Give the same: words are words whatever the vocabulary."""
        return self

    def cut(self, line: str) -> list[str]:
        """The line's words."""
        return line_ends_apart(line, self.between).split()

    def read_again(self, line: str) -> list[str]:
        """The line's words."""
        return line_ends_apart(line, self.between).split()

    def to_json(self) -> dict[str, Any]:
        """Give the unit."""
        return {"unit": "word"}
