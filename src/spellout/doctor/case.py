"""A case says what is examined, and a trial is one run of it: here the doctor calls the user's code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..errors import ExaminationError
from . import walk
from .batch import Batch
from .tape import Tape, tensors_in


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
    pick: Callable[[Any], Any] | None = None
    """What of the model's result the loss is computed from; None: all of it."""
    has_modes: bool = True
    """Is eval mode known? It is not for what a script computes outside of modules."""
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    """What the passes run in, as `torch.autocast`."""
    overfit_seconds: float = 4.0
    """Budget of the attempt to learn one batch by heart."""
    thorough: bool = False
    """Ask a large model everything, too, and all models what should come to the same, whatever it costs."""
    compiles: bool = False
    """Does the program run the model through `torch.compile`?"""

    @property
    def module(self) -> nn.Module:
        """The model, a compiled one as it was written. `ExaminationError` for what cannot be seen into."""
        model = getattr(self.model, "_orig_mod", self.model)
        refusal = None
        if not isinstance(model, nn.Module):
            refusal = f" is a {type(model).__name__}; the doctor examines torch.nn.Module objects"
        elif isinstance(model, torch.jit.ScriptModule):
            refusal = " is TorchScript, which cannot be seen into; give the module it was made from"
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            refusal = " is wrapped for several devices; give the module inside, `model.module`"
        elif any(tensor.is_meta for _, tensor in walk.parameters(model)):
            refusal = "'s parameters lie on the meta device and hold no numbers; build it on a CPU"
        if refusal is not None:
            raise ExaminationError(f"the model{refusal}")
        return model

    @property
    def optimizers(self) -> list[Optimizer]:
        """None, one, or several in a list or a dictionary. `ExaminationError` for anything else."""
        given = list(self.optimizer.values()) if isinstance(self.optimizer, dict) else self.optimizer
        several = list(given) if isinstance(given, list | tuple) else [] if given is None else [given]
        for one in several:
            if not isinstance(one, Optimizer):
                kind = type(one).__name__
                raise ExaminationError(f"optimizer is a {kind}; give a torch.optim.Optimizer, or a list")
        return several


class UsersError(Exception):
    """The user's code raised `error` where a check called it."""

    def __init__(self, error: Exception) -> None:
        first = (str(error).splitlines() or [""])[0]
        super().__init__(f"{type(error).__name__}: {first}")
        self.error = error


@contextmanager
def users_code() -> Iterator[None]:
    """Stands around every call of the user's code, so that what it raises is a `UsersError`.

    Everything else that is raised in an examination is a bug of ours and stays one.
    """
    try:
        yield
    except (ExaminationError, UsersError):
        raise
    except Exception as error:
        raise UsersError(error) from error


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
    """What the user's code raised."""
    built: list[tuple[int, type]] = field(default_factory=list)
    """The ids and types of the parameters that were there at its end."""

    @property
    def main(self) -> torch.Tensor:
        """The first floating-point tensor of the output."""
        # Outputs of some libraries are objects of their own: of these only `logits` is read.
        for tensor in tensors_in((self.output, getattr(self.output, "logits", None))):
            if tensor.is_floating_point():
                return tensor
        raise ExaminationError("the model returned no floating-point tensor, so there is nothing to examine")

    @cached_property
    def dependent(self) -> set[int]:
        """The ids of all tensors that are computed from the inputs."""
        reached = {id(tensor) for tensor in self.batch.inputs}
        for call in self.tape.calls:
            if any(id(tensor) in reached for tensor in call.inputs):
                reached.update(id(tensor) for tensor in call.outputs)
        return reached

    @property
    def value(self) -> float:
        """The loss as a number."""
        return math.nan if self.loss is None else float(self.loss.detach())

    @property
    def learns(self) -> bool:
        """Has the loss a gradient?"""
        return self.loss is not None and self.loss.requires_grad


def difference(left: Trial, right: Trial) -> float:
    """The largest difference between the outputs of two trials; 0.0 if every bit is the same or one has failed."""
    if left.error or right.error:
        return 0.0
    pairs = zip(tensors_in(left.output), tensors_in(right.output), strict=False)
    differ = (
        (a, b)
        for a, b in pairs
        if a.shape == b.shape and a.numel() and not torch.equal(a.nan_to_num(), b.nan_to_num())
    )
    return max((float((a.float() - b.float()).abs().max()) for a, b in differ), default=0.0)


def forward_pass(model: nn.Module, batch: Batch) -> Any:
    """Call the model; the tape takes this frame for the end of the user's code."""
    return model(*batch.given(batch.args), **batch.given(batch.kwargs))


def loss_pass(loss: Any, output: Any, target: Any) -> Any:
    """Call the loss; the tape takes this frame, too, for the end of the user's code."""
    if loss is None:
        return _loss_in(output)
    if target is None:
        return loss(output)
    if isinstance(loss, nn.modules.loss._Loss) and isinstance(output, tuple | list):
        output = output[0]  # torch's own losses take one tensor: the logits of (logits, state)
    return loss(output, target)


def _loss_in(output: Any) -> Any:
    """The loss that a model returns by itself: named so, or the one number among several tensors."""
    named = output.get("loss") if isinstance(output, dict) else getattr(output, "loss", None)
    if named is not None:
        return named
    numbers = [one for one in tensors_in(output) if one.numel() == 1 and one.requires_grad]
    return numbers[0] if isinstance(output, tuple | list) and len(numbers) == 1 else output


def one_number(loss: Any) -> torch.Tensor:
    """What a loss returned, as a tensor without axes. `ExaminationError` if it is not one number."""
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


def case_of(model: Any, **options: Any) -> Case:
    """The case of what `examine` was given: a model and more, a dictionary, or the case itself."""
    if isinstance(model, Case):
        return model
    if not isinstance(model, dict):
        return Case(model=model, **options)
    unknown = sorted(set(model) - set(Case.__dataclass_fields__))
    if unknown or "model" not in model:
        allowed = ", ".join(Case.__dataclass_fields__)
        found = f"has no use for {unknown[0]!r}" if unknown else "has no 'model'"
        raise ExaminationError(f"the case {found}; its keys may be {allowed}")
    return Case(**model)
