"""In the steps that are watched, the first number that is not finite: where did it come from?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from .sights.account import Account
from .sights.events import Forward
from .tape import Call, Tape, dense, users_line, words

Kind = Literal["data", "loss", "gradients", "weights"]
MASKS = words("masked_fill full full_like fill where tensor triu tril finfo zeros ones new_full baddbmm add")
"""Calls that put infinity where it is meant."""


@dataclass(frozen=True)
class Broken:
    """What was not finite first."""

    step: int
    """In which step of the optimizer, counted from 1."""
    kind: Kind
    evidence: str
    where: str | None


class Finiteness:
    """Told of every loss, gradient and step of one model, it keeps the first that is not finite."""

    def __init__(self, accounts: Mapping[int, Account]) -> None:
        self._accounts = accounts
        self.first: Broken | None = None
        self.spoiled = False
        """A step has made weights that are not finite."""
        self.stepped = False
        """An optimizer stepped on the loss that was not finite."""
        self._told = self._bad_loss = False
        self._bad_gradients: list[str] = []

    @property
    def is_sure(self) -> bool:
        """Did it reach the weights? Whoever looks first may leave a step out, as loss scaling does."""
        return self.spoiled or self.stepped

    def loss(self, step: int, loss: torch.Tensor, passes: Sequence[Forward], tape: Tape | None) -> None:
        """The gradient of this is asked for; the passes are what it was computed from, where that is known."""
        self._told, self._bad_loss = True, bad(loss) > 0
        if not self._bad_loss or self.first is not None:
            return
        number = f"the loss is {float(loss.detach().sum()):g}"
        lost = self._lost()
        if lost:
            self.first = Broken(step, "weights", f"{number}: {_several(lost, 'weights')}", users_line())
        elif dirty := [one for made in passes for one in made.given if bad(one)]:
            self.first = Broken(step, "data", f"{number}: {_counted(dirty)}", users_line())
        else:
            self.first = self._made(step, loss, number, tape, passes[0].tick if passes else 0)

    def _made(self, step: int, loss: torch.Tensor, number: str, tape: Tape | None, begin: int) -> Broken:
        calls = tape.calls[begin:] if tape is not None else []
        call = first_bad(calls, loss)
        if call is None:
            return Broken(step, "loss", f"{number}, of finite inputs and weights", users_line())
        dirty = [one for one in call.inputs if bad(one)]
        if dirty and any(map(has_nan, dirty)) == any(map(has_nan, call.outputs)):
            return Broken(step, "data", f"{number}: {_counted(dirty)} given to `{call.name}`", call.where)
        return Broken(step, "loss", f"{number}: first in the result of `{call.name}`", call.where)

    def _lost(self) -> list[str]:
        return [one.name for one in self._accounts.values() if bad(one.parameter)]

    def gradient(self, name: str, gradient: torch.Tensor) -> bool:
        """One has arrived: is it finite?"""
        if bad(gradient):
            self._bad_gradients.append(name)
            return False
        return True

    def steps(self, step: int, where: str | None) -> None:
        """An optimizer is about to step: what somebody has made finite since is well."""
        gradients = {one.name: one.grad for one in self._accounts.values()} if self._bad_gradients else {}
        names = [name for name in self._bad_gradients if (grad := gradients[name]) is not None and bad(grad)]
        self._bad_gradients = []
        if names and self.first is None:
            said = "the loss is finite, " if self._told and not self._bad_loss else ""
            self.first = Broken(step, "gradients", f"{said}{_several(names, 'gradients')}", where)
        self.stepped, self._told, self._bad_loss = self.stepped or self._bad_loss, False, False

    def stepped_to(self, step: int, where: str | None) -> None:
        """An optimizer has stepped; without one, weights may have been moved by hand."""
        if self.spoiled:
            return
        lost = self._lost()
        self.spoiled = bool(lost)
        if lost and self.first is None:
            self.first = Broken(step, "weights", f"the gradients are finite, {_several(lost, 'weights')}", where)


def bad(tensor: torch.Tensor) -> int:
    """How many of its numbers are not finite."""
    if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin) or tensor.is_meta:  # type: ignore[attr-defined]
        return 0
    with torch._C.DisableTorchFunction(), torch.no_grad():
        found = dense(tensor.detach())
        if not (found.is_floating_point() or found.is_complex()) or found.numel() == 0:
            return 0
        whole = complex(found.sum())
        if math.isfinite(whole.real) and math.isfinite(whole.imag):
            return 0  # what is finite together is finite in each place
        return int((~torch.isfinite(found)).sum())


def has_nan(tensor: torch.Tensor) -> bool:
    """Is one of its numbers NaN?"""
    return tensor.is_floating_point() and bool(torch.isnan(tensor).any())


def first_bad(calls: Sequence[Call], loss: torch.Tensor) -> Call | None:
    """The first call on the way to the loss that makes NaN, or infinity that is no mask, from finite numbers.

    Where none does, the first that passes on what it was given.
    """
    before = leading_to(calls, loss)  # what does not reach the loss may be as it likes
    ours = [call for call in calls if call.index in before and any(map(bad, call.outputs))]
    for call in ours:
        nan, from_nan = (any(map(has_nan, tensors)) for tensors in (call.outputs, call.inputs))
        if not from_nan if nan else not any(map(bad, call.inputs)) and call.name not in MASKS:
            return call
    return next((call for call in ours if call.name not in MASKS), None)


def leading_to(calls: Sequence[Call], loss: torch.Tensor) -> set[int]:
    """The places of the calls that a tensor was computed from."""
    wanted, found = {id(loss)}, set()
    for call in reversed(calls):
        if any(id(one) in wanted for one in call.outputs):
            found.add(call.index)
            wanted.update(id(one) for one in call.inputs)
    return found


def _counted(tensors: Sequence[torch.Tensor]) -> str:
    one = tensors[0]
    with torch._C.DisableTorchFunction():
        wrong = ~torch.isfinite(dense(one.detach()))
        rows = wrong.reshape(len(wrong), -1).any(1).nonzero()[:3, 0].tolist() if wrong.ndim > 1 else []
    count, said = sum(map(bad, tensors)), f" (row {', '.join(map(str, rows))})" if rows else ""
    return f"{count} number{'s' * (count != 1)} of the batch {'are' if count != 1 else 'is'} not finite{said}"


def _several(names: Sequence[str], what: str) -> str:
    return f"{what} of {len(names)} parameter{'s' * (len(names) != 1)} are not finite, first {names[0]}"
