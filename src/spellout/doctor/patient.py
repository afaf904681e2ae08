"""The program under examination, and the ways it can be run: each leaves everything as it was.

The user's own model is run, never a copy: closures, hooks and tied weights stay what they are. Modes are set with
on the modules themselves, never with methods that the user may have overridden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from ..errors import ExaminationError
from . import walk
from .batch import Batch
from .snapshot import borrowed
from .tape import Tape, dense, tensors_in
from .walk import MODE_SENSITIVE

if TYPE_CHECKING:
    from .axes import Relabelled


_MUCH, _MANY = 2_000_000, 300_000
"""Numbers computed in a pass, and numbers trained, from which on a model is heavy."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is examined; a factory named on the command line returns one (or a dictionary with these names)."""

    model: nn.Module
    """The model, as its training starts."""
    loss: Any = None
    """`loss(output, target)`, one number; None if the model returns its own loss."""
    batch: Any = None
    """One batch; see `batch.py` for its forms."""
    optimizer: Any = None
    """An optimizer, or a list of them."""
    step: Callable[[], Any] | None = None
    """Does one or more training steps, with the user's own data."""
    evaluate: Callable[[], Any] | None = None
    """The user's own evaluation."""
    held_out: Any = None
    """A batch of other data, to look for overlap."""
    causal: bool | None = None
    """Must no output look ahead in time? None asks only where the targets are the inputs shifted."""
    batch_axis: int | None = None
    """Which axis of the inputs counts the samples; None: 0, unless the shapes say otherwise."""
    overfit_seconds: float = 4.0
    """Budget of the attempt to learn one batch by heart."""


@dataclass
class Trial:
    """One forward pass, with or without loss and gradients."""

    tape: Tape
    batch: Batch
    """What it was given, perhaps widened to float64."""
    output: Any = None
    loss: torch.Tensor | None = None
    gradients: dict[str, torch.Tensor | None] = field(default_factory=dict)
    error: Exception | None = None
    built: list[int] = field(default_factory=list)
    """The ids of the parameters that were there at its end."""

    @property
    def main(self) -> torch.Tensor:
        """The first floating-point tensor of the output."""
        return main_of(self.output)

    @property
    def value(self) -> float:
        """The loss as a number."""
        return math.nan if self.loss is None else float(self.loss.detach())


class Patient:
    """A case, its batch read, and its trials."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model = _unwrapped(case.model)
        self.optimizers: list[Optimizer] = _optimizers(case.optimizer)
        self.batch = Batch((), {}, None) if case.batch is None else Batch.of(case.batch, self.model)
        self.roots: list[Any] = [
            self.model, *self.optimizers, case.loss, case.step, case.evaluate, self.batch.args, self.batch.kwargs,
            self.batch.target,
        ]  # fmt: skip
        self.passing: list[Any] = [self.model, case.loss, self.batch.args, self.batch.kwargs, self.batch.target]
        """What a pass may change; the examination's own snapshot holds the rest."""
        self.facts: dict[str, float | int | str] = {}
        self._exact: dict[int, torch.Tensor] = {}

    @cached_property
    def names(self) -> dict[int, str]:
        """Parameter names by id, the first name of a tied one."""
        return {id(parameter): name for name, parameter in reversed(list(self.parameters()))}

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Named parameters, each once, whatever the user overrides."""
        return walk.parameters(self.model)

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Named modules, each once."""
        return walk.modules(self.model)

    @contextmanager
    def borrowed(self, *, seed: int | None = 0, train: bool | None = None, steps: bool = False) -> Iterator[None]:
        """Everything done inside is undone; `train` sets the mode, `seed` the random generators.

        `steps` must be true where an optimizer steps.
        """
        with borrowed(*(self.roots if steps else self.passing)):
            if seed is not None:
                torch.manual_seed(seed)
            if train is not None:
                walk.set_mode(self.model, train)
            yield

    @cached_property
    def batch_axis(self) -> int:
        """Which axis of the inputs counts the samples."""
        if self.case.batch_axis is not None:
            return self.case.batch_axis
        target = next(tensors_in(self.batch.target), None)
        x = self.batch.inputs[0] if self.batch.inputs else None
        if x is None or target is None or x.ndim < 2 or target.ndim == 0 or target is x:
            return 0
        time_first = target.ndim < x.ndim and target.shape[0] not in (x.shape[0], x.shape[0] * x.shape[1])
        if time_first and target.shape[0] == x.shape[1]:
            return 1
        return 1 if self.shifted_axis == 0 else 0

    @property
    def shifted_axis(self) -> int | None:
        """The axis of time, if the targets are an input shifted by one place."""
        return self.shifted[1] if self.shifted is not None else None

    @cached_property
    def shifted(self) -> tuple[int, int] | None:
        """Which input the targets are, shifted by one place, and along which axis."""
        target = next(tensors_in(self.batch.target), None)
        for place, x in enumerate(self.batch.inputs):
            if target is None or x.ndim < 2 or target.numel() != x.numel():
                continue
            y = target.reshape(x.shape).to(x.dtype)
            for axis in range(1, -1, -1):
                length = x.shape[axis]
                if length < 3:
                    continue
                ahead, now = x.narrow(axis, 1, length - 1), y.narrow(axis, 0, length - 1)
                if torch.equal(ahead, now) and not torch.equal(ahead, x.narrow(axis, 0, length - 1)):
                    return place, axis
        return None

    def build(self) -> None:
        """Lazily built modules are built now; the examination's own snapshot unbuilds them at its end."""
        before = [id(p) for _, p in self.parameters()]
        lazy = any(isinstance(p, UninitializedParameter) for _, p in self.parameters())
        if self.training.error is None and (lazy or self.training.built != before):
            with torch.no_grad():
                self.run(self.batch, loss=False, taped=False)
            del self.training

    def trial(
        self,
        batch: Batch | None = None,
        *,
        train: bool | None = None,
        seed: int | None = 0,
        gradients: bool = False,
        loss: bool = True,
        before: Callable[[], None] | None = None,
    ) -> Trial:
        """Run the model (and loss, and backward) on a tape; what raises is kept, not raised."""
        with self.borrowed(seed=seed, train=train):
            if before is not None:
                before()
            return self.run(batch or self.batch, loss=loss, gradients=gradients)

    def run(self, batch: Batch, *, loss: bool = True, gradients: bool = False, taped: bool = True) -> Trial:
        """As `trial`, inside something borrowed."""
        trial = Trial(Tape(), batch)
        try:
            with trial.tape if taped else nullcontext():
                trial.output = self.forward(batch)
                trial.tape.phase = "loss"
                if loss:
                    trial.loss = self.loss(trial.output, batch.target)
            if gradients and trial.loss is not None and trial.loss.requires_grad:
                trained = {name: p for name, p in self.parameters() if p.requires_grad}
                if trained:
                    found = torch.autograd.grad(
                        trial.loss, [*trained.values()], allow_unused=True, retain_graph=True
                    )
                    trial.gradients = {
                        name: None if grad is None else dense(grad)
                        for name, grad in zip(trained, found, strict=True)
                    }
        except ExaminationError:
            raise
        except Exception as error:  # the user's program may raise anything
            trial.error = error
        trial.built = [id(p) for _, p in self.parameters()]
        return trial

    def forward(self, batch: Batch) -> Any:
        """The model's output."""
        return forward_pass(self.model, batch)

    def loss(self, output: Any, target: Any) -> torch.Tensor:
        """The user's loss, as one number."""
        return _one_number(loss_pass(self.case.loss, output, target))

    def perturb(self, scale: float = 0.05) -> None:
        """Noise on every trained parameter: what is zero only by initialisation is so no longer."""
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for _, parameter in self.parameters():
                if parameter.requires_grad and parameter.is_floating_point():
                    size = scale + 0.3 * float(parameter.detach().float().std()) if parameter.numel() > 1 else scale
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.data = parameter.data + size * noise.to(parameter)

    def double(self, values: Mapping[int, torch.Tensor] = MappingProxyType({})) -> None:
        """Every floating-point parameter and buffer in float64, for exact zeros; parameters with these values."""
        for module in (module for _, module in self.modules()):
            for name, buffer in module._buffers.items():
                if buffer is not None and buffer.is_floating_point():
                    module._buffers[name] = buffer.double()
        for _, parameter in self.parameters():
            parameter.grad = None
            if parameter.is_floating_point():
                known = values.get(id(parameter))
                parameter.data = parameter.data.double() if known is None else known.clone()

    def exact(
        self, batch: Batch | None = None, *, train: bool = False, gradients: bool = False, loss: bool = False
    ) -> Trial:
        """A trial in float64 with perturbed parameters; in float32 where the model insists on it."""

        def widened() -> None:
            if not self._exact:
                self.perturb()
            self.double(self._exact)
            self._exact = {id(p): p.data.clone() for _, p in self.parameters()} if not self._exact else self._exact

        given = batch or self.batch
        wide = given.mapped(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
        trial = self.trial(wide, train=train, gradients=gradients, loss=loss or gradients, before=widened)
        if trial.error is None:
            return trial
        return self.trial(given, train=train, gradients=gradients, loss=loss or gradients, before=self.perturb)

    @cached_property
    def training(self) -> Trial:
        """One forward and backward pass in train mode, as training starts."""
        return self.trial(train=True, gradients=True)

    @cached_property
    def evaluation(self) -> Trial:
        """One forward pass in eval mode."""
        return self.trial(train=False)

    @cached_property
    def settled(self) -> tuple[Trial, Trial]:
        """Two forward passes in eval mode, one after the other, with different seeds."""
        with self.borrowed(seed=0, train=False):
            first = self.run(self.batch, loss=False, taped=False)
            torch.manual_seed(2)
            return first, self.run(self.batch, loss=False, taped=False)

    @cached_property
    def relabelled(self) -> Relabelled | None:
        """A batch whose axes are told apart by their sizes, and its trial."""
        from .axes import relabel

        return relabel(self)

    @cached_property
    def weights(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for _, parameter in self.parameters() if parameter.requires_grad)

    @cached_property
    def heavy(self) -> bool:
        """Is a pass so much work that every check should make do with few?"""
        made = sum(out.numel() for call in self.training.tape.calls for out in call.outputs)
        return made > _MUCH or self.weights > _MANY

    @cached_property
    def mode_matters(self) -> bool:
        """Does train mode compute something else than eval mode?"""
        if any(isinstance(m, MODE_SENSITIVE) and getattr(m, "p", 1) != 0 for _, m in self.modules()):
            return True
        if "training" in self.__dict__ and not _differ(self.training, self.settled[0]):
            return False
        return _differ(self.trial(train=True, loss=False), self.trial(train=False, loss=False))


def _differ(left: Trial, right: Trial) -> bool:
    if left.error or right.error:
        return False
    pairs = zip(tensors_in(left.output), tensors_in(right.output), strict=False)
    return any(not torch.equal(one, other) for one, other in pairs if one.shape == other.shape)


def forward_pass(model: nn.Module, batch: Batch) -> Any:
    """Call the model; the tape takes this frame for the end of the user's code."""
    return model(*batch.args, **batch.kwargs)


def loss_pass(loss: Any, output: Any, target: Any) -> Any:
    """Call the loss."""
    if loss is None:
        if isinstance(output, dict) and "loss" in output:
            return output["loss"]
        return output.loss if getattr(output, "loss", None) is not None else output
    if target is None:
        return loss(output)
    if isinstance(loss, nn.modules.loss._Loss) and isinstance(output, tuple | list):
        output = output[0]  # torch's own losses take one tensor: the logits of (logits, state)
    return loss(output, target)


def main_of(output: Any) -> torch.Tensor:
    """The first floating-point tensor of an output."""
    for tensor in tensors_in(output):
        if tensor.is_floating_point():
            return tensor
    if hasattr(output, "logits") and isinstance(output.logits, torch.Tensor):
        return output.logits
    raise ExaminationError("the model returned no floating-point tensor, so there is nothing to examine")


def _one_number(loss: Any) -> torch.Tensor:
    if isinstance(loss, dict) and "loss" in loss:
        loss = loss["loss"]
    if isinstance(loss, tuple | list) and loss and isinstance(loss[0], torch.Tensor):
        loss = loss[0]
    if not isinstance(loss, torch.Tensor):
        raise ExaminationError(f"the loss returned a {type(loss).__name__}; it must return one number as a tensor")
    if loss.numel() != 1:
        shape = tuple(loss.shape)
        raise ExaminationError(f"the loss returned a tensor of shape {shape}; take its mean to make it one number")
    return loss.reshape(())


def _optimizers(given: Any) -> list[Optimizer]:
    if given is None:
        return []
    several = list(given.values()) if isinstance(given, dict) else given
    several = list(several) if isinstance(several, list | tuple) else [several]
    for one in several:
        if not isinstance(one, Optimizer):
            raise ExaminationError(f"optimizer is a {type(one).__name__}; give a torch.optim.Optimizer, or a list")
    return several


def _unwrapped(model: Any) -> nn.Module:
    """A compiled model is examined as it was written; what cannot be seen into is refused."""
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, nn.Module):
        raise ExaminationError(
            f"the model is a {type(model).__name__}; the doctor examines torch.nn.Module objects"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ExaminationError(
            "the model is TorchScript, which cannot be seen into; give the module it was made from"
        )
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise ExaminationError("the model is wrapped for several devices; give the module inside, `model.module`")
    if any(tensor.is_meta for _, tensor in walk.parameters(model)):
        raise ExaminationError(
            "the model's parameters lie on the meta device and hold no numbers; build it on a CPU"
        )
    return model
