"""Steps that several commands share: each is a call into the rooms below, with its progress and its warnings."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import terminal
from .errors import GenerationError, UnhealthyError, UsageError

if TYPE_CHECKING:
    from .data.config import DataConfig
    from .data.lines import Lines
    from .generation.config import SamplingConfig
    from .training.run import Run
    from .training.train import Prepared, Trained


def read(file: str | None, encoding: str | None) -> Lines:
    """Lines of a file, of standard input, or the bundled names."""
    from .data.lines import Lines

    if file is None:
        return Lines.bundled()
    with terminal.progress(_size(file), "reading") as advance:
        return Lines.read(file, encoding, advance)


def _size(file: str) -> int | None:
    return os.path.getsize(file) if os.path.isfile(file) else None


def prepare(file: str | None, encoding: str | None, data: DataConfig) -> Prepared:
    """Lines split and encoded, ready for training; with a warning if there are few."""
    from .data.splits import FEW_LINES
    from .training.train import Prepared

    lines = read(file, encoding)
    with terminal.progress(None, "splitting and encoding"):
        prepared = Prepared.of(lines, data)
    if (different := len(prepared.lines.distinct)) < FEW_LINES:
        terminal.warn(
            f"{prepared.lines.name} holds only {different} different lines: the same ones train and judge, "
            "so losses mean little"
        )
    return prepared


def train(prepared: Prepared, model: str) -> Trained:
    """Train one model on prepared lines, and say how good it is."""
    from .training.train import train as train_on

    with terminal.progress(None, "training") as advance:
        trained = train_on(prepared, model, tell=lambda event: advance(1, terminal.sentence(event)))
    terminal.print_training(trained)
    return trained


def train_streaming(file: str, data: DataConfig, model: str, encoding: str | None) -> Trained:
    """Train an n-gram in one pass over a file."""
    from .training.streaming import check_streaming
    from .training.streaming import train_streaming as stream_on

    config = check_streaming(data, model)
    with terminal.progress(_size(file), "counting") as advance:
        trained = stream_on(file, config, encoding, advance)
    terminal.print_training(trained)
    return trained


def print_samples(
    run: Run,
    sampling: SamplingConfig,
    count: int,
    unlike: Sequence[str] | None,
    unique: bool,
    near: Sequence[str] | None,
    json: bool,
) -> None:
    """Print lines as they are made, not among `unlike`, and with the nearest of `near` if given.

    `GenerationError` if the model cannot make so many.
    """
    from .generation.novelty import nearest, only
    from .generation.sampling import sample as lines_of

    if sampling.greedy:
        count, unlike, unique = 1, None, False
    if sampling.max_length is None:
        sampling = replace(sampling, max_length=2 * run.usual_length + 10)
    made = lines_of(run.model, run.vocabulary, sampling, accept=only(unlike=unlike, unique=unique))
    printed = 0
    for one in terminal.track(islice(made, count), count, "making", printing=True):
        row: dict[str, Any] = {"line": one.text, "complete": one.complete}
        if near is not None:
            row["nearest"], row["distance"] = nearest(one.text, near)
        terminal.print_sample(row, json)
        printed += 1
    if printed < count:
        kind = " ".join(["new"] * (unlike is not None) + ["different"] * unique + ["one"])
        raise GenerationError(
            f"stopped after {printed:,} of {count:,} lines: 10,000 tries in a row brought no other {kind}; "
            "ask for fewer, raise --temperature, or give more lines to learn from"
        )


def doctor(target: str | None, explain: str | None, ignore: list[str], json: bool) -> None:
    """Explain one check, or examine a program."""
    if explain is not None:
        terminal.print_line(explain_check(explain))
    elif target is None:
        raise UsageError("name what to examine, as in: spellout doctor train.py:case")
    else:
        examine(target, ignore, json)


def explain_check(name: str) -> str:
    """The page of one check of the doctor, or the table of all."""
    from .doctor import PAGES

    if name == "all":
        return "\n".join(f"{page.id:32} {page.severity:8} {page.title}" for page in PAGES.values())
    if name not in PAGES:
        near = difflib.get_close_matches(name, PAGES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no check {name!r}{hint} (--explain all lists them)")
    return str(PAGES[name])


def examine(target: str, ignore: list[str], json: bool) -> None:
    """Examine a program and print the report; an error in it is an error of the command."""
    from .doctor.programs import examine_target

    with contextlib.redirect_stdout(sys.stderr):  # what the user's step prints is not the report
        report = examine_target(target, ignore)
    if json:
        terminal.print_json(report.to_json())
    else:
        terminal.print_line(str(report))
    if report.errors:
        count = len(report.errors)
        raise UnhealthyError(f"{target}: {count} error{'s' * (count != 1)} found")
