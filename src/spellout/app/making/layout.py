"""How lines are printed: as in their file, or as JSON."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...data.sources.config import in_lines, line_ends_close
from .. import terminal

if TYPE_CHECKING:
    from ...training.runs.run import Run


@dataclass(frozen=True)
class Layout:
    """Says how lines are printed: things of several lines as in their file, with what stands there between two."""

    unit: str
    between: str | None

    @classmethod
    def of(cls, run: Run) -> Layout:
        """Find out how the lines of a run stood in their file."""
        data = run.facts.get("data")
        unit, between = (data.get("unit"), data.get("between")) if isinstance(data, dict) else (None, None)
        return cls(str(unit), between if isinstance(between, str) else None)

    @property
    def spaced(self) -> bool:
        """Say whether lines are made with white space around their line ends."""
        return self.between is not None and self.unit == "word"

    def close(self, line: str) -> str:
        """Give a line without white space that only stands between words and line ends."""
        return line_ends_close(line, " ") if self.spaced else line

    def printed(self, line: str) -> str:
        """Give a line as it would stand in the file."""
        return line if self.between is None else in_lines(line, self.unit)


def print_line(row: dict[str, Any], as_json: bool, layout: Layout, first: bool) -> None:
    """Print one line, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        texts = {name: layout.printed(row[name]) for name in ("line", "nearest") if name in row}
        terminal.print_json(row | texts)
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    if "nearest" in row:  # in one line, also where things have several
        terminal.print_line(line, row["nearest"], str(row["distance"]))
        return
    if layout.between is not None and not first:
        terminal.print_line(layout.between)
    for part in layout.printed(line).split("\n"):
        terminal.print_line(part)
