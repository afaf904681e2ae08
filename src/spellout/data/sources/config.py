"""What of a file is a line: the settings, apart from the reading, so that help needs no NumPy."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from ...errors import DataError, UsageError

STREAM = "-"
"""The name of standard input."""
BLANK = "blank"
"""The separator that is an empty line."""
TAB = "\t"
"""What stands between a label and its line until they are encoded."""
LINE_END = "␤"
"""What stands in a line of the model where a thing of several lines has a line end: Unicode's sign for one."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """What of a file is a line."""

    column: str | None = None
    """The column of a table (CSV, TSV, JSON lines, Parquet) that holds the lines, by name or number from 1."""
    label: str | None = None
    """The column that holds each line's label, by name or number; models are then of lines given their labels."""
    separator: str | None = None
    """What stands between things of several lines: blank (an empty line), a text that is a line, or /REGEX/."""
    strip: str | None = None
    """A regular expression: what it matches at the beginning and at the end of a line is no part of it."""
    skip_header: bool = False
    """The first line of each file is no line."""

    def __post_init__(self) -> None:
        for name in ("column", "label", "separator", "strip"):
            if getattr(self, name) == "":
                raise UsageError(f"--{name}: must not be empty")
        if self.label is not None and self.separator is not None and self.column is None:
            raise UsageError("--label names a column, and --separator cuts plain text; name the --column too")
        if self.label is not None and self.label == self.column:
            raise UsageError(f"--label {self.label}: the same column as --column; name another one")
        for name in ("column", "label"):
            if (number := number_of(getattr(self, name))) is not None and number < 1:
                raise UsageError(f"--{name} {getattr(self, name)}: columns are numbered from 1")
        self.separates("")
        self.stripped("")

    @property
    def table(self) -> bool:
        """Say whether the lines are in a column."""
        return self.column is not None or self.label is not None

    @property
    def line_end(self) -> str:
        """Give what stands where a thing of several lines has a line end."""
        return LINE_END

    @property
    def usual_between(self) -> str:
        """Give a line that may stand between two things, where none was seen: an empty one for a pattern."""
        if self.separator is None or self.separator == BLANK or self._is_pattern:
            return ""
        return self.separator.strip()

    @property
    def _is_pattern(self) -> bool:
        separator = self.separator or ""
        return len(separator) > 2 and separator[0] == separator[-1] == "/"

    def separates(self, line: str) -> bool:
        """Say whether a line, without white space around it, stands between two things."""
        if self.separator is None:
            return False
        if self.separator == BLANK:
            return not line
        if self._is_pattern:
            return _pattern("--separator", self.separator[1:-1]).fullmatch(line) is not None
        return line == self.separator.strip()

    def stripped(self, line: str) -> str:
        """Give a line without what --strip matches at its ends."""
        if self.strip is None:
            return line
        pattern = _pattern("--strip", self.strip)
        if (begins := pattern.match(line)) is not None:
            line = line[begins.end() :]
        for ends in pattern.finditer(line):
            if ends.end() == len(line):
                return line[: ends.start()]
        return line

    def asked(self) -> dict[str, Any]:
        """Give the settings that are not the usual ones, by name."""
        names = [one.name for one in fields(SourceConfig)]
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(SourceConfig, name)}


def in_lines(line: str, unit: str) -> str:
    """Give a thing as it stood in its file."""
    # Between words there is always a space, so there it says nothing.
    return re.sub(f" *{LINE_END} *", "\n", line) if unit == "word" else line.replace(LINE_END, "\n")


def line_ends_apart(line: str, between: str) -> str:
    """Write line ends as lines of words are read: each is a word, with what stands `between` two on both sides."""
    return re.sub(f" *{LINE_END} *", between + LINE_END + between, line) if between and LINE_END in line else line


def line_ends_close(line: str, between: str) -> str:
    """Write line ends as lines of characters have them: what stands `between` two words is not at a line end."""
    return re.sub(f" *{LINE_END} *", LINE_END, line) if between and LINE_END in line else line


def check_free(text: str, name: str, first: int) -> None:
    """`DataError` if the sign for a line end stands in a text, which begins with line number `first`."""
    if LINE_END in text:
        line = first + text[: text.index(LINE_END)].count("\n")
        raise DataError(
            f"{name}, line {line}: holds {LINE_END}, which stands for a line end where things have several lines; "
            "write something else there"
        )


def number_of(column: str | None) -> int | None:
    """Give the number of a column that is named by it; None for one that is named by its name."""
    return int(column) if column is not None and re.fullmatch(r"-?[0-9]{1,9}", column) else None


def _pattern(flag: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"{flag} {text}: no regular expression, {error}") from None
