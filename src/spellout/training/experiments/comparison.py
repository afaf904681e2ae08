"""Several models on the same lines and one split, one row each: the honest table.

They are trained one after the other or side by side, each in a process of its own with its part of the processor
cores: two small networks side by side take two cores much better than one network with two threads does. What a
process has trained comes back as a run folder, so nothing crosses that a file could not hold.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from ...data.config import DataConfig
from ...data.lines import Lines
from ...data.prepared import Prepared
from ...data.splits import FEW_LINES
from ...errors import SpelloutError, TrainingError, UsageError
from ...generation.evaluation import Evaluation, first_of, judging, unique_and_novel
from ...generation.judge import Judge, Judged
from ...generation.scoring import batches
from ...models.contract import Callback, LanguageModel
from ...models.family import Specification
from ...models.mixture import Mixture, fitted_weight
from ..config import TrainingConfig
from ..runs.run import Trained, read_run, save_run
from ..train import Job, train
from .results import ModelResult

SAMPLES = 1000
NO_TIE = 1e-5
"""A mixture is better than its members if it is by so many nats, or it would be shown for a rounding error."""
NUMBERS_FITTED = 1 << 22
"""A weight is one number: it needs no more probabilities than these, and they are in memory together."""


def compare(
    prepared: Prepared,
    specifications: Sequence[Specification],
    part: Literal["dev", "test"] = "dev",
    seed: int = 0,
    *,
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    at_once: int = 1,
    mixture: bool = False,
) -> Iterator[ModelResult]:
    """Train each model on the training lines and judge it on `dev` or `test`; rows come as they are ready.

    `training` is for the models that learn in steps: each has the whole budget. `at_once` of them train side by
    side and share the processor cores. Of several models, the mixture of the two that are best on dev lines is the
    last row, if it is better than both on the lines that judge, or if `mixture` asks for it. Its seconds are those
    of both, or of the longer one if all trained at once.
    """
    if not judging(prepared, part):
        raise UsageError(f"--split {prepared.split.name} keeps no {part} lines; compare with --split distinct")
    done: list[tuple[float, str, Trained, ModelResult]] = []
    trainings = train_each(prepared, specifications, training, callback, at_once)
    for name, trained in zip([one.text for one in specifications], trainings, strict=True):
        callback({"event": "judging", "of": name})
        row = _row(prepared, name, trained.run.model, part, trained.seconds, seed, known=trained)
        if trained.dev is not None:
            done.append((trained.loss, name, trained, row))
        yield row
    best = sorted(done, key=lambda one: one[0])[:2]
    if len(best) == 2:
        together = max if at_once >= len(specifications) else sum
        seconds = together([trained.seconds for _, _, trained, _ in best])
        first, second = (trained.run.model for _, _, trained, _ in best)
        callback({"event": "judging", "of": "the mixture"})
        mixed, parts = mix(prepared, first, second, part)
        row = _row(prepared, " × ".join(name for _, name, _, _ in best), mixed, part, seconds, seed, parts)
        if mixture or row.loss < min(row.loss for *_, row in best) - NO_TIE:
            yield row


def mix(
    prepared: Prepared, first: LanguageModel, second: LanguageModel, part: Literal["dev", "test"]
) -> tuple[Mixture, tuple[Evaluation, Evaluation]]:
    """Mix two models with a weight fitted on dev lines, and judge the mixture on `dev` or `test` lines, as it is.

    The losses are those of `Judge.parts`. No line is judged with a weight that it helped to fit, and every row of a
    table is judged on the same lines. Test lines are judged with the mixture that is returned. Dev lines are judged
    in two halves, every other line, each with the weight that was fitted on the other half (Stone 1974,
    "Cross-Validatory Choice and Assessment of Statistical Predictions"). Training lines held back for the fit would
    cost both models some, and a part of dev that only fits would make the losses of a table incomparable with those
    of other commands.
    """
    dev, judge = judging(prepared, "dev"), Judge(prepared)
    mixture = Mixture(first, second, _weight(prepared, first, second, dev))
    if part == "test":
        return mixture, judge.parts(mixture, judge.held_out(judging(prepared, "test")))
    halves = [dev[::2], dev[1::2]]
    new, seen = Evaluation(0.0, 0, 0, 0), Evaluation(0.0, 0, 0, 0)
    for half, other in zip(halves, halves[::-1], strict=True):
        fitted = Mixture(first, second, _weight(prepared, first, second, other))
        on_new, on_seen = judge.parts(fitted, judge.held_out(half))
        new, seen = new + on_new, seen + on_seen
    return mixture, (new, seen)


def _weight(prepared: Prepared, first: LanguageModel, second: LanguageModel, lines: Sequence[str]) -> float:
    """The first of these lines, as many as fit into `NUMBERS_FITTED`, say how much the first model counts."""
    stream = prepared.vocabulary.encode(first_of(lines, NUMBERS_FITTED // prepared.vocabulary.size))
    found = (
        (tokens, targets, np.arange(targets.shape[1]) < sizes[:, None])
        for _, tokens, targets, sizes in batches(stream)
    )
    return fitted_weight(first, second, found)


def _row(
    prepared: Prepared,
    name: str,
    model: LanguageModel,
    part: Literal["dev", "test"],
    seconds: float,
    seed: int,
    parts: tuple[Evaluation, Evaluation] | None = None,
    known: Trained | None = None,
) -> ModelResult:
    """Judge one model, unless its losses are known: as it is, or of its training on dev lines."""
    result, new = (known.dev, known.new) if known and part == "dev" else (None, None)
    if result is None:
        judge = Judge(prepared)
        judged = judge(model, judge.held_out(judging(prepared, part)), parts and Judged(parts))
        result, new = judged.as_it_is, judged.new
    unique, novel = unique_and_novel(model, prepared.vocabulary, prepared.split.train, SAMPLES, seed)
    return ModelResult(
        name,
        model.settings(),
        part,
        prepared.split.name,
        model.parameters,
        result.nats_per_char,
        result.bits_per_char,
        result.perplexity,
        unique,
        novel,
        seconds,
        None if new is None else new.to_json(),
    )


def floor(lines: Lines, ngram: Specification) -> ModelResult | None:
    """Say what the best n-gram reaches on dev lines: less is no use. None if there are too few lines for that."""
    if len(lines.distinct) < FEW_LINES:
        return None
    return next(compare(Prepared.of(lines, DataConfig()), [ngram]))


def train_each(
    prepared: Prepared,
    specifications: Sequence[Specification],
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    at_once: int = 1,
) -> Iterator[Trained]:
    """Train models on the same lines, `at_once` of them at a time, and give them in their order.

    Each has the threads that `training` says. `callback` hears the first one that is not
    yet done, and of the others how they began; each event says which model it is `of`. With more than one at once,
    a process starts by importing the main module again: a script needs `if __name__ == "__main__":`, as always with
    `multiprocessing`.
    """
    names = [specification.text for specification in specifications]
    if at_once == 1 or len(specifications) == 1:
        for specification in specifications:
            callback({"event": "begins", "of": specification.text})
            yield train(Job(prepared, specification, training, _naming(specification.text, callback)))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="spellout-")))
        waiting = list(enumerate(specifications))
        running: dict[Connection, tuple[int, BaseProcess]] = {}
        stack.callback(_stop, running)
        done: dict[int, Trained] = {}
        for following, name in enumerate(names):
            callback({"event": "begins", "of": name})
            while following not in done:
                while waiting and len(running) < at_once:
                    number, specification = waiting.pop(0)
                    pipe, process = _start(prepared, specification, training, folder / str(number))
                    running[pipe] = number, process
                for ready in wait(list(running)):
                    assert isinstance(ready, Connection)
                    number, process = running[ready]
                    kind, content = _message(ready, process)
                    if kind == "event":
                        if number == following or content["event"] in ("device", "first_loss"):
                            callback(content | {"of": names[number]})
                        continue
                    _stop({ready: running.pop(ready)})
                    if kind == "failed":
                        raise content
                    family = specifications[number].family
                    done[number] = Trained(read_run(folder / str(number), {family.name: family}), *content)
            yield done.pop(following)


def _naming(name: str, callback: Callback) -> Callback:
    return lambda event: callback(event | {"of": name})


def _start(
    prepared: Prepared, specification: Specification, training: TrainingConfig, folder: Path
) -> tuple[Connection, BaseProcess]:
    context = get_context("spawn")  # a fork would take PyTorch's threads along, broken
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(prepared, specification, training, folder, theirs), daemon=True)
    with _interrupts_blocked():
        process.start()
    theirs.close()  # so that the pipe ends when the process does
    return ours, process


def _work(
    prepared: Prepared, specification: Specification, training: TrainingConfig, folder: Path, pipe: Connection
) -> None:
    """Train one model and send home what happens: this runs in the process."""
    os.environ["OMP_NUM_THREADS"] = str(training.threads)  # evaluations take no more than training does
    with suppress(BrokenPipeError):  # nobody waits for it any more
        try:
            trained = train(Job(prepared, specification, training, lambda event: pipe.send(("event", event))))
            save_run(trained.run, folder)
        except SpelloutError as error:
            pipe.send(("failed", error))
        else:
            pipe.send(("done", (trained.seconds, trained.dev, trained.stopped, trained.new)))


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C while a process starts. It reaches all processes of a terminal, and those leave it to this one.

    They inherit what is blocked, so it holds before they have imported anything. One that comes meanwhile waits.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _message(pipe: Connection, process: BaseProcess) -> tuple[str, Any]:
    """Receive the kind and the content of the next message of a process."""
    try:
        kind, content = pipe.recv()
        return kind, content
    except EOFError:
        process.join()
        ended = f"a training process ended before its time (exit code {process.exitcode})"
        return "failed", TrainingError(f"{ended}; if memory ran out, train fewer at once")


def _stop(running: dict[Connection, tuple[int, BaseProcess]]) -> None:
    for pipe, (_, process) in running.items():
        process.terminate()
        process.join()
        pipe.close()
