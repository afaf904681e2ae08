"""The short way in from Python: models are named as on the command line, and trained, compared and read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .data.prepared import Prepared
from .errors import UsageError
from .generation.validity.validator import validator_of
from .models.contract import Callback
from .models.family import Specification
from .models.table import MODELS, parse_specification
from .training.config import TrainingConfig
from .training.distillation.config import DistillationConfig
from .training.distillation.teacher import Teacher
from .training.ensembles import train_any
from .training.experiments import comparison
from .training.experiments.results import ModelResult
from .training.job import Job
from .training.plans.choice import chosen_for_training
from .training.plans.names import BEST
from .training.runs.places import writing
from .training.runs.run import Run, Trained, read_run

if TYPE_CHECKING:
    from .export.portable import Portable
    from .export.targets import Weights


def train(
    prepared: Prepared,
    specification: str | Specification,
    callback: Callback = lambda event: None,
    *,
    training: TrainingConfig = TrainingConfig(),
    keep: Callable[[Run], None] = lambda run: None,
    interrupted: Callable[[], bool] = lambda: False,
    at_once: int = 1,
    teacher: Run | str | Path | None = None,
    distillation: DistillationConfig = DistillationConfig(),
) -> Trained:
    """Train one model, such as `ngram:5` or `mlp:128+ngram`, on the training lines and judge it by the dev lines.

    `best` is the model that suits the lines, the seconds and what is installed.

    An ensemble, such as `gru+ngram & mlp+ngram` or `4*mlp+ngram`, is one model; `at_once` of its members train side
    by side (a script then needs `if __name__ == "__main__":`).

    `callback` hears every event as it happens; the run's log keeps those worth keeping. Models that learn in steps
    follow `training`, are given to `keep` now and then and at the end, and stop after the step in which
    `interrupted` becomes true. With a `teacher`, a run or its folder, the model is its student: it learns what that
    says of the training lines, and of lines that it makes, as `distillation` says.

    Raises `UsageError` for a specification that is not understood or if `callback` is no function, and
    `TrainingError`, after `keep`, if the loss is not finite.
    """
    if not callable(callback):
        way = (
            "; settings are given by name, training=TrainingConfig(...)"
            if isinstance(callback, TrainingConfig)
            else ""
        )
        raise UsageError(f"the third argument of train is a function that hears every event, got {callback!r}{way}")
    if specification == BEST:
        choice = chosen_for_training(prepared, training)
        specification, at_once = choice.specification, max(at_once, choice.at_once)
        training = choice.of(training)
    understood = _understood(specification, training)
    if teacher is not None:
        Teacher.check_student(understood)
    found = _teacher(teacher, distillation)
    job = Job(prepared, understood, training, callback, keep, interrupted, teacher=found, at_once=at_once)
    return train_any(job)


def compare(
    prepared: Prepared,
    specifications: Sequence[str | Specification],
    part: Literal["dev", "test"] = "dev",
    seed: int = 0,
    *,
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    at_once: int = 1,
    mixture: bool = False,
    valid: str | None = None,
) -> Iterator[ModelResult]:
    """Train each model on the training lines and judge it on `dev` or `test` (see `comparison.compare`).

    `valid` names what says which of the lines that it makes are valid, as `--valid` does.
    """
    named = [
        chosen_for_training(prepared, training).specification if one == BEST else one for one in specifications
    ]
    return comparison.compare(
        *(prepared, [_understood(one, training) for one in named], part, seed),
        training=training,
        callback=callback,
        at_once=at_once,
        mixture=mixture,
        validator=None if valid is None else validator_of(valid),
    )


def load_run(path: str | Path) -> Run:
    """Read a run folder. `RunError` says what is missing or damaged; nothing in the folder is executed."""
    return read_run(path, MODELS)


def export(
    run: Run | str | Path,
    path: str | Path,
    *,
    weights: Weights = "int8",
    with_lines: bool = False,
    model: str | None = None,
    saying: Callable[[str], None] = lambda what: None,
) -> Portable:
    """Write a run's model as one file that works without spellout; the suffix of `path` says what is written.

    `.html` is a page, `.py` a module of Python, `.h` a header for C99, `.onnx` a step for onnxruntime. The training
    lines are in it only with `with_lines`; `model` is what the file calls its model. `saying` is told what is done
    now. Gives what was written, whose `about` tells the losses before and after storing.

    Raises `UsageError` for another suffix, or for lines where the file has no place for them or the
    run has none, `ExportError` for a
    model that cannot be exported, and `RunError` if the file cannot be written.
    """
    from .export.exporting import portable
    from .export.targets import STEPS_ONLY, target_of, write

    suffix, path = target_of(Path(path)), Path(path)
    if with_lines and suffix in STEPS_ONLY:
        raise UsageError(f"--with-lines: a {suffix} file holds one step of the model, and has no place for lines")
    run = run if isinstance(run, Run) else load_run(run)
    if with_lines and run.lines is None:
        raise UsageError("--with-lines: the run keeps no training lines; leave it out, or train without --stream")
    dev, split = run.facts.get("results", {}).get("dev") or {}, run.facts.get("split", {})
    made = portable(
        *(run.model, run.vocabulary),
        name=str(run.facts.get("data", {}).get("name", "lines")),
        max_length=run.length_limit,
        longest=int(run.facts.get("longest", 0)),
        lines=run.lines,
        weights=weights,
        with_lines=with_lines,
        about={
            "model": model or run.facts.get("specification", run.family),
            "nats": dev.get("nats_per_char"),
            "held_out": split.get("dev", 0) + split.get("test", 0),
            "called": path.stem,
        },
        saying=saying,
    )
    saying(f"writing {path.name}")
    content = write(made, suffix)
    with writing(path):
        path.write_bytes(content)
    return made


def _teacher(teacher: Run | str | Path | None, distillation: DistillationConfig) -> Teacher | None:
    if teacher is None or isinstance(teacher, Run):
        return None if teacher is None else Teacher(teacher, distillation)
    return Teacher.read(teacher, MODELS, distillation)


def _understood(specification: str | Specification, training: TrainingConfig) -> Specification:
    if isinstance(specification, Specification):
        return specification
    return parse_specification(specification, training.prior)
