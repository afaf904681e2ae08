"""What people see: text and tables on stdout, notes and progress on stderr, JSON for programs.

Colour and progress appear only on a terminal; `NO_COLOR` turns colour off. What a terminal or a message shows has
signs for the characters that do not show (`visible`); data that goes to a file or a program is as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .visible import visible, visible_in_json

TEXT_ROOM, LEAST_ROOM = 24, 12
"""Where columns are left out of a table, text keeps so much room; with less than the other, it is no table."""


def stdout() -> Console:
    """Make a console for data. Piped, it neither colours nor wraps."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """Make a console for everything else."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())


def note(message: str, console: Console | None = None) -> None:
    """Print one line for the reader on stderr, or above a bar that is shown there."""
    (console or stderr()).print(Text(visible(message), style="dim"))


def warn(message: str) -> None:
    """Print on stderr what the reader should know before trusting the result."""
    stderr().print(Text(f"warning: {visible(message)}", style="yellow"))


def complain(message: str) -> None:
    """Print on stderr why the command failed."""
    stderr().print(Text("spellout: ", style="bold red") + Text(visible(message), style="not bold default"))


def print_line(*parts: str) -> None:
    """Print one line of data, its parts divided by tabs: as it is, and on a terminal as it can be seen."""
    if sys.stdout.isatty():
        parts = tuple(map(visible, parts))
    sys.stdout.write("\t".join(parts) + "\n")


def flush() -> None:
    """Hand on what was printed on stdout: somebody waits for it."""
    sys.stdout.flush()


def print_report(text: str) -> None:
    """Print lines of text for people on stdout."""
    sys.stdout.write((visible(text, lines=True) if sys.stdout.isatty() else text) + "\n")


def print_text(text: str) -> None:
    """Print lines of text for programs on stdout, if there are any."""
    sys.stdout.write(text + "\n" * (bool(text) and not text.endswith("\n")))


def print_styled(lines: Iterable[Sequence[tuple[str, str]]]) -> None:
    """Print lines, each of parts in their styles, that are broken already; piped, without styles."""
    console = stdout()
    for parts in lines:
        if sys.stdout.isatty():
            line = Text.assemble(*((visible(text), style) for text, style in parts))
            console.print(line, soft_wrap=True)
        else:
            print_report("".join(text for text, _ in parts).rstrip())


def width() -> int | None:
    """Return how many columns the terminal has; None if stdout is none, and nothing should be broken."""
    return stdout().width if sys.stdout.isatty() else None


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(visible_in_json(json.dumps(content, ensure_ascii=False)) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    left: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table on stdout; columns are right-aligned but for those named in `left`, which may wrap.

    Piped: tab-separated. On a terminal too narrow for the table, the columns in `spare` are left out, the first of
    them first, and that is said; if it is too narrow even then, a row becomes a block of lines.
    """
    if not sys.stdout.isatty():
        print_line(*columns)
        for row in rows:
            print_line(*map(str, row))
        return
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [max([cell_len(name), *(row[i].cell_len for row in cells)]) for i, name in enumerate(columns)]
    console, kept = stdout(), list(range(len(columns)))

    def needed(room: int) -> int:
        """Measure the width of what is kept, where text may be wrapped to so many characters."""
        return sum(min(widths[i], room) if columns[i] in left else widths[i] for i in kept) + 2 * len(kept) - 2

    hidden = []
    for name in spare:
        if needed(TEXT_ROOM) > console.width:
            hidden.append(name)
            kept.remove(columns.index(name))
    if needed(LEAST_ROOM) > console.width:
        for row in cells:
            print_pairs(list(zip(columns, row, strict=True)))
            console.print()
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in (columns[i] for i in kept):
        table.add_column(
            name,
            justify="left" if name in left else "right",
            no_wrap=name not in left,
            overflow="fold",
            min_width=min(widths[columns.index(name)], LEAST_ROOM),
        )
    for row in cells:
        table.add_row(*(row[i] for i in kept))
    console.print(table)
    if hidden:
        note(f"a wider terminal also shows: {', '.join(hidden)}")


def print_pairs(pairs: Sequence[tuple[str, str | Text]]) -> None:
    """Print names and texts on stdout, one pair below the other."""
    if not sys.stdout.isatty():
        width = 1 + max(len(name) for name, _ in pairs)
        for name, text in pairs:
            print_line(f"{name:<{width}}{text}")
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(name, _shown(text))
    stdout().print(grid)


def _shown(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(visible(text))


UNITS_COMPARE = (
    "nats and bits per character compare with those of characters and bytes, as unknown words are spelled in them; "
    "perplexity is per word, any unknown one as one token, and compares where the same words are known"
)
"""What is to be said where figures of words are shown."""


def losses(
    nats: float,
    bits: float,
    perplexity: float,
    without_ends: float | None = None,
    new_lines: dict[str, Any] | None = None,
) -> str:
    """Say how good a model is; `nats` and `bits` are means over characters, `without_ends` is of words.

    `new_lines` are its losses as a model of new lines, as a run holds them.
    """
    more = "" if without_ends is None else f" per word ({without_ends:.2f} without line ends)"
    said = f"{nats:.4f} nats ({bits:.3f} bits) per character, perplexity {perplexity:.2f}{more}"
    if new_lines is None:
        return said
    other = "new lines" if new_lines["chance_seen"] is None else "in two parts, seen and new lines,"
    known = f"{by_heart(new_lines)} of its probability is on training lines"
    return f"as it is {said}; {other} {new_lines['nats_per_char']:.4f} nats; {known}"


def by_heart(new_lines: dict[str, Any]) -> str:
    """Say which part of its probability a model gives to the training lines, and how exactly that is known."""
    error = f" ± {new_lines['mass_error']:.1%}" if new_lines["mass_error"] else ""
    return f"{new_lines['mass']:.1%}{error}"


def short(text: str, width: int = 60) -> str:
    """Return the text, or its beginning with an ellipsis if it is long."""
    return text if len(text) <= width else text[: width - 1] + "…"
