"""Where in the user's code something stands: text for people, and the exact part of the line for a caret."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from types import CodeType


class Place(str):
    """`file:line`, with what Python knows beside it; a string, as findings print it and JSON holds it."""

    file: str
    """As the code was compiled: a path, or a notebook's cell."""
    line: int
    end_line: int
    column: int | None
    """Where the expression begins, in bytes of UTF-8 from 0; None where Python was told to forget it."""
    end_column: int | None
    more: str
    """What is said after it: the module of torch's that stands inside the expression, if one does."""

    @classmethod
    def of(cls, code: CodeType, instruction: int, more: str = "") -> Place:
        """The place of one instruction of a piece of code; `more` is said after it."""
        # The table has a row for each two bytes of instructions.
        row = islice(code.co_positions(), max(instruction, 0) // 2, None)
        line, end_line, column, end_column = next(row, (None, None, None, None))
        first = line or code.co_firstlineno
        made = cls(f"{short(code.co_filename)}:{first}{more}")
        made.file, made.line, made.end_line = code.co_filename, first, end_line or first
        made.column, made.end_column, made.more = column, end_column, more
        return made


def short(file: str) -> str:
    """A file's path, from the current folder where it lies under it."""
    with suppress(ValueError):  # another drive
        relative = os.path.relpath(file)
        return file if relative.startswith("..") or file.startswith("<") else relative
    return file
