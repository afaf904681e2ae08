"""From the rows of a table to lines: the column of the lines, and the one of their labels.

A line with a label is the label, a tab and the line, until it is encoded (see `data/labels.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import DataError
from .config import TAB, SourceConfig, check_free, number_of

ROWS_AT_ONCE = 1 << 14
Row = tuple[int, Sequence[Any]]
"""Where a row is in its file, and its cells."""


@dataclass(frozen=True)
class Chosen:
    """Where in a row the line and its label are, from 0; the label's place is None where lines have none."""

    line: int
    label: int | None

    @property
    def places(self) -> list[int]:
        """List both places, or the one."""
        return [self.line] if self.label is None else [self.line, self.label]


def choose(config: SourceConfig, names: Sequence[str] | None, width: int, name: str, where: str = "") -> Chosen:
    """Find the columns among `names`, or by their numbers among `width` of them. `DataError` if there are none."""
    label = None if config.label is None else _place(config.label, names, width, "--label", name + where)
    if config.column is not None:
        return Chosen(_place(config.column, names, width, "--column", name + where), label)
    others = [place for place in range(width) if place != label]
    if len(others) != 1:
        raise DataError(
            f"{name}{where}: beside the label it has {len(others)} columns; name the one of the lines with --column"
        )
    return Chosen(others[0], label)


def named(config: SourceConfig) -> bool:
    """Say whether a column is asked for by its name, so that a table has to have a header."""
    return any(one is not None and number_of(one) is None for one in (config.column, config.label))


def _place(column: str, names: Sequence[str] | None, width: int, flag: str, where: str) -> int:
    number = number_of(column)
    if names is not None and column in names:
        return names.index(column)
    if number is not None:
        if number > width:
            raise DataError(f"{where}: there is no column {number}, as a row has {width}; correct {flag} {column}")
        return number - 1
    assert names is not None
    near = difflib.get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"its columns: {', '.join(names)[:200]}"
    raise DataError(f"{where}: no column is called {column}; {hint}")


def lines_of(rows: Iterable[Row], chosen: Chosen, config: SourceConfig, name: str, what: str) -> Iterator[str]:
    """Yield blocks of lines from rows, which are numbered by `what` they are, such as lines of a file."""
    block: list[str] = []
    for number, cells in rows:
        try:
            found = [cells[place] for place in chosen.places]
        except IndexError:
            raise DataError(
                f"{name}, {what} {number}: only {len(cells)} cell{'s' * (len(cells) != 1)}, so there is no "
                f"column {max(chosen.places) + 1}"
            ) from None
        if line := _line(found, config, name, f"{what} {number}"):
            block.append(line)
        if len(block) == ROWS_AT_ONCE:
            yield "\n".join(block) + "\n"
            block = []
    if block:
        yield "\n".join(block) + "\n"


def _line(found: list[Any], config: SourceConfig, name: str, where: str) -> str:
    """Make a line of a cell, and of its label's; nothing of an empty cell."""
    text = config.stripped(_text(found[0], name, where).strip())
    if config.separator is None:
        if "\n" in text or "\r" in text:
            raise DataError(
                f"{name}, {where}: the cell holds a line end; cells of several lines need --separator, which says "
                "what stands between them when they are printed, such as --separator blank"
            )
    elif text:
        check_free(text, name, 0)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        text = config.line_end.join(line.rstrip() for line in lines)
    if not text or len(found) == 1:
        return text
    label = " ".join(_text(found[1], name, where).split())
    if not label:
        raise DataError(f"{name}, {where}: {text[:40]!r} has no label; give it one, or leave the line out")
    return label + TAB + text


def _text(cell: Any, name: str, where: str) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, (list, dict, bytes)):
        kind = {list: "a list", dict: "an object", bytes: "bytes"}[type(cell)]
        raise DataError(f"{name}, {where}: the cell is {kind}, not text or a number; name another column")
    return str(cell)
