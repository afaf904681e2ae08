"""Several trainings at once, each in a process of its own with its part of the processor cores.

Two small networks side by side take two cores much better than one network with two threads does. What a process
has trained comes back as a run folder, so nothing crosses that a file could not hold.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import SpelloutError, TrainingError
from ...models.contract import Callback
from ..config import TrainingConfig
from ..prepared import Prepared
from ..runs.run import Trained, load_run, save_run
from ..train import train


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


def train_each(
    prepared: Prepared,
    specifications: Sequence[str],
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
    if at_once == 1 or len(specifications) == 1:
        for specification in specifications:
            callback({"event": "begins", "of": specification})
            yield train(prepared, specification, _naming(specification, callback), training=training)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="spellout-")))
        waiting = list(enumerate(specifications))
        running: dict[int, _Worker] = {}
        stack.callback(_stop_all, running)
        done: dict[int, Trained] = {}
        following = 0
        callback({"event": "begins", "of": specifications[0]})
        while following < len(specifications):
            while waiting and len(running) < at_once:
                number, specification = waiting.pop(0)
                running[number] = _start(prepared, specification, training, folder / str(number))
            for number, kind, content in _messages(running):
                if kind == "event":
                    if number == following or content["event"] in ("device", "first_loss"):
                        callback(content | {"of": specifications[number]})
                    continue
                _stop(running.pop(number))
                if kind == "failed":
                    raise content
                seconds, dev, stopped = content
                done[number] = Trained(load_run(folder / str(number)), seconds, dev, stopped)
            while following in done:
                yield done.pop(following)
                following += 1
                if following < len(specifications):
                    callback({"event": "begins", "of": specifications[following]})


def _naming(specification: str, callback: Callback) -> Callback:
    return lambda event: callback(event | {"of": specification})


def _start(prepared: Prepared, specification: str, training: TrainingConfig, folder: Path) -> _Worker:
    context = get_context("spawn")  # a fork would take PyTorch's threads along, broken
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(prepared, specification, training, folder, theirs), daemon=True)
    with _interrupts_blocked():
        process.start()
    theirs.close()  # so that the pipe ends when the process does
    return _Worker(process, ours)


def _work(prepared: Prepared, specification: str, training: TrainingConfig, folder: Path, pipe: Connection) -> None:
    """What runs in the process."""
    os.environ["OMP_NUM_THREADS"] = str(training.threads)  # evaluations take no more than training does
    with suppress(BrokenPipeError):  # nobody waits for it any more
        try:
            trained = train(prepared, specification, lambda event: pipe.send(("event", event)), training=training)
            save_run(trained.run, folder)
        except SpelloutError as error:
            pipe.send(("failed", error))
        else:
            pipe.send(("done", (trained.seconds, trained.dev, trained.stopped)))


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal; those started here shall leave it to this one, which ends them.

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


def _messages(running: dict[int, _Worker]) -> Iterator[tuple[int, str, Any]]:
    """Wait for messages: the worker's number, the kind and the content of each."""
    numbers = {id(worker.pipe): number for number, worker in running.items()}
    for pipe in wait([worker.pipe for worker in running.values()]):
        assert isinstance(pipe, Connection)
        number = numbers[id(pipe)]
        try:
            kind, content = pipe.recv()
        except EOFError:
            process = running[number].process
            process.join()
            kind, content = (
                "failed",
                TrainingError(
                    f"a training process ended before its time (exit code {process.exitcode}); if memory ran out, "
                    "train fewer at once"
                ),
            )
        yield number, kind, content


def _stop_all(running: dict[int, _Worker]) -> None:
    for worker in running.values():
        _stop(worker)


def _stop(worker: _Worker) -> None:
    worker.process.terminate()
    worker.process.join()
    worker.pipe.close()
