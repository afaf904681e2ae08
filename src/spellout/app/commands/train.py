"""`spellout train FILE`: a model in a run folder: trained anew, gone on with, or counted in one pass."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...data.config import DataConfig
from ...errors import TrainingError, TrainingInterrupted, UsageError
from ...training.config import TrainingConfig
from ...training.distillation.config import DistillationConfig
from ...training.plans.names import BEST
from ...training.runs.places import check_file, name_of, new_folder
from .. import terminal
from ..options import Data, Distillation, Encoding, File, Flag, From, Json, Out, Training, check_at_once
from ..progress import progress_bar
from ..workflows import asked as understood
from ..workflows import (
    best_for,
    compile_for,
    interruptible,
    pool_of,
    prepare,
    print_result,
    say_what_is_read,
    size,
)
from ..workflows import train as train_on

if TYPE_CHECKING:
    from ...models.family import Specification
    from ...training.distillation.teacher import Teacher
    from ...training.job import Job
    from ...training.runs.run import Run, Trained


def train(
    *files: File,
    out: Out | None = None,
    model: str | None = None,
    order: int | None = None,
    pool: From = None,
    data: Data = DataConfig(),
    training: Training = TrainingConfig(),
    at_once: int = 1,
    teacher: Path | None = None,
    distillation: Distillation = DistillationConfig(),
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
        What to train: ngram (the default), ngram:5, ngram:2:smoothing=add-k:k=1; best: what suits FILE, the
        seconds and what is installed.
    order
        The n of an n-gram, the same as ngram:N. Without it, the best on held-out training lines.
    at_once
        How many members of an ensemble, such as "gru+ngram & mlp+ngram", train side by side.
    teacher
        The model is a student of this run: it learns what that says, also of lines that it makes.
    resume
        Go on with the training in the run folder, with the settings it began with.
    stream
        Count n-grams in one pass over all lines, for files larger than memory.
    overwrite
        Replace the run that is in the folder.
    json
        The results as one JSON object.
    """
    asked = _Asked(files, model, order, pool, data, training, teacher, distillation, overwrite, encoding)
    asked.check(out, resume=resume, stream=stream)
    check_at_once(at_once)
    with new_folder(name_of(files)) if out is None else nullcontext(out) as out:
        if stream:
            trained = _count_stream(asked, out)
        else:
            job = _resumed(asked, out) if resume else _begun(asked, out)
            job = replace(job, at_once=max(at_once, job.at_once))
            trained = _train_into(out, job, _again(asked, out, job.at_once))
    if json:
        terminal.print_json({"run": str(out), "parameters": trained.run.model.parameters, **trained.run.facts})
    else:
        terminal.note(f"kept in {out}; make lines with: spellout sample {shlex.quote(str(out))}")


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for, wherever it is kept."""

    files: Sequence[str]
    model: str | None
    order: int | None
    pool: str | None
    data: DataConfig
    training: TrainingConfig
    teacher: Path | None
    distillation: DistillationConfig
    overwrite: bool
    encoding: str | None

    def check(self, out: Path | None, *, resume: bool, stream: bool) -> None:
        """Raise `UsageError` for flags that do not go together."""
        if self.pool is not None and (resume or stream or self.teacher is not None):
            raise UsageError(
                "--from pools an n-gram that is counted anew; leave out --resume, --stream and --teacher"
            )
        if resume and (stream or self.overwrite or self.order is not None):
            raise UsageError("--resume goes on as the training began; leave out --stream, --overwrite and --order")
        if stream and self.teacher is not None:
            raise UsageError("--stream counts n-grams, which learn from no teacher; leave out --teacher")
        if self.teacher is None and not resume and self.distillation != DistillationConfig():
            raise UsageError("--made and --new-lines say how to learn from a teacher; name its run with --teacher")
        if out is None and (resume or self.overwrite):
            raise UsageError("--resume and --overwrite need the run folder: name it with -o")
        if stream and not self.files:
            raise UsageError("--stream is for a file larger than memory: name it")
        _ = self.name

    @property
    def name(self) -> str:
        """Name what is trained anew: `ngram:5` for `--model ngram --order 5`."""
        model, order = self.model or "ngram", self.order
        if order is None:
            return model
        name, *rest = model.split(":")
        if name != "ngram" or any("=" not in part or part.startswith("order=") for part in rest):
            raise UsageError(f"--order {order} does not go with --model {model}; it sets the order of `ngram`")
        return ":".join([name, str(order), *rest])


def _again(asked: _Asked, out: Path, at_once: int) -> str:
    """Write the command line that goes on with a training."""
    again = ["spellout", "train", *asked.files, "-o", str(out)]
    again += [*(["--encoding", asked.encoding] if asked.encoding else []), "--resume"]
    for flag, name in (("--dev", asked.data.dev), ("--test", asked.data.test)):
        again += [] if name is None else [flag, name]
    again += [] if at_once == 1 else ["--at-once", str(at_once)]
    return shlex.join(again)


def _begun(asked: _Asked, out: Path) -> Job:
    """Say what is trained anew, once it is known that it can be trained and kept."""
    from ...training.job import Job
    from ...training.runs.folder import check_place
    from ...training.runs.run import Keeper

    data, training = asked.data, asked.training
    pool = None if asked.pool is None else pool_of(asked.pool, asked.name, data)
    if asked.name == BEST:
        return _begun_best(asked, out)
    specification = understood(asked.name, training)
    teacher = None if asked.teacher is None else _teacher(asked.teacher, asked.distillation, specification)
    check_place(out, asked.overwrite)
    prepared = prepare(asked.files, asked.encoding, data)
    keep = Keeper(out, asked.overwrite)
    return Job(prepared, specification, training, keep=keep, teacher=teacher, pool=pool)


def _begun_best(asked: _Asked, out: Path) -> Job:
    """Say the same of the model that suits the list, which has to be read first."""
    from ...training.job import Job
    from ...training.runs.folder import check_place
    from ...training.runs.run import Keeper

    if asked.teacher is not None:
        raise UsageError("--model best starts from counts, which a student does not; name the model that learns")
    if asked.training.prior is not None:
        raise UsageError("--model best chooses what it starts from; leave out --prior, or name the model")
    check_place(out, asked.overwrite)
    prepared = prepare(asked.files, asked.encoding, asked.data)
    specification, choice = best_for(prepared, asked.training)
    training, keep = choice.of(asked.training), Keeper(out, asked.overwrite)
    return Job(prepared, specification, training, keep=keep, at_once=choice.at_once)


def _teacher(path: Path, config: DistillationConfig, student: Specification) -> Teacher:
    """Read the run to learn from; `UsageError` if the student cannot learn from any."""
    from ...models.table import MODELS
    from ...training.distillation.teacher import Teacher

    Teacher.check_student(student)
    return Teacher.read(path, MODELS, config)


def _resumed(asked: _Asked, out: Path) -> Job:
    """Read what the training in a run folder was to do, which goes on as it began."""
    from ...models.table import MODELS
    from ...training.distillation.teacher import Teacher
    from ...training.job import Job
    from ...training.runs.folder import LAST
    from ...training.runs.run import Keeper
    from ...training.runs.unfinished import Unfinished
    from ...training.train import check_trainable

    going_on = Unfinished.read(out, MODELS)
    found, others = None, []
    if going_on.teacher is not None:
        found = Teacher.again(going_on.teacher, out, MODELS, asked.teacher)
        others = [(asked.distillation, found.config)]
    elif asked.teacher is not None or asked.distillation != DistillationConfig():
        raise UsageError(f"{out} has no teacher and goes on without; leave out --teacher, --made and --new-lines")
    model = None if asked.model == BEST else asked.model
    going_on.check(model, asked.data, asked.training, *others)
    check_trainable(going_on.specification, going_on.training)
    check_file(out / LAST)
    prepared = prepare(
        asked.files, asked.encoding, replace(going_on.data, dev=asked.data.dev, test=asked.data.test)
    )
    going_on.check_lines(prepared.lines, prepared.given)
    keep = Keeper(out, there=True)
    prepared = prepared.first(going_on.lines).encoded_by(going_on.vocabulary)
    return Job(prepared, going_on.specification, going_on.training, keep=keep, going_on=going_on, teacher=found)


def _train_into(out: Path, job: Job, again: str) -> Trained:
    """Train into a folder. Ctrl-C keeps what was learned, and `TrainingInterrupted` says how to go on."""
    if not job.specification.family.in_steps:
        return train_on(job)
    compile_for(job.specification)
    kept = False

    def keep(run: Run) -> None:
        nonlocal kept
        job.keep(run)
        kept = True

    try:
        with interruptible() as interrupted:
            trained = train_on(replace(job, keep=keep, interrupted=interrupted))
    except TrainingError:
        if kept:  # there may not have been enough memory to begin
            terminal.note(f"the best weights before that are kept in {out}")
        raise
    if trained.stopped == "interrupted":
        raise TrainingInterrupted(f"interrupted, and kept in {out}; go on with: {again}")
    return trained


def _count_stream(asked: _Asked, out: Path) -> Trained:
    """Train an n-gram in one pass over files, into a run folder."""
    from ...models.table import parse_specification
    from ...training.runs.folder import check_place
    from ...training.runs.run import save_run
    from ...training.streaming import check_streaming, train_streaming

    check_place(out, asked.overwrite)
    config = check_streaming(asked.data, parse_specification(asked.name))
    found = say_what_is_read(asked.files)
    with progress_bar(size(found), "counting") as advance:
        trained = train_streaming(found, config, asked.encoding, advance, asked.data)
    data_read = trained.run.facts["data"]
    terminal.note(f"{data_read['name']}: {data_read['lines']:,} lines; split none")
    print_result(trained)
    save_run(trained.run, out, asked.overwrite)
    return trained
