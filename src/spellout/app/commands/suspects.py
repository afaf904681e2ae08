"""`spellout suspects FILE`: which lines look wrong, each judged by a model that has not seen it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from ...data.sources.config import SourceConfig
from ...errors import UsageError
from ...training.config import TrainingConfig
from .. import terminal
from ..options import Count, Encoding, File, Json, Source
from ..progress import progress_bar
from ..visible import visible
from ..workflows import asked, compile_for, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...data.lines import Lines
    from ...models.family import Specification
    from ...training.suspects.search import Found
    from ...training.suspects.suspects import Suspect

WIDEST = 60
"""Characters of a line that a terminal shows, those around the odd ones."""


def suspects(
    *files: File,
    source: Source = SourceConfig(),
    count: Count = 20,
    model: str | None = None,
    folds: int | None = None,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Find the lines of FILE that look wrong: letters, patterns, lengths and marks that the other lines do not
    have, placeholders and headers, and lines that are almost another line.

    Each line is judged by the others alone. The score is in bits: about one line in 2^score is as odd.

    Parameters
    ----------
    model
        Judge letters by such models, each trained without the lines it judges, instead of by counts.
    folds
        How many models that are (5); each leaves such a part of the lines out.
    seconds
        About how long their training may take in all (60).
    source.label
        The column that holds each line's label, which is shown beside the line; lines are judged without it.
    json
        One JSON object a line, with the line's number in FILE and every reason.
    """
    from ...data.sources.numbering import numbers_in_file

    for flag, value in ("--folds", folds), ("--seconds", seconds):
        if value is not None and model is None:
            raise UsageError(f"{flag} {value} goes with --model; counts leave out every line by itself")
    many = 5 if folds is None else folds
    budget = 60.0 if seconds is None else seconds
    specification = None if model is None else asked(model, TrainingConfig(seconds=budget))
    lines, labels = _read(files, encoding, source)
    found = _search(lines, count, specification, budget, many)
    places = [one.place for one in found.suspects]
    plain = len(files) == 1 and source == SourceConfig()
    numbers = numbers_in_file(files[0], encoding, places, len(lines)) if plain else {}
    shown = [(numbers.get(one.place, one.place + 1), one) for one in found.suspects]
    if json:
        for number, one in shown:
            label = {} if labels is None else {"label": labels[one.place]}
            terminal.print_json(one.to_json(number) | label)
    else:
        _print(shown, labels)
    seen = "all others" if found.together == len(lines.distinct) else f"{found.together - 1:,} others"
    seen += "" if specification is None else f", their letters by one of {many} models that had not seen it"
    terminal.note(
        f"{lines.name}: {len(lines.distinct):,} different lines, each judged by {seen}; {found.odd:,} of them "
        f"{'is' if found.odd == 1 else 'are'} odder than chance makes any of so many"
    )


def _read(files: Sequence[str], encoding: str | None, source: SourceConfig) -> tuple[Lines, list[str] | None]:
    """Read lines, and part them from their labels if they have some."""
    lines = read(files, encoding, source)
    if source.label is None:
        return lines, None
    from ...data.labels import parted
    from ...data.lines import without_labels

    labels = [parted(line)[0] for line in lines.in_file_order()]
    return without_labels(lines)[0], labels


def _search(lines: Lines, count: int, specification: Specification | None, seconds: float, folds: int) -> Found:
    """Judge lines by counts, or by models that share some seconds of training."""
    from ...training.suspects.search import parts_of, search

    if specification is None:
        with progress_bar(len(lines), "judging each line by the others") as advance:
            return search(lines, count, advance)
    from ...training.suspects.folds import Folds

    compile_for(specification)
    trainings = folds * parts_of(lines)
    each = TrainingConfig(seconds=seconds / max(trainings, 1))
    with progress_bar(trainings, f"training {trainings} models") as advance:
        return search(lines, count, judge=Folds(specification, each, folds, advance))


def _print(shown: Sequence[tuple[int, Suspect]], labels: Sequence[str] | None) -> None:
    """Print a table; `labels` are those of all lines of the file, if they have some."""
    on_terminal = sys.stdout.isatty()
    label = [] if labels is None else ["label"]
    columns = ["number", "bits", *label, "line", *([] if on_terminal else ["letters"]), "why"]
    rows: list[list[str | Text]] = []
    for number, one in shown:
        why = "; ".join(reason.phrase for reason in one.reasons[: 3 if on_terminal else None])
        begin: list[str | Text] = [str(number), f"{one.bits:.1f}"]
        if labels is not None:
            begin.append(labels[one.place])
        rows.append([*begin, *([_marked(one)] if on_terminal else [one.line, one.letters]), why])
    terminal.print_table(columns, rows, left=["label", "line", "letters", "why"])


def _marked(suspect: Suspect) -> Text:
    """Give the line, or of a long one the part around its odd letters, with these marked."""
    line, start, stop = suspect.line, suspect.start, suspect.stop
    begin = max(0, min(start - WIDEST // 4, len(line) - WIDEST))
    end = min(len(line), begin + WIDEST)
    text = Text("…" * (begin > 0))
    text.append(visible(line[begin:start]))
    text.append(visible(line[start : min(stop, end)]), style="bold red underline")
    text.append(visible(line[min(stop, end) : end]) if stop < end else "")
    return text + Text("…" * (end < len(line)))
