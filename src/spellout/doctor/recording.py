"""A recording sees what the user's own steps do: forward passes, gradients that arrive, optimizer steps.

Every parameter has an account: has a gradient arrived since the optimizer's last step, and does what lies in
`.grad` hold something older than that step? The hooks change nothing and are removed at the end.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from . import walk
from .finite import Finiteness
from .sights.account import Account, Heard, Thrown
from .sights.ending import Ending
from .sights.events import Forward, Step
from .sights.loaders import Drawn, Loaders
from .sights.movement import Scale, few, size_of
from .sights.sight import sight_of
from .sights.states import Kept, States
from .sights.totals import losses_in_one_list
from .sights.variables import numbers_in
from .tape import Call, Tape, tensors_in, users_frames, users_line

_QUIETLY = torch._C.DisableTorchFunction
"""What the hooks measure does not go on the tape."""


@dataclass(eq=False)
class Recording:
    """Watches a model and the optimizers while it is entered."""

    model: nn.Module
    optimizers: list[Optimizer]
    schedulers: list[LRScheduler]
    limit: int | None = None
    """After so many optimizer steps the hooks are removed."""
    tape: Tape | None = None
    states: States | None = None
    """What was done with states of models, where that is heard."""
    paused: bool = False  # what happens is not the program's doing
    phase: str = "step"
    error: Exception | None = None
    """What the user's step raised."""
    forwards: list[Forward] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)
    """The ticks of gradients that arrived."""
    lost: list[str] = field(default_factory=list)
    """Parameters whose gradient was thrown away without a step."""
    thrown: list[Thrown] = field(default_factory=list)
    """The same, before and between an optimizer's steps."""
    calls: int = 0  # of the user's step
    inputs: list[torch.Tensor] = field(default_factory=list)
    """What the model was given in the first call of the step."""
    loaders: Loaders | None = None
    """Somebody else listens to the loaders already."""
    results: list[Any] = field(default_factory=list)
    """What the user's evaluation returned."""
    kept: list[float] = field(default_factory=list)
    """The `float`s that variables of the evaluation's functions, and of their callers, hold at the end."""
    references: list[Kept] = field(default_factory=list)
    """The states that are still kept at the end, and follow the training."""
    keepers: int = 0
    """How many losses with their graphs lie in one list of the user's."""
    ending: Ending | None = None
    losses: list[float] = field(default_factory=list)
    """What a script differentiated, one after the other."""
    after_first: dict[str, torch.Tensor] = field(default_factory=dict)
    """The parameters after that call."""
    scripted: bool = False
    """Is it a script, which has no such calls?"""
    first: dict[str, torch.Tensor] = field(default_factory=dict)
    """Then the parameters before their optimizer's first step; `after_first` holds them before its third."""
    accounts: dict[int, Account] = field(default_factory=dict)
    entrances: list[nn.Module] = field(default_factory=list)
    """The modules whose calls are forward passes; the model, if none are given."""
    _handles: list[Any] = field(default_factory=list)
    _pending: Step | None = None
    _scale: Scale | None = None
    _frames: list[FrameType] = field(default_factory=list)
    _frozen: dict[int, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.optimizers = list(self.optimizers)  # the user's step may bring others
        self.counts = counts_of(self.schedulers)  # before the first step
        self.finite = Finiteness(self.accounts)

    def has_stepped(self, scheduler: LRScheduler) -> None:
        """It did so once, before this was there."""
        for place, one in enumerate(self.schedulers):
            if one is scheduler:
                self.counts[place] = counts_of([one])[0] - 1

    @property
    def tick(self) -> int:
        """The place on the tape, or simply the number of events."""
        return len(self.tape.calls) if self.tape is not None else len(self.arrivals) + len(self.steps)

    def __enter__(self) -> Recording:
        for name, parameter in walk.parameters(self.model):
            self._open(name, parameter)
        for optimizer in self.optimizers:
            self._open_foreign(optimizer)
        # First of all hooks, and through the class: the user's may raise, or change modes.
        for entrance in self.entrances or [self.model]:
            self._handles.append(
                nn.Module.register_forward_pre_hook(entrance, self._before_forward, prepend=True, with_kwargs=True)
            )
        self._handles.append(register_optimizer_step_pre_hook(self._before_step))
        self._handles.append(register_optimizer_step_post_hook(self._after_step))
        if self.loaders is None:
            self.loaders = Loaders(lambda: (self.tick, self.phase))
            self.loaders.listen()
            self._handles.append(self.loaders)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        with _QUIETLY():
            self.ending = self.ending or Ending.of(self.model, self.schedulers, self.tape)
        self.keepers = self._kept_losses()
        self.references = self.references or (self.states.kept() if self.states is not None else [])
        self.kept, self._frames = numbers_in(self._frames), []

    @property
    def drawn(self) -> list[Drawn]:
        """The iterations over loaders that were begun."""
        return self.loaders.drawn if self.loaders is not None else []

    @property
    def source(self) -> Drawn | None:
        """The iteration over a loader of which a batch was taken last."""
        return self.loaders.last if self.loaders is not None else None

    def _kept_losses(self) -> int:
        """How many differentiated losses lie in one list; asked before the user's lists are put back."""
        losses = [one for call in self.calls_of("backward") for one in call.inputs[:1]]
        return losses_in_one_list(losses, self.tape) if self.tape is not None else 0

    def _open(self, name: str, parameter: torch.Tensor) -> None:
        if id(parameter) in self.accounts:
            return
        account = self.accounts[id(parameter)] = Account(name, parameter)
        if parameter.requires_grad and parameter.is_leaf:
            self._handles.append(
                Heard(parameter, lambda: self._before_arrival(account), lambda: self._after_arrival(account))
            )

    def _open_foreign(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            for place, parameter in enumerate(group["params"]):
                self._open(f"parameter {place} of {type(optimizer).__name__}", parameter)

    def _before_forward(self, module: nn.Module, args: tuple[Any, ...], *kwargs: dict[str, Any]) -> None:
        # Where the hooks are taken off by a hook of the same call, torch calls this all the same, without `kwargs`.
        if self.paused or not self._handles:
            return
        if self.calls == 1:
            self.inputs.extend(one.detach().clone() for one in args if isinstance(one, torch.Tensor))
        all_eval = not module.training and not walk.any_learns(module)
        given = tuple(tensors_in((args, kwargs)))
        with _QUIETLY():
            seen = tuple(sight for one in given if (sight := sight_of(one)) is not None)
        kept = given if self.tape is not None else ()
        frames = users_frames(sys._getframe(1))
        tracking, where = torch.is_grad_enabled(), users_line()
        if self.tape is not None and (self.phase == "evaluate" or not tracking):
            self.told_in(frames)
        forward = Forward(self.phase, module.training, tracking, all_eval, where, self.tick, seen, kept)
        forward.order, forward.source = len(self.forwards) + len(self.steps), self.source
        forward.frames = tuple((one.f_code, one.f_lasti) for one in frames)
        self.forwards.append(forward)

    def told_in(self, frames: Iterable[FrameType]) -> None:
        """These calls are an evaluation's, or called one: what their variables hold is read at the end."""
        self._frames += [one for one in frames if one not in self._frames]

    def forget(self, begin: int, end: int) -> None:
        """These calls are taken off the tape: what came after them moves up, and what came among them together."""

        def moved(tick: int) -> int:
            return tick if tick <= begin else max(begin, tick - (end - begin))

        for forward in self.forwards:
            forward.tick = moved(forward.tick)
        for step in self.steps:
            step.tick = moved(step.tick)
        for account in self.accounts.values():
            account.since = moved(account.since)
        self.arrivals = [moved(tick) for tick in self.arrivals]
        self.thrown = [replace(one, since=moved(one.since), until=moved(one.until)) for one in self.thrown]

    @torch.no_grad()
    def _before_arrival(self, account: Account) -> None:
        if self.paused:
            return
        grad = account.grad
        # Numbers are kept, never the tensor: torch goes on adding into it.
        account.held = grad is not None and bool(grad.any())
        if grad is not None and account.held and account.stepped:
            account.old = float(grad.norm())

    @torch.no_grad()
    def _after_arrival(self, account: Account) -> None:
        if self.paused:
            return
        parameter = account.parameter
        account.reached = True
        self.arrivals.append(self.tick)
        if not self.steps:  # once an optimizer steps, nobody updates by hand, and the copies would only cost
            changed = account.value is not None and not torch.equal(account.value, parameter)
            account.moved = account.moved or changed
            account.stepped = account.stepped or changed
            if account.waiting and not account.held and not changed:
                self.lost.append(account.name)
            account.value = parameter.detach().clone()
        account.stale = account.held and (account.stepped or account.stale)
        account.stepped = False
        grad = account.grad
        if grad is not None:
            with _QUIETLY():
                self._note_thrown(account)
                account.arrived, account.identity = size_of(grad), id(parameter.grad)
            account.waiting = account.waiting or account.arrived > 0 or bool(grad.any())
            account.broken = not self.finite.gradient(account.name, grad) or account.broken

    def _note_thrown(self, account: Account) -> None:
        """Was the last gradient neither stepped on nor added to, and did nobody use it by hand?"""
        weight = size_of(account.parameter)
        if account.waiting and not account.held and not account.broken and weight == account.weight:
            self.thrown.append(Thrown(account, account.since, self.tick, account.identity))
        account.since, account.weight = self.tick, weight

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.paused:
            return
        if optimizer not in self.optimizers:
            if not self._accounts_of(optimizer):
                return
            self.optimizers.append(optimizer)
            self._open_foreign(optimizer)
        closure = len(args) > 1 or kwargs.get("closure") is not None
        counts = counts_of(one for one in self.schedulers if one.optimizer is optimizer)
        whole = self.tape is None or not (self.tape.paused or self.tape.rolls)
        placed = whole and all(one.placed for one in self.steps[-1:])
        step = Step(optimizer, users_line(), self.tick, closure, counts, phase=self.phase, placed=placed)
        step.order, step.source = len(self.forwards) + len(self.steps), self.source
        for account in self._accounts_of(optimizer):
            grad = account.grad
            if not account.parameter.requires_grad:
                self._frozen[id(account.parameter)] = account.parameter.detach().clone()
            live = grad is not None and bool(grad.any())
            if live:
                step.driven.add(id(account.parameter))
            if closure:  # gradients arrive inside the step; they are judged after it
                continue
            if live and account.stale:
                self._note_stale(step, account)
            used = account.stepped and account.stepper is optimizer
            step.repeated += live and used and not account.waiting
            step.zeroed |= account.waiting and not live
        if not self.scripted and whole:  # nobody has told of the loss when it was differentiated
            begin = self.steps[-1].tick if self.steps else 0
            for loss in [
                call.inputs[0] for call in self.calls_of("backward") if call.index >= begin and call.inputs
            ]:
                self.tell(loss)
        with _QUIETLY():
            self._copy(optimizer)
            step.kept = self._kept(optimizer)
            self._scale = Scale(optimizer)
        self.steps.append(step)
        self._pending = step
        self.finite.steps(len(self.steps_of(optimizer)), step.where)

    def tell(self, loss: torch.Tensor) -> None:
        """The gradient of this loss is asked for."""
        self.finite.loss(len(self.steps) + 1, loss, self.trained[-1:], self.tape)

    def _copy(self, optimizer: Optimizer) -> None:
        """Of a script: the parameters before the first step and the third."""
        steps, mine = len(self.steps_of(optimizer)), self._accounts_of(optimizer)
        if self.scripted and steps in (0, 2) and few(one.parameter for one in mine):
            copies = self.first if steps == 0 else self.after_first
            copies.update((one.name, one.parameter.detach().clone()) for one in mine)

    def kept_now(self) -> float:
        """The same for all optimizers, before a step: what was unscaled or clipped by hand."""
        with _QUIETLY(), torch.no_grad():
            return min(map(self._kept, self.optimizers), default=1.0)

    def _kept(self, optimizer: Optimizer) -> float:
        """What part of the gradients that arrived is still there."""
        pairs = [(one.arrived, size_of(one.grad)) for one in self._accounts_of(optimizer) if one.grad is not None]
        arrived, now = (
            (sum(number**2 for number in column) for column in zip(*pairs, strict=True)) if pairs else (0, 0)
        )
        return math.sqrt(now / arrived) if arrived and math.isfinite(now / arrived) else 1.0

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.paused:
            return
        step, self._pending, scale, self._scale = self._pending, None, self._scale, None
        if step is not None and scale is not None:
            with _QUIETLY():
                step.movement = scale.after()
            self.finite.stepped_to(len(self.steps_of(optimizer)), step.where)
        for account in self._accounts_of(optimizer):
            if step is not None and step.closure and account.stale and account.parameter.grad is not None:
                self._note_stale(step, account)
            before = self._frozen.pop(id(account.parameter), None)
            if step is not None and before is not None and not torch.equal(before, account.parameter):
                step.moved_frozen.append(account.name)
            account.waiting, account.stepped, account.stepper = False, True, optimizer
        if self.limit is not None and len(self.steps) >= self.limit:
            self.__exit__()

    def _accounts_of(self, optimizer: Optimizer) -> list[Account]:
        found = (self.accounts.get(id(parameter)) for parameter in walk.listed_in(optimizer))
        return [account for account in found if account is not None]

    def _note_stale(self, step: Step, account: Account) -> None:
        step.stale.append(account)
        whole = float(account.grad.norm()) if account.grad is not None else 0.0
        step.stale_share = max(step.stale_share, account.old / whole if whole else 0.0)

    def steps_of(self, optimizer: Optimizer) -> list[Step]:
        """The steps that one optimizer took."""
        return [step for step in self.steps if step.optimizer is optimizer]

    @property
    def placed(self) -> list[Step]:
        """The steps whose place among the calls is known: a script's first ones."""
        return [step for step in self.steps if step.placed]

    def shows(self, needed: int) -> bool:
        """Has every optimizer taken so many steps, and is there a call of the step after the evaluation?"""
        seen = bool(self.optimizers) and all(len(self.steps_of(one)) >= needed for one in self.optimizers)
        return seen and self.calls >= needed + (self.phase == "evaluate")

    @property
    def trained(self) -> list[Forward]:
        """The forward passes with gradients, outside evaluation."""
        return [one for one in self.forwards if one.tracking and not one.idle and not one.measures]

    @property
    def measured(self) -> list[Forward]:
        """The forward passes of evaluations."""
        return [one for one in self.forwards if one.measures]

    def passes_of(self, steps: list[Step]) -> list[list[Forward]]:
        """The training passes before each of these steps, and after the step before it."""
        places, trained = [-1, *(step.order for step in steps)], self.trained
        return [
            [one for one in trained if after < one.order < until] for after, until in itertools.pairwise(places)
        ]

    @property
    def strangers(self) -> list[Optimizer]:
        """The optimizers that stepped on none of what is trained, but on just as many tensors of its shapes."""
        trained = [p for _, p in walk.parameters(self.model) if p.requires_grad]
        shapes, own = sorted(tuple(p.shape) for p in trained), {id(p) for p in trained}
        others = [one for one, times in self.states.stepped.items() if times > 1] if self.states is not None else []
        held = ((one, walk.listed_in(one)) for one in others if one not in self.optimizers)
        return [
            one
            for one, listed in held
            if not own & set(map(id, listed)) and sorted(tuple(p.shape) for p in listed) == shapes
        ]

    def calls_of(self, name: str) -> list[Call]:
        """The calls of that name on the tape."""
        return [call for call in self.tape.calls if call.name == name] if self.tape is not None else []

    @property
    def clips(self) -> list[Call]:
        """The calls that clipped gradients."""
        return [call for call in self.tape.calls if call.clips] if self.tape is not None else []


def counts_of(schedulers: Iterable[LRScheduler]) -> list[int]:
    """How often each scheduler has stepped."""
    return [getattr(one, "_step_count", one.last_epoch) for one in schedulers]
