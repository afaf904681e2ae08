"""The user's source: where a finding stands, the lines around it, and a caret under the expression."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from ..place import Place

_BEFORE, _AFTER = 2, 1


@dataclass(frozen=True)
class Position:
    """A line, and which part of it (in characters from 0; up to its end where Python does not know)."""

    file: str
    line: int
    start: int
    end: int

    @property
    def text(self) -> str:
        """The line as it is written; empty where the source is not there."""
        return linecache.getline(self.file, self.line).rstrip("\n")


def position(where: str | None) -> Position | None:
    """Where a finding stands; None if it names no line."""
    if isinstance(where, Place):
        file, line = where.file, where.line
    elif found := re.match(r"(.+?):(\d+)(?=\D|$)", where or ""):
        file, line = found[1], int(found[2])
    else:
        return None
    text = linecache.getline(file, line).rstrip("\n")
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if isinstance(where, Place) and where.column is not None and where.end_column is not None:
        raw = text.encode()  # Python counts bytes
        start = len(raw[: where.column].decode(errors="ignore"))
        if where.end_line == where.line:
            end = len(raw[: where.end_column].decode(errors="ignore"))
    return Position(file, line, start, max(end, start + 1))


def excerpt(where: Position, width: int | None) -> list[tuple[str, str]]:
    """The line with its neighbours, numbered, and a caret below it: pairs of a margin and a text."""
    first = max(1, where.line - _BEFORE)
    rows = [(number, linecache.getline(where.file, number)) for number in range(first, where.line + _AFTER + 1)]
    if not where.text.strip():
        return []
    rows = [(number, text.rstrip("\n").expandtabs()) for number, text in rows if text]
    while rows and not rows[0][1].strip():
        rows.pop(0)
    while rows and not rows[-1][1].strip():
        rows.pop()
    space = min(len(text) - len(text.lstrip()) for _, text in rows if text.strip())
    margin = len(str(rows[-1][0]))
    room = None if width is None else max(16, width - margin - 5)
    before = cell_len(where.text[: where.start].expandtabs()[space:])
    under = cell_len(where.text[: where.end].expandtabs()[space:]) - before
    # A long line is moved until the expression can be seen.
    moved = 0 if room is None or before + under <= room else max(0, min(before - 4, before + under - room + 1))
    shown = []
    for number, text in rows:
        mark = ">" if number == where.line else " "
        shown.append((f"{mark} {number:>{margin}} | ", _clipped(text[space:], moved, room)))
        if number == where.line:
            length = under if room is None else min(under, room - (before - moved))
            shown.append((f"  {'':>{margin}} | ", " " * (before - moved) + "^" * max(1, length)))
    return [(margin_text, text.rstrip()) for margin_text, text in shown]


def _clipped(text: str, moved: int, room: int | None) -> str:
    if room is None:
        return text
    if moved:
        text = "…" + text[moved + 1 :] if len(text) > moved else ""
    return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"
