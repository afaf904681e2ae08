"""Trainings side by side, each in a process of its own.

Two small networks side by side take two cores much better than one network with two threads does. What a process
has trained comes back as a run folder, so nothing comes back that a file could not hold.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import SpelloutError, TrainingError
from .job import Job
from .runs.checkpoint import Checkpoint
from .runs.folder import LAST
from .runs.log import read_log
from .runs.run import Keeper, Run, Trained, read_run

Train = Callable[[Job], Trained]
_PATIENCE = 0.2
"""Seconds after which it is asked again whether the trainings are interrupted."""


def train_side_by_side(jobs: Sequence[Job], at_once: int, train: Train) -> Iterator[tuple[int, Trained]]:
    """Do jobs by `train`, `at_once` of them at a time, and give each with its number when it is done.

    What a job says of events, of keeping and of interrupts happens in this process. One starts by importing the
    main module again: a script needs `if __name__ == "__main__":`, as always with `multiprocessing`. A job that has
    not begun when one is interrupted does not begin.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="spellout-")))
        waiting = list(enumerate(jobs))
        running: dict[Connection, _Training] = {}
        stack.callback(_stop, running)
        while waiting or running:
            while waiting and len(running) < at_once:
                number, job = waiting.pop(0)
                training = _Training(number, job, folder / str(number), train)
                running[training.pipe] = training
            for ready in wait(list(running), _PATIENCE):
                assert isinstance(ready, Connection)
                training = running[ready]
                kind, content = training.message()
                if kind == "event":
                    training.job.callback(content)
                elif kind == "kept":
                    training.job.keep(training.run())
                else:
                    _stop({ready: running.pop(ready)})
                    if kind == "failed":
                        raise content
                    yield training.number, Trained(training.run(), *content)
            for training in running.values():
                if not training.interrupted.is_set() and training.job.interrupted():
                    training.interrupted.set()
                    waiting.clear()


class _Training:
    """One process that trains."""

    def __init__(self, number: int, job: Job, folder: Path, train: Train) -> None:
        self.number, self.job, self._folder = number, job, folder
        context = get_context("spawn")  # a fork would take PyTorch's threads along, broken
        self.pipe, theirs = context.Pipe(duplex=False)
        self.interrupted = context.Event()
        arguments = (_sendable(job), train, folder, theirs, self.interrupted)
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        with _interrupts_blocked():
            self._process.start()
        theirs.close()  # so that the pipe ends when the process does

    def message(self) -> tuple[str, Any]:
        """Receive the kind and the content of its next message."""
        try:
            kind, content = self.pipe.recv()
            return kind, content
        except EOFError:
            self._process.join()
            ended = f"a training process ended before its time (exit code {self._process.exitcode})"
            return "failed", TrainingError(f"{ended}; if memory ran out, train fewer at once")

    def run(self) -> Run:
        """Read the run that it has kept last."""
        family = self.job.specification.family
        run = read_run(self._folder, {family.name: family})
        last = self._folder / LAST
        return replace(run, events=read_log(self._folder), last=Checkpoint.read(last) if last.exists() else None)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _sendable(job: Job) -> dict[str, Any]:
    """Give the parts of a job that another process can be given: all but the functions, which stay in this one."""
    there = ("prepared", "specification", "training", "going_on", "prior", "since", "plan")
    return {name: getattr(job, name) for name in there}


def _work(parts: dict[str, Any], train: Train, folder: Path, pipe: Connection, interrupted: Flag) -> None:
    """Train one model and send home what happens: this runs in the process."""
    os.environ["OMP_NUM_THREADS"] = str(parts["training"].threads)  # evaluations take no more than training does
    keeper = Keeper(folder)

    def keep(run: Run) -> None:
        keeper(run)
        pipe.send(("kept", None))

    def hear(event: dict[str, Any]) -> None:
        pipe.send(("event", event))

    with suppress(BrokenPipeError):  # nobody waits for it any more
        try:
            trained = train(Job(**parts, callback=hear, keep=keep, interrupted=interrupted.is_set))
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


def _stop(running: dict[Connection, _Training]) -> None:
    for training in running.values():
        training.end()
