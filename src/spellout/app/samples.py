"""Lines that the model of a run makes, printed as they come: as in their file, or as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..errors import GenerationError
from ..generation.config import SamplingConfig
from ..inference.layout import Layout
from ..inference.making import Making
from ..inference.wanted import Wanted
from . import terminal
from .progress import OnTerminal, track

if TYPE_CHECKING:
    from ..generation.asked.wish import Wish
    from ..training.runs.run import Run


def print_samples(
    run: Run, sampling: SamplingConfig, wanted: Wanted, wish: Wish | None = None, *, as_json: bool
) -> None:
    """Print lines as they are made, and say on stderr what is to be said of them.

    `GenerationError` if the model cannot make so many.
    """
    making = Making(run, sampling, wanted, wish, OnTerminal())
    first = True
    for row in track(making.rows(), making.count, "making", printing=True):
        _print_line(row, as_json, making.layout, first)
        first = False
    making.say_cut()
    if making.tally is not None:
        terminal.note(str(making.tally.shares))
        if wanted.validator is not None and (odd := wanted.validator.remark()):
            terminal.note(odd)
        if as_json:
            terminal.print_json({"shares": making.tally.shares.to_json()})
    if (lacking := making.lacking()) is not None:
        raise GenerationError(lacking)


def _print_line(row: dict[str, Any], as_json: bool, layout: Layout, first: bool) -> None:
    """Print one line, and its nearest training line if that was asked for. A terminal marks lines that were cut."""
    if as_json:
        terminal.print_json(layout.row(row))
        return
    line = row["line"] + "…" * (not row["complete"] and sys.stdout.isatty())
    if "nearest" in row:  # in one line, also where things have several
        terminal.print_line(line, row["nearest"], str(row["distance"]))
        return
    if layout.between is not None and not first:
        terminal.print_line(layout.between)
    for part in layout.printed(line).split("\n"):
        terminal.print_line(part)
