"""A script under examination: what it trains is found, examined before its first step, and watched for some steps.

The doctor runs a group (see `groups.py`) once, just before its optimizer's first step, and puts it back; then the
script's own steps are recorded, until an evaluation is seen or waited for.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .. import walk
from ..checks.silence import failed_outside, unheard
from ..checks.steps.discarded import lost_on
from ..checks.steps.gradients import NOTHING, cut_in
from ..recording import Recording
from ..report import Finding
from ..report.report import Report
from ..sights.unreached import Unreached
from ..snapshot import companions
from .capture import Backward, Captured
from .groups import Group, Leaves, Wanted, captured, known_among, living_optimizers, reports_of, together
from .hooks import Hooks, opened_to_write
from .names import Names
from .passes import Reel
from .replay import Visit, ancestors

_TAPED = 4
"""Steps of every optimizer that are kept on the tape: all orders show in three, and the first pass is not noted."""
_PATIENCE = 8
"""Backward passes without a step of the optimizer, after which no more is waited for it."""
_REFUSALS = 10
"""So often the stop is raised again for a script that catches everything."""


class Stopped(BaseException):
    """Unwinds the script: the doctor has seen enough."""


class Session:
    """Watches whatever is trained while it is entered; `report` says what was seen."""

    def __init__(
        self,
        *,
        steps: int = 20,
        seconds: float = 60.0,
        stops: bool = False,
        ignore: Sequence[str] = (),
        model: str | None = None,
        loss: str | None = None,
        overfit_seconds: float = 4.0,
        thorough: bool = False,
    ) -> None:
        self.steps_wanted, self.seconds, self.stops = steps, seconds, stops
        self.wanted = Wanted(frozenset(ignore), overfit_seconds, thorough, model, loss)
        self._unknown = {"--model": model, "--loss": loss}
        self.hooks = Hooks(self, eager=stops)
        self.names = Names()
        self.groups: list[Group] = []
        self.missing: list[str] = []
        self.findings: list[Finding] = []
        self.report: Report | None = None
        """Set once all is seen."""
        self.refused = 0
        """How often the script went on after it was stopped."""
        self.written: dict[str, None] = {}
        """The files that the script wrote, in their order."""
        self.at_last: Callable[[Report, int | None], object] | None = None
        """Is called where a script cannot be stopped, or leaves at once with an exit code of its own."""
        self._optimizers: list[Optimizer] = []
        self._begun_steps: set[int] = set()
        """The optimizers that have begun to step, by their ids."""
        self._early: dict[int, list[LRScheduler]] = {}
        """The schedulers that stepped before their optimizer's first step, by its id."""
        self._between = True
        self._due = False
        """Enough was seen: it ends at the next place where hooks may be taken off."""
        self._reel = Reel(self.hooks, lambda: [group.recording for group in self.groups])
        self._stepping = False
        """An optimizer is at work, and the passes are its closure's."""
        self._ready: float | None = None
        self._earlier = 0
        """How many groups there were when something new began to be trained."""
        self._begun: set[int] = set()
        """The parameters of what did."""
        self._unreached = Unreached()
        self._last = 0
        """How many calls there were on the tape at the backward pass before."""

    def __enter__(self) -> Session:
        self.hooks.__enter__()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.hooks.is_at_home:
            self.finish(error if isinstance(error, Exception) else None)

    # What the hooks tell.

    def enters(self, visit: Visit) -> None:
        """A forward pass: is it an evaluation's?"""
        self._end_if_due()
        if visit.depth or self.report is not None:
            return
        tracking, tape = torch.is_grad_enabled(), self.hooks.tape
        if tracking and (tape.paused or tape.rolls):
            self._begin_again(visit)
        self._reel.spare()
        phase = "evaluate" if self._between and not tracking else "step"
        for group in self.groups:
            group.recording.phase = phase
        self._between = self._between and not tracking
        if self._reel.hears(phase):
            self._rest()

    def _rest(self) -> None:
        """The tape rests once it holds enough of the steps."""
        most = self._steps
        enough = most >= _TAPED and not self._reel.evaluating
        if enough and not self.hooks.tape.paused and (not self._idle() or most >= self.steps_wanted):
            self._reel.rest()

    def left(self, visit: Visit) -> None:
        """A pass without gradients may be an evaluation, or make data for another one."""
        if visit.depth or self.report is not None:
            return
        for group in self.groups:
            recording = group.recording
            if recording.forwards and any(one is visit.module for one in recording.entrances):
                self._reel.left(recording, visit.outputs, in_closure=self._stepping)
        self._look_at_the_clock()

    def backward(self, loss: torch.Tensor) -> None:
        """Something is trained: the model and the optimizers that step on it are found."""
        self._end_if_due()
        if self.report is not None:
            return
        if self._reel.hears("step"):
            self._rest()
        if self.hooks.tape.paused or self.hooks.tape.rolls:
            with self._at_work():
                for group in self.groups:
                    group.one_more_backward(loss)
            return
        with self._at_work():
            self.names.read(sys._getframe(2))
            self._read(loss)

    def _read(self, loss: torch.Tensor) -> None:
        calls, visits = list(self.hooks.tape.calls), list(self.hooks.visits)
        try:
            backward = Backward(loss, calls, visits, self.names.of, self.names.things)
            self._look_for_named(backward)
            self._reel.tell_data(backward)
            self._groups_of(backward)
        except Exception as bug:  # of ours: the script must go on
            self.missing.append(f"a backward pass, for the doctor failed ({type(bug).__name__}: {bug})")

    def asks(self) -> None:
        """Where no module is called, this is the only place at which the tape may be taken off."""
        self._end_if_due()

    def backed(self) -> None:
        """After a backward pass its graph is gone, so that the model may be run where nobody steps on it."""
        if self.report is not None:
            return
        if not self.groups[self._earlier :]:
            self._earlier = 0
        for group in self.groups:
            if group.patient is None and (not group.optimizers or group.backwards >= _PATIENCE):
                self._examine(group)
        if any(not group.optimizers for group in self.groups):
            self._look_at_the_clock()

    def steps(self, optimizer: Optimizer) -> None:
        """Just before the first step everything is as training starts."""
        self._insist()
        self._stepping = True
        for one in self.groups:  # with a closure, the passes of the step come after this
            one.recording.phase = "step"
        group = self._group_of(optimizer)
        self._begun_steps.add(id(optimizer))
        early = self._early.pop(id(optimizer), [])
        if group is None:
            self._unreached.step(optimizer)
            return
        if len(early) == 1:  # more are one that goes on where an earlier run has ended
            group.recording.has_stepped(early[0])
        if group.patient is None:
            self._examine(group)

    def schedules(self, scheduler: LRScheduler) -> None:
        """Has its optimizer not stepped yet? A scaled loss may have made it leave out the first step."""
        optimizer = scheduler.optimizer
        if id(optimizer) not in self._begun_steps and not self.hooks.scaled:
            self._early.setdefault(id(optimizer), []).append(scheduler)

    def stepped(self, optimizer: Optimizer) -> None:
        """Were these enough?"""
        self._between, self._stepping = True, False
        group = self._group_of(optimizer)
        if group is None:
            self._due = self._due or (not self.groups and self._unreached.steps >= self.steps_wanted)
        else:
            group.steps += 1
            if self._reel.stepped():
                self._rest()
        self._look_at_the_clock()
        if self.stops:  # torch is going through the hooks of its optimizers: to take them off would break that
            self._end_if_due()

    def saves(self, path: object) -> None:
        """After the stop nothing is saved any more."""
        self._insist()
        if isinstance(path, str | os.PathLike):
            self.written.setdefault(os.fspath(path))

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Files that the script opens for writing, as Python's audit events tell."""
        if event == "open" and self.hooks.heard and opened_to_write(args):
            self._insist()
            self.written.setdefault(args[0])

    # What is done about it.

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Nothing that happens inside is taken for the script's."""
        hooks, before = self.hooks, self.hooks.tape.paused
        hooks.deaf = hooks.tape.paused = True
        for group in self.groups:
            group.recording.paused = True
        try:
            yield
        finally:
            hooks.deaf, hooks.tape.paused = False, before
            for group in self.groups:
                group.recording.paused = False

    def _begin_again(self, visit: Visit) -> None:
        """What is trained only after something else is seen, too: a teacher first, and then its pupil."""
        trained = {id(one) for one in visit.trained}
        known = self._begun.union(*(group.recording.accounts for group in self.groups))
        if trained and not trained & known:
            self._begun |= trained
            self._earlier, self._optimizers, self._ready = len(self.groups), [], None
            self._last = len(self.hooks.tape.calls)
            self._reel.begin_again()

    def _groups_of(self, backward: Backward) -> list[Group]:
        # Leaves that are made anew for every pass are no parameters.
        leaves = {key: one for key, one in backward.leaves.items() if not self._is_new(one)}
        self._last = len(self.hooks.tape.calls)
        self._optimizers = self._optimizers or living_optimizers()
        holding = [one for one in self._optimizers if any(id(p) in leaves for p in walk.listed_in(one))]
        if not holding:
            own = ancestors(backward.calls, [backward.loss])
            self._unreached.backward(cut_in(own) or cut_in(backward.calls), self.hooks.tape.maker(backward.loss))
        if not leaves:
            return []
        found: list[Group] = []
        for optimizers in together(holding, backward) or [[]]:
            group = known_among(self.groups, optimizers, leaves) or self._opened(backward, optimizers)
            group.one_more_backward(backward.loss)
            group.sees(backward)
            found.append(group)
        return found

    def _is_new(self, leaf: torch.Tensor) -> bool:
        """Was it made since the backward pass before? An optimizer only writes into it."""
        makers = self.hooks.tape.makers.get(id(leaf), []) if self.groups else []
        return any(one.index >= self._last and one.changed is not leaf for one in makers)

    def _look_for_named(self, backward: Backward) -> None:
        """Do the variables that the user named hold what they should?"""
        if isinstance(backward.things.get(self.wanted.model or ""), nn.Module):
            self._unknown["--model"] = None
        loss = backward.things.get(self.wanted.loss or "")
        if loss is not None and backward.ending_in(loss) is not None:
            self._unknown["--loss"] = None

    def _opened(self, backward: Backward, optimizers: list[Optimizer]) -> Group:
        """A group's recording begins before its first gradient arrives."""
        found = captured(backward, optimizers, self.wanted)
        model = found.case.model if isinstance(found, Captured) else getattr(found, "module", None)
        model = Leaves(backward) if model is None else model
        entrances = found.entrances if isinstance(found, Captured) else [model]
        recording = Recording(
            model, optimizers, companions(optimizers), tape=self.hooks.tape, states=self.hooks.states,
            loaders=self.hooks.loaders, entrances=entrances, calls=2, scripted=True,
        )  # fmt: skip
        if self._stepping:  # by a closure: the first step is under way, and the schedulers' first is after it
            recording.counts = [sys.maxsize] * len(recording.counts)
        recording.__enter__()
        name = self.names.of.get(id(model), type(model).__name__)
        group = Group(optimizers, name, recording, backward, found)
        self.groups.append(group)
        return group

    def _group_of(self, optimizer: Optimizer) -> Group | None:
        return next((group for group in self.groups if any(one is optimizer for one in group.optimizers)), None)

    def _examine(self, group: Group) -> None:
        with self._at_work(), redirect_stdout(io.StringIO()):
            group.examine(self.wanted)

    def _look_at_the_clock(self) -> None:
        self._rest()
        if self._steps < self.steps_wanted:
            return
        self._ready = self._ready or time.monotonic()
        if any(group.evaluated for group in self.groups) or time.monotonic() - self._ready > self.seconds:
            self._due = True

    @property
    def _steps(self) -> int:
        """Of what is trained just now."""
        return max((group.steps for group in self.groups[self._earlier :]), default=self._unreached.steps)

    def _idle(self) -> bool:
        """Is there an optimizer that has not stepped three times, and may yet?"""
        grouped = [one for group in self.groups for one in group.optimizers if group.steps >= _TAPED]
        return any(all(one is not other for other in grouped) for one in self._optimizers)

    def _end_if_due(self) -> None:
        if self._due:
            self.finish()
        self._insist()

    def _insist(self) -> None:
        """Once all is seen, whatever the script does next ends it."""
        if self.report is not None and self.stops:
            self.refused += 1
            if self.refused > _REFUSALS and self.at_last is not None:
                self.at_last(self.report, None)
            raise Stopped

    def exits(self, code: int) -> None:
        """The process is about to end, without a word to anybody."""
        if self.at_last is None or (self.report is not None and not self.stops):
            return
        if self.report is None:
            self.finish()
        else:
            code = 0  # it was stopped, and that is why it leaves
        assert self.report is not None
        self.at_last(self.report, code)

    def finish(self, error: Exception | None = None) -> None:
        """Ask what remains to be asked, and take everything off."""
        if self.report is not None:
            return
        self._reel.end(whole=error is None and not self._due)
        with self._at_work(), redirect_stdout(io.StringIO()):
            known = [one for group in self.groups for one in (*group.optimizers, *group.strangers)]
            silent = self._unreached.told(known) if error is None else ()
            self.findings += [NOTHING.found(evidence, where) for evidence, where in silent]
            if self.findings:  # a number made anew is no program
                self.groups = [group for group in self.groups if group.optimizers or group.backwards > 1]
            for group in self.groups:
                if group.patient is None:
                    self._examine(group)
                group.ask(self.wanted, error)
        if not self.groups:
            tape = self.hooks.tape
            self.findings += lost_on(tape) if error is None else failed_outside(error, tape)
        for option, name in self._unknown.items():
            if name is not None:
                what = "module" if option == "--model" else "loss, or function that computes it,"
                self.missing.append(f"{option} {name}: no variable of that name holds a {what} that is trained")
        self.report = self._together()
        self.groups, self.names = [], Names()  # all that they keep alive may go
        self.hooks.tape.paused = True
        if not self.stops:
            self.hooks.__exit__()

    def _together(self) -> Report:
        reports = reports_of(self.groups)
        if reports and self.findings:
            reports["the script"] = Report.of(self.findings, [], {})
        if len(reports) > 1:
            return Report.together(reports)
        one = next(iter(reports.values()), Report.of(self.findings, [], {}))
        if not reports and not self._unreached.steps and not self.findings:
            seen = unheard(self._unreached, self.hooks.tape, self.hooks.ran, self.hooks.elsewhere)
            self.missing.append(f"the training: {seen}")
        left = (*self.missing, *one.not_examined)
        return replace(one, not_examined=left, examined=bool(reports))
