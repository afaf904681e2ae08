"""Graphemes: what a reader takes for one character, however many Unicode needs for it.

An emoji with its skin tone, a family of four, a flag, a syllable of Hindi, a letter of Thai with its marks: each is
one extended grapheme cluster (Unicode Standard Annex 29, "Unicode Text Segmentation"). Which characters join takes
Unicode's own tables, which Python's `unicodedata` holds only in part (nothing of emoji, nor of the consonants that
join in a conjunct), so the library `regex` cuts the lines of a training.

Its tables grow with Unicode, and a run must read its lines for ever. So a vocabulary reads by its own tokens as far
as they go, the longest first, which needs no tables. On lines of known clusters that is the same: where a cluster
ends depends on nothing that stands before it, so no longer cluster begins at its place. Only a line that is not
made of tokens alone is cut by the tables, to say which cluster is new.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from ...optional import require
from ..expressions.longest import LONGEST_TOKEN

FLAG_LETTERS = ("\U0001f1e6", "\U0001f1ff")
_JOIN = (
    ("\u0e33", "\u0e33"),  # Thai and Lao am, which Unicode calls letters
    ("\u0eb3", "\u0eb3"),
    ("\u200c", "\u200d"),  # joiners
    ("\uff9e", "\uff9f"),  # marks of narrow katakana
    ("\U0001f3fb", "\U0001f3ff"),  # skin tones
    ("\U000e0020", "\U000e007f"),  # tags
)
_ALONE = (  # whose marks beside a letter are clusters of their own: Myanmar, Tai Tham, Ahom
    ("\u1000", "\u109f"),
    ("\uaa60", "\uaa7f"),
    ("\u1a20", "\u1aaf"),
    ("\U00011700", "\U0001174f"),
)


def joins(character: str) -> bool:
    """Whether a character belongs to the one before it, whatever that is: a mark, a joiner, a skin tone."""
    kind = unicodedata.category(character)
    beside = kind == "Mc" and not _is_in(character, _ALONE)
    return beside or kind in ("Mn", "Me") or _is_in(character, _JOIN)


def is_half_a_flag(character: str) -> bool:
    """Whether a character is a letter of a flag, of which two make one."""
    return len(character) == 1 and _is_in(character, (FLAG_LETTERS,))


def is_part(character: str) -> bool:
    """Whether a character stands for something only together with others."""
    return joins(character) or is_half_a_flag(character)


def _is_in(character: str, ranges: Sequence[tuple[str, str]]) -> bool:
    return any(first <= character <= last for first, last in ranges)


def clusters(line: str) -> list[str]:
    """The extended grapheme clusters of a line. `UsageError` if `regex` is not installed.

    One that is longer than any token may be, a letter under a hundred accents, is cut.
    """
    if line.isascii():
        return list(line)
    whole = _by_tables()(line)
    if all(len(one) <= LONGEST_TOKEN for one in whole):
        return whole
    starts = ((one, start) for one in whole for start in range(0, len(one), LONGEST_TOKEN))
    return [one[start : start + LONGEST_TOKEN] for one, start in starts]


@cache
def _by_tables() -> Callable[[str], list[str]]:
    require("regex", "--unit grapheme")
    import regex

    find: Callable[[str], list[str]] = regex.compile(r"\X").findall
    return find


class Graphemes:
    """Cuts lines into clusters: those of `tokens` if they make up the line, else all that Unicode knows."""

    noun = "grapheme"
    flag = "--unit grapheme"
    between = ""

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        self._tokens = frozenset(tokens)
        self._parts = frozenset(token for token in self._tokens if is_part(token[0]))
        self._longest: dict[str, int] = {}
        for token in self._tokens:
            self._longest[token[0]] = max(len(token), self._longest.get(token[0], 0))

    def knowing(self, tokens: Sequence[str]) -> Graphemes:
        """Give the rule that reads by these tokens."""
        return Graphemes(tokens)

    def cut(self, line: str) -> list[str]:
        """The line's clusters."""
        known = self.read_again(line) if self._tokens else None
        return clusters(line) if known is None else known

    def read_again(self, line: str) -> list[str] | None:
        """The line's clusters by the tokens alone, the longest first; None where none goes on.

        A token that is a part, as the training lines may begin with one, belongs to whatever comes before it.
        """
        pieces: list[str] = []
        start, tokens = 0, self._tokens
        while start < len(line):
            end = start + self._longest.get(line[start], 0)
            while end > start and line[start:end] not in tokens:
                end -= 1
            piece = line[start:end]
            if not piece or (start and piece in self._parts and not _ends(pieces[-1], piece)):
                return None
            pieces.append(piece)
            start = end
        return pieces

    def to_json(self) -> dict[str, Any]:
        """Give the unit."""
        return {"unit": "grapheme"}


def _ends(before: str, part: str) -> bool:
    """Whether a cluster ends although a part comes next: a control character, a whole flag, one that was cut."""
    if is_half_a_flag(part[0]):
        return not is_half_a_flag(before)
    last = before[-1]
    control = unicodedata.category(last) in ("Cc", "Cf", "Cn", "Zl", "Zp") and not joins(last)
    return control or len(before) == LONGEST_TOKEN
