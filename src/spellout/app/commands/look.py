"""`spellout look FILE`: what is in a list, how predictable it is, and which letter follows which."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from ...data.config import DataConfig
from ...data.sources.config import SourceConfig
from ...errors import DataError
from .. import terminal
from ..excerpt import excerpt
from ..options import Encoding, File, Json, Source
from ..progress import progress_bar
from ..terminal import short
from ..visible import visible
from ..workflows import note_parts, read

if TYPE_CHECKING:
    import numpy as np

    from ...data.sources.notices import Notice
    from ...data.summary import Summary
    from ...training.experiments.results import ModelResult

LETTERS_SHOWN = 40
LABELS_SHOWN = 12
_SHADES = "·░▒▓█"


def look(*files: File, source: Source = SourceConfig(), encoding: Encoding = None, json: Json = False) -> None:
    """Say what is in FILE (default: the bundled names): how much, what is repeated, and how predictable it is.

    Parameters
    ----------
    json
        One JSON object.
    """
    from ...data.lines import without_labels
    from ...data.sources.notices import notices
    from ...data.summary import Summary, bigram_table
    from ...data.vocabulary.graphemes import is_part
    from ...models.table import parse_specification
    from ...training.experiments.comparison import floor

    plain = files[0] if len(files) == 1 and source == SourceConfig() else None
    with excerpt(plain, encoding) as some:
        try:
            lines = read(files if some is None else [some.path], encoding, source)
        except DataError:
            if some is None:
                raise
            lines, some = read(files, encoding), None  # it says what is wrong with which line of the file
    name = lines.name if some is None else str(plain)
    noticed, config = notices(lines.begin, source), DataConfig(**source.asked())
    with progress_bar(None, "looking, and training the floor"):
        best = floor(lines, parse_specification("ngram"), config)
        labels: dict[str, int] = {}
        if source.label is not None:
            lines, labels = without_labels(lines)
        summary = Summary.of(lines)
    if json:
        row = {"file": name, **summary.to_json(), "floor": best.to_json() if best else None}
        row["sampled"] = None if some is None else {"bytes": some.taken, "of": some.size}
        row |= {"labels": labels, "notices": [asdict(one) for one in noticed]}
        terminal.print_json(row)
        return
    if some is not None:
        terminal.note(f"{name} is large: {some}")
    _print_summary(summary, best, labels, noticed)
    note_parts(sum(times for letter, times in summary.letters if is_part(letter)) / summary.characters)
    letters = sorted(letter for letter, _ in summary.letters[:LETTERS_SHOWN])
    _print_bigrams(letters, bigram_table(lines, letters))


def _print_summary(
    summary: Summary, floor: ModelResult | None, labels: dict[str, int], noticed: Sequence[Notice]
) -> None:
    from ...training.experiments.comparison import FLOOR

    again = summary.lines - summary.distinct
    letters = "".join(letter for letter, _ in summary.letters[:LETTERS_SHOWN])
    more = f" and {len(summary.letters) - LETTERS_SHOWN:,} more" if len(summary.letters) > LETTERS_SHOWN else ""
    repeated = ", ".join(f"{short(line, 24)} ×{times:,}" for line, times in summary.repeated[:6])
    rows = [
        ("lines", f"{summary.lines:,}, {summary.distinct:,} different"),
        ("repeated", f"{again:,} ({again / summary.lines:.1%}): {repeated}" if again else "none"),
        ("characters", f"{summary.characters:,}, {len(summary.letters):,} different"),
        ("by frequency", letters + more),
        ("length", f"{len(summary.shortest)} to {len(summary.longest):,}, median {summary.median_length}"),
        ("shortest", short(summary.shortest)),
        ("longest", short(summary.longest)),
    ]
    if labels:
        more = f" and {len(labels) - LABELS_SHOWN:,} more" if len(labels) > LABELS_SHOWN else ""
        some = ", ".join(f"{label} ×{times:,}" for label, times in list(labels.items())[:LABELS_SHOWN])
        rows.append(("labels", f"{len(labels):,}: {some}{more}"))
    if floor:
        figures = floor.nats_per_char, floor.bits_per_char, floor.perplexity
        losses = terminal.losses(*figures, new_lines=floor.new_lines)
        of = " of a part of the lines" if summary.characters > FLOOR else ""
        rows.append(("floor", f"an n-gram{of} reaches on dev lines {losses}: a model must do better"))
    rows += [("notice", str(one)) for one in noticed]
    terminal.print_pairs(rows)


def _print_bigrams(letters: Sequence[str], table: np.ndarray) -> None:
    """The bigram table as a picture: a row is a letter, a column the next one, full is always.

    `table` (L + 1, L + 1) holds counts, boundary first; each row is drawn relative to its own total.
    """
    console = terminal.stdout()
    room = max(1, (console.width - 4) // 2) if console.is_terminal else len(letters) + 1
    names = [_in_two_cells(name) for name in ["¶", *letters][:room]]
    console.print(Text("    " + "".join(names), style="bold"))
    for i, name in enumerate(names):
        total = max(1, int(table[i].sum()))
        cells = "".join(2 * _shade(count / total) for count in table[i, : len(names)].tolist())
        console.print(Text(f"  {name}", style="bold") + Text(cells, style="not bold cyan"))
    if len(names) <= len(letters):
        terminal.note(f"the terminal has room for {len(names) - 1} of {len(letters)} letters")


def _in_two_cells(letter: str) -> str:
    if not sys.stdout.isatty():
        return letter + " " * (2 - cell_len(letter))
    sign = visible(letter)
    if not cell_len(sign):  # an accent that stands alone, on a circle as in Unicode's own tables
        sign = "◌" + sign
    return (sign if cell_len(sign) <= 2 else "�").ljust(2 if cell_len(sign) == len(sign) else 1)


def _shade(share: float) -> str:
    if not share:
        return " "
    return _SHADES[min(len(_SHADES) - 1, int(share**0.5 * 6))]  # the eye sees small shares too
