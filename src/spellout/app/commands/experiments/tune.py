"""`spellout tune FILE`: many short trainings with other settings, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from ....data.config import DataConfig
from ....errors import TrainingError, UsageError
from ....optional import require
from ....training.config import TrainingConfig
from ....training.experiments.results import TuningTrial
from ....training.runs.events import BEGINNING
from ....training.runs.places import STUDIES, name_of
from ... import terminal
from ...options import BEST, Data, Encoding, File, Flag, Json, Out, Training
from ...progress import training_progress
from ...workflows import compile_for, prepare

if TYPE_CHECKING:
    from ....models.contract import Event
    from ....models.family import Specification

TRIALS_SHOWN = 10


def tune(
    *files: File,
    model: str = BEST,
    out: Out | None = None,
    trials: int = 20,
    test_best: Flag = False,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Look for better settings of a model: many trainings on FILE, judged by dev lines.

    FILE is the bundled names by default. The same command goes on where it was stopped, and may run several times
    at once. What --model or a flag says stays as it is; the rest is tried.

    Parameters
    ----------
    model
        A model that learns in steps, such as gru or gru+ngram; gru:128 tries only the rest.
    out
        The folder of the study; by default studies/NAME-MODEL.
    trials
        How many trainings in all, each of --seconds or --steps.
    test_best
        At the end, also say how good the best is on test lines. Do this once.
    json
        One JSON object a trial, the best first.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}: must be at least 1")
    out = out or STUDIES / name_of(files, model)
    require("optuna", "tuning")
    from ....training.experiments.tuning import Tuning, check_study

    specification = _asked(model, training)
    for part in ["dev", *["test"] * test_best]:
        data.check_keeps(part)
    check_study(out)
    tuning = Tuning(out, prepare(files, encoding, data), specification, training)
    compile_for(specification)
    with training_progress(trials) as watch:

        def callback(event: Event) -> None:
            if event["event"] not in BEGINNING:  # not worth a line in every trial
                watch(event)

        for trial in tuning.run(trials, callback):
            watch.finish(_trial_note(trial))
    best = tuning.best()[:TRIALS_SHOWN]
    if not best:
        raise TrainingError(f"no trial in {out} has ended well; give more --trials or --seconds, or a lower --lr")
    tested = tuning.test(best[0]) if test_best else None
    flags = {one.name: getattr(data, one.name) for one in fields(data) if getattr(data, one.name) != one.default}
    again = best[0].command(files, "RUN", flags | ({"encoding": encoding} if encoding else {}))
    print_trials(best, tuning.count(), tested, again, str(tuning.run_folder(best[0])), json)


def _asked(model: str, training: TrainingConfig) -> Specification:
    """Understand which model is to be tuned; `UsageError` if it has nothing to tune, or cannot be trained here."""
    from ....models.table import in_steps
    from ....training.experiments.space import Space
    from ....training.train import check_trainable

    specification = in_steps(model, training.prior, "has nothing to tune")
    Space.of(specification, training)
    check_trainable(specification, training)
    return specification


def _trial_note(trial: TuningTrial) -> str:
    loss = trial.nats_per_char if trial.new_lines is None else trial.new_lines
    result = "stopped early" if loss is None else f"dev {loss:.4f}"
    return f"trial {trial.number}: {result}, {trial.specification}"


def print_trials(
    trials: Sequence[TuningTrial],
    count: tuple[int, int],
    tested: dict[str, float | None] | None,
    again: str,
    folder: str,
    as_json: bool,
) -> None:
    """Print the best trials as a table, how many there were, and the command that trains the best again.

    `tested` are the best one's losses on test lines, if it was asked for them.
    """
    if as_json:
        for place, one in enumerate(trials):
            best = {"test": tested, "command": again, "run": folder} if place == 0 else {}
            terminal.print_json({**one.to_json(), **best})
    else:
        hidden = ("seconds", "steps", "prior", "train_seed")
        terminal.print_table(
            ["trial", "as it is", "new lines", "seconds", "model", "training"],
            (
                [
                    str(one.number),
                    f"{one.nats_per_char:.4f}",
                    "" if one.new_lines is None else f"{one.new_lines:.4f}",
                    f"{one.seconds:.1f}",
                    one.specification,
                    " ".join(f"{name}={value}" for name, value in one.training.items() if name not in hidden),
                ]
                for one in trials
            ),
            left=["model", "training"],
            spare=["seconds"],
        )
    ended, stopped = count
    terminal.note(f"{ended} trials, {stopped} of them stopped early; the best run is kept in {folder}")
    if tested is not None:
        terminal.note(f"on test lines: {tested['nats_per_char']:.4f} nats per character")
    terminal.note(f"train it again with: {again}")
