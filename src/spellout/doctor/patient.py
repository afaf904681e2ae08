"""A patient is the program under examination. It can be run in several ways, and each leaves everything as it was.

The user's own model is run, never a copy: closures, hooks and tied weights stay what they are. Modes are set
on the modules themselves, never with methods that the user may have overridden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from . import graph, walk
from .batch import Batch, Relabelled, relabellings
from .case import Case, Trial, UsersError, difference, forward_pass, loss_pass, one_number, users_code
from .recording import Recording
from .report import Facts, Finding
from .snapshot import borrowed, companions
from .tape import Tape, dense
from .walk import MODE_SENSITIVE

_MUCH, _MANY = 2_000_000, 300_000
"""Numbers computed in a pass, and numbers trained, from which on a model is heavy; ten times that is large."""


class Patient:
    """A case, its batch read, its trials, and what was found so far."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model = case.module
        self.optimizers = case.optimizers
        self.batch = (
            Batch((), {}, None) if case.batch is None else Batch.of(case.batch, self.model, case.loss is None)
        )
        self.passing: list[Any] = [self.model, case.loss, self.batch.args, self.batch.kwargs, self.batch.target]
        """What a pass may change; the examination's own snapshot holds the rest."""
        self.roots: list[Any] = [*self.passing, *self.optimizers, case.step, case.evaluate]
        self.recording = Recording(self.model, self.optimizers, [])
        """What the user's own steps do; empty if they were not given, or not taken."""
        self.findings: list[Finding] = []
        self.missing: list[str] = []
        """What could not be examined, and why."""
        self.facts: Facts = {}
        self.sparse: set[str] = set()
        """Names of parameters whose gradients come as sparse tensors."""
        self.shrunk = 1.0
        """What part of its gradients a script's own step has left, where it does not clip them."""
        self._perturbed: dict[int, torch.Tensor] = {}

    @property
    def runs(self) -> bool:
        """May the checks run the model? Only with a batch, and if its training pass raises nothing."""
        return self.case.batch is not None and self.training.error is None

    @property
    def live(self) -> bool:
        """Is this a loop that is watched, where the checks run nothing?"""
        return self.case.batch is None and self.case.step is None

    @property
    def tapes(self) -> list[Tape]:
        """The tapes of the training pass and of the user's own steps, as far as there are any."""
        both = (self.training.tape if self.runs else None, self.recording.tape)
        return [tape for tape in both if tape is not None]

    @property
    def losses(self) -> list[tuple[Tape, torch.Tensor]]:
        """What gradients were asked of, with its tape: the loss of the training pass, then the user's own."""
        own = [(self.training.tape, self.training.loss)] if self.runs and self.training.loss is not None else []
        return own + [(tape, end) for tape in self.tapes for end in graph.ends(tape)]

    @property
    def errors(self) -> set[str]:
        """The ids of the errors found so far."""
        return {finding.id for finding in self.findings if finding.severity == "error"}

    @cached_property
    def schedulers(self) -> list[Any]:
        """The living schedulers of the optimizers."""
        return companions(self.optimizers)

    @cached_property
    def names(self) -> dict[int, str]:
        """Parameter names by id, the first name of a tied one."""
        return {id(parameter): name for name, parameter in reversed(list(self.parameters()))}

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Named parameters, each once, whatever the user overrides."""
        return walk.parameters(self.model)

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that need a gradient, by name."""
        return {name: parameter for name, parameter in self.parameters() if parameter.requires_grad}

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Named modules, each once."""
        return walk.modules(self.model)

    @contextmanager
    def borrowed(self, *, seed: int = 0, train: bool | None = None, steps: bool = False) -> Iterator[None]:
        """Everything done inside is undone; `train` sets the mode, `seed` the random generators.

        `steps` must be true where an optimizer steps.
        """
        with borrowed(*(self.roots if steps else self.passing), whole=False):
            torch.manual_seed(seed)
            if train is not None:
                walk.set_mode(self.model, train)
            yield

    @cached_property
    def batch_axis(self) -> int:
        """Which axis of the inputs counts the samples."""
        return self.batch.batch_axis if self.case.batch_axis is None else self.case.batch_axis

    def build(self) -> None:
        """Lazily built modules are built now; the examination's own snapshot unbuilds them at its end."""
        before = [(id(p), type(p)) for _, p in self.parameters()]  # a lazy one changes its type where it stands
        if self.training.error is None and self.training.built != before:
            with torch.no_grad():
                self.run(self.batch, loss=False, taped=False)
            del self.training

    def trial(
        self,
        batch: Batch | None = None,
        *,
        train: bool,
        seed: int = 0,
        gradients: bool = False,
        loss: bool = True,
        before: Callable[[], None] | None = None,
    ) -> Trial:
        """Run the model (and loss, and backward) on a tape; what the user's code raises is kept, not raised."""
        with self.borrowed(seed=seed, train=train):
            if before is not None:
                before()
            return self.run(batch or self.batch, loss=loss, gradients=gradients)

    def run(self, batch: Batch, *, loss: bool = True, gradients: bool = False, taped: bool = True) -> Trial:
        """Do what `trial` does, inside something that is borrowed already."""
        trial = Trial(Tape(), batch)
        try:
            with self.case.within(), trial.tape if taped else nullcontext():
                with users_code():
                    output = forward_pass(self.model, batch)
                    trial.output = output if self.case.pick is None else self.case.pick(output)
                trial.tape.phase = "loss"
                if loss:
                    trial.loss = self.loss(trial.output, batch.target)
            trained, end = self.trained, trial.loss if trial.learns else None
            if gradients and trained and end is not None:
                with users_code():
                    found = torch.autograd.grad(end, [*trained.values()], allow_unused=True, retain_graph=True)
                kept = [None if grad is None else dense(grad) for grad in found]
                trial.gradients = dict(zip(trained, kept, strict=True))
                self.sparse |= {
                    name
                    for name, grad, full in zip(trained, found, kept, strict=True)
                    if grad is not None and grad is not full
                }
        except UsersError as raised:
            trial.error = raised.error
        trial.built = [(id(p), type(p)) for _, p in self.parameters()]
        return trial

    def loss(self, output: Any, target: Any) -> torch.Tensor:
        """The user's loss, as one number."""
        with users_code():
            loss = loss_pass(self.case.loss, output, target)
        return one_number(loss)

    def descend(self, gradients: dict[str, torch.Tensor | None], optimizers: Iterable[Optimizer]) -> None:
        """One step of these optimizers along these gradients."""
        sparse = self.sparse if optimizers is self.optimizers else set()
        for name, parameter in self.parameters():
            grad = gradients.get(name)
            if grad is not None:  # some optimizers write into it, and some take only sparse ones
                grad = grad.to_sparse(1) if name in sparse else grad.clone()
            parameter.grad = grad
        for optimizer in optimizers:
            with users_code():
                optimizer.step()

    def perturb(self) -> None:
        """Put noise on every trained parameter: what is zero only by initialisation is so no longer."""
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in self.trained.values():
                if parameter.is_floating_point():
                    # Large enough to leave every zero, small enough to leave the model as it works.
                    spread = float(parameter.detach().float().std()) if parameter.numel() > 1 else 0.0
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.data = parameter.data + (0.05 + 0.3 * spread) * noise.to(parameter)

    def double(self) -> None:
        """Bring every floating-point parameter and buffer to float64, for exact zeros."""
        for _, module in self.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None and buffer.is_floating_point():
                    module._buffers[name] = buffer.double()
        for _, parameter in self.parameters():
            parameter.grad = None
            if parameter.is_floating_point():
                parameter.data = parameter.data.double()

    def _perturb_in_float64(self) -> None:
        if not self._perturbed:
            self.perturb()
        self.double()
        for _, parameter in self.parameters():
            if id(parameter) in self._perturbed:
                parameter.data = self._perturbed[id(parameter)].clone()
        self._perturbed = self._perturbed or {id(p): p.data.clone() for _, p in self.parameters()}

    def exact(
        self, batch: Batch | None = None, *, train: bool = False, gradients: bool = False, loss: bool = False
    ) -> Trial:
        """A trial in float64 with perturbed parameters; in float32 where the model insists on it."""
        given, loss = batch or self.batch, loss or gradients
        # Some models make float32 tensors of their own inside, and torch refuses to mix them with float64.
        for one, before in ((given.wide(), self._perturb_in_float64), (given, self.perturb)):
            trial = self.trial(one, train=train, gradients=gradients, loss=loss, before=before)
            if trial.error is None:
                break
        return trial

    @cached_property
    def training(self) -> Trial:
        """One forward and backward pass in train mode, as training starts."""
        return self.trial(train=True, gradients=True)

    @cached_property
    def reached_in_passes(self) -> set[int]:
        """The ids of parameters that a gradient reached in any of three passes, two of them with noise."""
        known, reached = dict(self.parameters()), set[int]()  # a script may have frozen or replaced some since
        # A layer that starts at zero passes no gradient on, and dropout may cut a path: so three seeds, and noise.
        for seed in range(3):
            trial = self.training
            if seed:
                trial = self.trial(train=True, seed=seed, gradients=True, before=self.perturb)
            arrived = [name for name, grad in trial.gradients.items() if grad is not None and name in known]
            reached |= {id(known[name]) for name in arrived}
            if len(reached) >= len(self.trained):
                break
        return reached

    @cached_property
    def first_losses(self) -> list[float]:
        """The loss as training starts, with three seeds: dropout and sampling move it."""
        return [self.training.value, *(self.trial(train=True, seed=seed).value for seed in (1, 2))]

    def in_eval(self, *seeds: int) -> list[Trial]:
        """Forward passes in eval mode, each with its seed; what one leaves behind, the next one meets."""
        trials = []
        with self.borrowed(train=False):
            for seed in seeds:
                torch.manual_seed(seed)
                trials.append(self.run(self.batch, loss=False, taped=False))
        return trials

    @cached_property
    def settled(self) -> list[Trial]:
        """Two forward passes in eval mode: a model that neither draws nor remembers gives the same twice."""
        return self.in_eval(0, 2)

    @cached_property
    def relabelled(self) -> tuple[Relabelled, Trial] | None:
        """The batch in the first other sizes that the model accepts, and its trial; None if it takes only its own.

        The trial is run in eval mode, in float64, with noise on the parameters: then zeros are structural zeros.
        """
        if self.huge:
            return None
        sizes = [size for _, parameter in self.parameters() for size in parameter.shape]
        for choice in relabellings(self.batch, self.batch_axis, sizes, self.heavy):
            for loss in (True, False) if self.case.loss is not None else (False,):
                trial = self.exact(choice.batch, loss=loss)
                if trial.error is None:
                    return choice, trial
        return None

    @cached_property
    def heavy(self) -> bool:
        """Is a pass so much work that every check should make do with few?"""
        made, trained = self.size
        return made > _MUCH or trained > _MANY

    @property
    def brief(self) -> bool:
        """Is a pass so much work that what takes many is left to `thorough`?"""
        made, trained = self.size
        return not self.case.thorough and (made > 10 * _MUCH or trained > 10 * _MANY)

    @property
    def huge(self) -> bool:
        """Is even one copy of it so much work that it is only run as it is?"""
        return not self.case.thorough and self.size[1] > 100 * _MANY

    @cached_property
    def size(self) -> tuple[int, int]:
        """How many numbers a training pass computes (0 if none may be run), and how many are trained."""
        calls = self.training.tape.calls if self.case.batch is not None else []
        made = sum(out.numel() for call in calls for out in call.outputs)
        return made, sum(p.numel() for p in self.trained.values() if not isinstance(p, UninitializedParameter))

    @cached_property
    def mode_matters(self) -> bool:
        """Does train mode compute something else than eval mode?"""
        if any(isinstance(m, MODE_SENSITIVE) and getattr(m, "p", 1) != 0 for _, m in self.modules()):
            return True
        if not self.runs or not difference(self.training, self.settled[0]):
            return False
        # What differs as well between two passes in train mode, with the same seed, is not the mode's doing.
        return not difference(self.training, self.trial(train=True))
