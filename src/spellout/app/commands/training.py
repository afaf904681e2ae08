"""Commands that train: one model, several on the same lines, rates and settings to find, the course's results."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from typing import Annotated, Literal

from cyclopts import Parameter

from ...data.config import DataConfig
from ...errors import UsageError
from ...lectures.results import RESULTS
from ...training.config import TrainingConfig
from ...training.runs.places import STUDIES, name_of, new_folder
from .. import progress as waiting
from .. import sketches, terminal
from .. import workflows as steps
from ..options import (
    Data,
    Encoding,
    File,
    Flag,
    Json,
    Out,
    Training,
    with_order,
)
from .application import app

BEST = "mlp+ngram"
"""What `make` trains too."""


@app.command
def train(
    file: File | None = None,
    /,
    *,
    out: Out | None = None,
    model: str | None = None,
    order: int | None = None,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    resume: Flag = False,
    stream: Flag = False,
    overwrite: Flag = False,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Train a model on FILE (default: the bundled names) and keep it in a run folder.

    Parameters
    ----------
    out
        The run folder to write; by default runs/NAME, after the FILE, and numbered if there is one.
    model
        What to train: ngram (the default), ngram:5, ngram:2:smoothing=add-k:k=1.
    order
        The n of an n-gram, the same as ngram:N. Without it, the best on held-out training lines.
    resume
        Go on with the training in the run folder, with the settings it began with.
    stream
        Count n-grams in one pass over all lines, for files larger than memory.
    overwrite
        Replace the run that is in the folder.
    json
        The results as one JSON object.
    """
    if resume and (stream or overwrite or order is not None):
        raise UsageError("--resume goes on as the training began; leave out --stream, --overwrite and --order")
    if out is None and (resume or overwrite):
        raise UsageError("--resume and --overwrite need the run folder: name it with -o")
    if stream and file is None:
        raise UsageError("--stream is for a file larger than memory: name it")
    wanted = with_order(model or "ngram", order)
    with ExitStack() as stack:
        out = stack.enter_context(new_folder(name_of(file))) if out is None else out
        if resume:
            trained = steps.resume(file, out, model, data, training, encoding)
        elif stream:
            trained = steps.train_streaming(str(file), out, overwrite, data, wanted, encoding)
        else:
            trained = steps.train_into(file, out, overwrite, data, wanted, training, encoding)
    if json:
        terminal.print_json({"run": str(out), "parameters": trained.run.model.parameters, **trained.run.facts})
    else:
        terminal.note(f"kept in {out}; make lines with: spellout sample {shlex.quote(str(out))}")


@app.command
def compare(
    file: File | None = None,
    /,
    *,
    models: str = "ngram:1,ngram:2,ngram:3,ngram:4,ngram:5,ngram",
    on: Literal["dev", "test"] = "dev",
    at_once: int = 1,
    mixture: Flag = False,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Train several models on the same lines of FILE (default: the bundled names) and put them in one table.

    Parameters
    ----------
    models
        Separated by commas; MODEL+ngram is a network that starts from an n-gram.
    on
        The lines that judge. Choose models on dev; look at test once.
    at_once
        How many models train side by side, sharing the processor cores.
    mixture
        Show the mixture of the two best as the last row also where it is no better than they are.
    """
    from ...models.table import parse_specification
    from ...training.train import check_trainable

    if at_once < 1:
        raise UsageError(f"--at-once {at_once}: must be at least 1")
    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise UsageError("--models: name at least one model, such as ngram:5")
    wanted = [parse_specification(name, training.prior) for name in names]
    for one in wanted:  # a typing error in the last one should not cost the first one's training
        check_trainable(one, training)
    steps.check_judged(data, on)
    prepared = steps.prepare(file, encoding, data)
    rows = steps.compare(prepared, wanted, on, training, at_once, mixture, json)
    if json:
        for row in rows:
            terminal.print_json(row.to_json())
    else:
        terminal.print_comparison(list(rows))


@app.command(name="lr-find")
def lr_find(
    file: File | None = None,
    /,
    *,
    model: str = BEST,
    prior: str | None = None,
    tries: Annotated[int, Parameter(name="--steps")] = 200,
    batch: int | None = None,
    train_seed: int = 0,
    data: Data = DataConfig(),
    out: Out | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Suggest a learning rate: try rising ones on a fresh model, and show how the loss answers.

    FILE is the bundled names by default.

    Parameters
    ----------
    model
        A model that learns in steps.
    prior
        Start from this n-gram, such as ngram or ngram:5.
    tries
        How many rates to try, from 0.00001 to 10.
    batch
        How many examples a step learns from; by default the model's own number.
    train_seed
        Other first weights, and another order of the examples.
    out
        Also draw the curve: FILE.png, FILE.svg or FILE.pdf.
    """
    from ...models.table import in_steps
    from ...training.experiments.lr_finder import check_lr_find, find_lr_for

    specification = in_steps(model, prior, "has no rate")
    check_lr_find(specification, tries, batch)
    TrainingConfig(train_seed=train_seed)  # which says what is wrong with it
    if out is not None:
        steps.check_picture(out)
    prepared = steps.prepare(file, encoding, data)
    steps.compile_for(specification)
    with waiting.progress(tries, "trying rates") as advance:
        curve = find_lr_for(prepared, specification, tries, batch, train_seed, advance)
    if json:
        terminal.print_json(curve.to_json())
    else:
        sketches.print_lr_curve(curve)
    if out is not None:
        steps.plot_lr_curve(curve, out)


@app.command
def tune(
    file: File | None = None,
    /,
    *,
    model: str = BEST,
    out: Out | None = None,
    trials: int = 20,
    test: Flag = False,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Look for better settings of a model: many trainings on FILE, judged by dev lines.

    FILE is the bundled names by default. The same command goes on where it was stopped, and may run several times
    at once. What --model or a flag says
    stays as it is; the rest is tried.

    Parameters
    ----------
    model
        A model that learns in steps, such as gru or gru+ngram; gru:128 tries only the rest.
    out
        The folder of the study; by default studies/NAME-MODEL.
    trials
        How many trainings in all, each of --seconds or --steps.
    test
        At the end, also say how good the best is on test lines. Do this once.
    json
        One JSON object a trial, the best first.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}: must be at least 1")
    out = out or STUDIES / name_of(file, model)
    steps.tune(file, out, model, trials, data, training, encoding, test, json)


@app.command
def lectures(
    file: File | None = None,
    /,
    *,
    only: str = ",".join(RESULTS),
    timed: int = 300,
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Reproduce the results of the course on FILE (the course's names.txt; default: the bundled names).

    The losses the lectures recorded, the time their loops take here, and how soon the models here are as good.

    Parameters
    ----------
    only
        Which results, separated by commas.
    timed
        How many steps of each lecture's loop are timed.
    """
    if timed < 1:
        raise UsageError(f"--timed {timed}: must be at least 1")
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    rows = steps.lectures(file, encoding, wanted, timed, training)
    if json:
        for row in rows:
            terminal.print_json(row.to_json())
    else:
        terminal.print_lectures(list(rows))
