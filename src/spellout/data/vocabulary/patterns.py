"""Tokens that a regular expression matches: `--tokens PATTERN`. What it does not match is taken by character.

A run keeps the expression, and reads by it: it is no code, and its longest matches are found in a bounded time,
whoever wrote it (see `expressions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import UsageError
from ..expressions.longest import Longest
from ..typed import typed_line

NAMED = {"smiles": r"\[[^\]]+\]|Br|Cl|%\d\d|%\(\d+\)"}
"""Expressions that have a name.

`smiles` takes as one token what SMILES writes in several characters: an atom in brackets, the halogens of two
letters, and ring numbers of two digits, as Schwaller et al. 2018 do ("Found in Translation: predicting outcomes
of complex organic chemistry reactions using neural sequence-to-sequence models"). All else is one character."""


class Pattern:
    """Cuts lines into matches of an expression and single characters. ValueError says what is wrong with it."""

    noun = "token"
    between = ""

    def __init__(self, expression: str) -> None:
        self._expression, self._longest = expression, Longest(expression)

    @property
    def flag(self) -> str:
        """Give the flag, with a name if the expression has one."""
        return "--tokens " + next(
            (name for name, one in NAMED.items() if one == self._expression), self._expression
        )

    def knowing(self, tokens: Sequence[str]) -> Pattern:
        """Give the same: what matches does so whatever the vocabulary."""
        return self

    def cut(self, line: str) -> list[str]:
        """The line's tokens."""
        return self._longest.cut(line)

    def read_again(self, line: str) -> list[str]:
        """The line's tokens."""
        return self._longest.cut(line)

    def to_json(self) -> dict[str, Any]:
        """Give the unit and the expression."""
        return {"unit": "token", "pattern": self._expression}


def pattern_of(asked: str) -> Pattern:
    """Understand what `--tokens` asks for: a name, or an expression. `UsageError` says what is wrong with it."""
    expression = NAMED.get(asked, typed_line(asked, "--tokens"))
    try:
        return Pattern(expression)
    except ValueError as error:
        shown = f"{asked[:40]}…" if len(asked) > 40 else asked
        raise UsageError(
            f"--tokens {shown}: not a regular expression of tokens: {error}; known by name: {', '.join(NAMED)}"
        ) from None
