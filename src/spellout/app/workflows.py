"""Steps that several commands share: each is a call into the rooms below, with its progress and its warnings."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from ..data.config import DataConfig
from ..errors import TrainingError, TrainingInterrupted, UnhealthyError, UsageError
from ..optional import require
from ..training.config import TrainingConfig
from . import progress as waiting
from . import terminal

if TYPE_CHECKING:
    from ..data.lines import Lines
    from ..lectures.reproduction import Row as LectureRow
    from ..models.contract import Event
    from ..plots.kinds import Kind
    from ..training.experiments.comparison import Row
    from ..training.experiments.lr_finder import LrCurve
    from ..training.plan import Plan
    from ..training.prepared import Prepared
    from ..training.resume import Unfinished
    from ..training.runs.run import Keeper, Run, Trained


def read(file: str | None, encoding: str | None) -> Lines:
    """Lines of a file, of standard input, or the bundled names."""
    from ..data.lines import Lines
    from ..data.reading import check_encoding

    if encoding is not None:
        check_encoding(encoding)
    if file is None:
        return Lines.bundled()
    with waiting.progress(_size(file), "reading") as advance:
        return Lines.read(file, encoding, advance)


def _size(file: str) -> int | None:
    return os.path.getsize(file) if os.path.isfile(file) else None


def prepare(file: str | None, encoding: str | None, data: DataConfig) -> Prepared:
    """Lines split and encoded, ready for training; with a warning if there are few."""
    from ..data.splits import FEW_LINES
    from ..training.prepared import Prepared

    lines = read(file, encoding)
    with waiting.progress(None, "splitting and encoding"):
        prepared = Prepared.of(lines, data)
    if (different := len(prepared.lines.distinct)) < FEW_LINES:
        terminal.warn(
            f"{prepared.lines.name} holds only {different} different lines: the same ones train and judge, "
            "so losses mean little"
        )
    return prepared


def train(
    prepared: Prepared,
    model: str,
    training: TrainingConfig = TrainingConfig(),
    keep: Callable[[Run], None] = lambda run: None,
    interrupted: Callable[[], bool] = lambda: False,
    going_on: Unfinished | None = None,
    since: float | None = None,
    plan: Plan | None = None,
) -> Trained:
    """Train one model on prepared lines, and say how good it is."""
    from ..training.prepared import facts_of
    from ..training.prior import parse
    from ..training.train import train as train_on

    terminal.print_data(facts_of(prepared, model, {}))
    in_steps = parse(model, training.prior).family.in_steps
    with waiting.progress(waiting.WHOLE if in_steps else None, "training") as advance:
        watch = waiting.Watch(advance)
        trained = train_on(
            prepared,
            model,
            watch,
            training=training,
            keep=keep,
            interrupted=interrupted,
            going_on=going_on,
            since=since,
            plan=plan,
        )
    terminal.print_result(trained)
    return trained


def compile_for(*models: str) -> float:
    """Have the kernels of models that run as programs ready; the seconds that took: many, once, after installing.

    To be called before a training, so that its budget is its own, and where Ctrl-C ends the command.
    """
    from ..training.prior import parse

    start = perf_counter()
    if any(parse(model).family.compiled for model in models):
        import numpy as np

        from ..programs.lanes import warm_up

        with waiting.progress(None, "compiling the kernels, once after an installation"):
            warm_up(np.float64)
            warm_up(np.float32)
    return perf_counter() - start


def train_into(
    file: str | None,
    out: Path,
    overwrite: bool,
    data: DataConfig,
    model: str,
    training: TrainingConfig,
    encoding: str | None,
) -> Trained:
    """Train on a file, into a run folder."""
    from ..training.prior import check_asked
    from ..training.runs.run import Keeper, check_place

    check_asked(model, training)
    check_place(out, overwrite)
    keep = Keeper(out, overwrite)
    return _keep_training(file, out, encoding, keep, prepare(file, encoding, data), model, training)


def resume(
    file: str | None,
    out: Path,
    model: str | None,
    data: DataConfig,
    training: TrainingConfig,
    encoding: str | None,
) -> Trained:
    """Go on with the training that a run folder holds, as it began."""
    from ..training.prior import check_asked
    from ..training.resume import Unfinished
    from ..training.runs.places import check_file
    from ..training.runs.run import LAST, Keeper

    going_on = Unfinished.read(out)
    going_on.check(model, data, training)
    check_asked(going_on.specification, going_on.training)
    check_file(out / LAST)
    prepared = prepare(file, encoding, going_on.data)
    going_on.check_lines(prepared.lines)
    keep = Keeper(out, there=True)
    return _keep_training(file, out, encoding, keep, prepared, going_on.specification, going_on.training, going_on)


def _keep_training(
    file: str | None,
    out: Path,
    encoding: str | None,
    keep: Keeper,
    prepared: Prepared,
    model: str,
    training: TrainingConfig,
    going_on: Unfinished | None = None,
) -> Trained:
    """Train into a folder. Ctrl-C keeps what was learned, and `TrainingInterrupted` says how to go on."""
    from ..training.prior import parse

    if not parse(model, training.prior).family.in_steps:
        return train(prepared, model, keep=keep)
    compile_for(model)
    try:
        with interruptible() as interrupted:
            trained = train(prepared, model, training, keep, interrupted, going_on)
    except TrainingError:
        terminal.note(f"the best weights before that are kept in {out}")
        raise
    if trained.stopped == "interrupted":
        options = ["--encoding", encoding] if encoding else []
        named = [file] if file is not None else []
        again = shlex.join(["spellout", "train", *named, "-o", str(out), *options, "--resume"])
        raise TrainingInterrupted(f"interrupted, and kept in {out}; go on with: {again}")
    return trained


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed; pressed again, it interrupts at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def press(number: int, frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def train_streaming(
    file: str, out: Path, overwrite: bool, data: DataConfig, model: str, encoding: str | None
) -> Trained:
    """Train an n-gram in one pass over a file, into a run folder."""
    from ..training.runs.run import check_place, save_run
    from ..training.streaming import check_streaming
    from ..training.streaming import train_streaming as stream_on

    check_place(out, overwrite)
    config = check_streaming(data, model)
    with waiting.progress(_size(file), "counting") as advance:
        trained = stream_on(file, config, encoding, advance)
    terminal.print_data(trained.run.facts)
    terminal.print_result(trained)
    save_run(trained.run, out, overwrite)
    return trained


def compare(
    prepared: Prepared,
    models: Sequence[str],
    part: Literal["dev", "test"],
    training: TrainingConfig,
    at_once: int,
    mixture: bool,
    printing: bool,
) -> Iterator[Row]:
    """Rows of a comparison, as they are ready; with `printing`, they go to stdout."""
    from ..training.experiments.comparison import compare as rows_of

    compile_for(*models)
    with waiting.progress(waiting.WHOLE * len(models), "training", printing) as advance:
        watch = waiting.Watch(advance)
        rows = rows_of(prepared, models, part, training=training, callback=watch, at_once=at_once, mixture=mixture)
        for row in rows:
            watch.finish()
            yield row


def tune(
    file: str | None,
    out: Path,
    model: str,
    trials: int,
    data: DataConfig,
    training: TrainingConfig,
    encoding: str | None,
    test: bool,
    json: bool,
) -> None:
    """Tune a model, and print the best trials."""
    require("optuna", "tuning")
    from ..training.experiments.space import Space
    from ..training.experiments.tuning import Tuning, check_study
    from ..training.prior import check_asked

    Space.of(model, training)
    check_asked(model, training)
    check_judged(data, "dev")
    check_study(out)
    tuning = Tuning(out, prepare(file, encoding, data), model, training)
    compile_for(model)
    with waiting.progress(waiting.WHOLE * trials, "training") as advance:
        watch = waiting.Watch(advance)

        def callback(event: Event) -> None:
            if event["event"] not in ("device", "first_loss"):  # not worth a line in every trial
                watch(event)

        for trial in tuning.run(trials, callback):
            watch.finish()
            advance(0.0, "training", terminal.trial_note(trial))
    best = tuning.best()[: terminal.TRIALS_SHOWN]
    if not best:
        raise TrainingError(f"no trial in {out} has ended well; give more --trials or --seconds, or a lower --lr")
    tested = tuning.test(best[0]) if test else None
    flags = {field.name: getattr(data, field.name) for field in fields(data)}
    changed = {name: value for name, value in flags.items() if value != getattr(DataConfig(), name)}
    again = best[0].command(file, "RUN", changed | ({"encoding": encoding} if encoding else {}))
    terminal.print_trials(best, tuning.count(), tested, again, str(tuning.run_folder(best[0])), json)


def lectures(
    file: str | None, encoding: str | None, only: Sequence[str], timed: int, training: TrainingConfig
) -> Iterator[LectureRow]:
    """Rows of the course's results, as they are ready."""
    require("torch", "spellout lectures")
    from ..lectures.reproduction import check_results, reproduce

    check_results(only)
    lines = read(file, encoding)
    with waiting.progress(None, "training") as advance:
        watch = waiting.Watch(advance)
        for row in reproduce(lines, only, timed, training, watch):
            watch.finish()
            yield row


def check_judged(data: DataConfig, part: str) -> None:
    """`UsageError` if a split keeps no lines of a part to judge by: to be asked before the reading."""
    if data.split == "none":
        raise UsageError(f"--split none keeps no {part} lines to judge by; leave it out, or take --split distinct")


def check_picture(path: Path) -> None:
    """`UsageError` if a picture cannot be drawn or not be written there: to be asked before the work."""
    from ..plots.kinds import FORMATS

    if path.suffix.removeprefix(".").lower() not in FORMATS:
        raise UsageError(f"-o {path}: a picture's name ends in .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    require("matplotlib", "drawing pictures")
    from ..training.runs.places import check_file

    check_file(path)


def plot(run: Path, what: Kind, line: str | None, out: Path) -> None:
    """Draw a picture of a run, to where `check_picture` allowed it."""
    from ..plots.figure import save_figure
    from ..plots.pictures import picture

    with waiting.progress(None, "drawing"):
        save_figure(picture(run, what, line), out)
    terminal.note(f"wrote {out}")


def plot_lr_curve(curve: LrCurve, out: Path) -> None:
    """Draw what the learning-rate finder found."""
    from ..plots.curves import lr_curve
    from ..plots.figure import save_figure

    save_figure(lr_curve(curve.rates, curve.losses, curve.smoothed, curve.suggestion), out)
    terminal.note(f"wrote {out}")


def doctor(target: str | None, explain: str | None, ignore: list[str], json: bool) -> None:
    """Explain one check, or examine a program."""
    if explain is not None:
        terminal.print_report(explain_check(explain))
    elif target is None:
        raise UsageError("name what to examine, as in: spellout doctor train.py:case")
    else:
        examine(target, ignore, json)


def explain_check(name: str) -> str:
    """The page of one check of the doctor, or the table of all."""
    from ..doctor import PAGES

    if name == "all":
        return "\n".join(f"{page.id:32} {page.severity:8} {page.title}" for page in PAGES.values())
    if name not in PAGES:
        near = difflib.get_close_matches(name, PAGES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no check {name!r}{hint} (--explain all lists them)")
    return str(PAGES[name])


def examine(target: str, ignore: list[str], json: bool) -> None:
    """Examine a program and print the report; an error in it is an error of the command."""
    from ..doctor.programs import examine_target
    from ..models.table import MODELS

    with contextlib.redirect_stdout(sys.stderr):  # what the user's step prints is not the report
        report = examine_target(target, ignore, MODELS)
    if json:
        terminal.print_json(report.to_json())
    else:
        terminal.print_report(str(report))
    if report.errors:
        count = len(report.errors)
        raise UnhealthyError(f"{target}: {count} error{'s' * (count != 1)} found")
