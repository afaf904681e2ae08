"""How lines are written: as in their file, also where they are things of several lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..data.sources.config import in_lines, line_ends_close

if TYPE_CHECKING:
    from ..training.runs.run import Run


@dataclass(frozen=True)
class Layout:
    """Says how lines are written: things of several lines as in their file, with what stands there between two."""

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

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Give what is told of a line for programs, the texts as they would stand in the file."""
        return row | {name: self.printed(row[name]) for name in ("line", "nearest") if name in row}
