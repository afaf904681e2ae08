"""Inputs that are mixed with each other (mixup, Zhang et al. 2018) need targets that are mixed in the same way.

The shares and the partners of both are read off the tape: `share * x + (1 - share) * x[order]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...tape import RESHAPES, Call, Tape
from ..updates.objective import parts_of
from ..updates.scaling import backwards
from .rows import Pass, picked, training_passes

OTHERWISE = Page(
    id="mixed-otherwise",
    number=27,
    title="the targets are mixed otherwise than the inputs",
    why="An input that is mostly one sample is told to be mostly another: nothing but their mean can be learned.",
    evidence="The shares and the partners with which rows were mixed on the way into the model and into the loss.",
    legitimate="Never, where both are mixed.",
    cure="One share and one order for both: `share * x + (1 - share) * x[order]` "
    "and `share * loss(y) + (1 - share) * loss(y[order])`.",
)
PAGES = (OTHERWISE,)
_NEAR = 0.02
"""Shares that differ by less are equal."""
_DEEP = 12


@dataclass(frozen=True)
class _Mix:
    """`share` of each row, and the rest of the row that `order` says."""

    share: torch.Tensor
    order: torch.Tensor


def check(patient: Patient) -> Iterator[Finding]:
    """Every training pass that is on the tape."""
    recording, tape = patient.recording, patient.recording.tape
    passes = [one for one in training_passes(recording) if one.losses]
    if tape is None or len(passes) < 2:
        return
    told = [_differ(tape, recording, one) for one in passes]
    found = [one for one in told if one is not None]
    if len(found) > 1 and all(found):
        yield OTHERWISE.found(f"in each of {len(found)} training passes; {found[0]}", passes[0].losses[0].where)


def _differ(tape: Tape, recording: Recording, one: Pass) -> str | None:
    """How inputs and targets are mixed otherwise; None where halves are mixed, which look alike exchanged."""
    x = next((mix for given in one.forward.given[:1] if (mix := _mixed(tape, given, one.forward.tick))), None)
    y = _targets(tape, recording, one)
    if x is None or y is None or x.order.shape != y.order.shape:
        return ""
    if not torch.equal(x.order, y.order):
        row = int((x.order != y.order).nonzero()[0])
        return f"input {row} is mixed with input {int(x.order[row])}, its target with that of {int(y.order[row])}"
    apart, turned = (float((x.share - share).abs().max()) for share in (y.share, 1 - y.share))
    if apart < _NEAR:
        return None if turned < _NEAR else ""
    how = ": the shares are exchanged" if turned < _NEAR else ""
    return f"inputs keep {float(x.share.mean()):.2f} of their own row, targets {float(y.share.mean()):.2f}{how}"


def _targets(tape: Tape, recording: Recording, one: Pass) -> _Mix | None:
    """Targets that are mixed themselves, or the mixed losses of two targets."""
    soft = [call.argument(1, "target") for call in one.losses]
    if len(soft) == 1 and isinstance(soft[0], torch.Tensor):
        return _mixed(tape, soft[0], one.losses[0].index)
    mine = {id(call) for call in one.losses}
    for _, roots in backwards(recording):
        for root in roots:
            parts = [part for part in parts_of(tape, root) if id(part.call) in mine]
            if len(parts) == 2:
                given = [part.call.argument(1, "target") for part in parts]
                return _pair(tape, given, [torch.tensor([abs(part.factor)]) for part in parts], root.index)
    return None


def _mixed(tape: Tape, tensor: torch.Tensor, before: int) -> _Mix | None:
    """The mixture of rows that a tensor is, if it is one."""
    call = tape.source(tensor, RESHAPES, before)
    if call is None or len(call.inputs) < 2:
        return None
    if call.name == "lerp":
        one, two = call.args[:2]
        weight = _number(call.argument(2, "weight"), len(tensor))
        return None if weight is None else _pair(tape, [one, two], [1 - weight, weight], call.index)
    if call.name != "add" or call.kwargs:
        return None
    scaled = [_scaled(tape, one, call.index) for one in call.args[:2]]
    known = [one for one in scaled if one is not None]
    if len(known) < 2:
        return None
    return _pair(tape, [one for one, _ in known], [weight for _, weight in known], call.index)


def _scaled(tape: Tape, tensor: object, before: int) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What is multiplied, and by which number for each row."""
    call = tape.source(tensor, RESHAPES, before)
    if call is None or call.name not in ("mul", "rmul") or len(call.args) != 2:
        return None
    for rows, factor in (call.args, call.args[::-1]):
        if isinstance(rows, torch.Tensor) and rows.ndim:
            weight = _number(factor, len(rows))
            if weight is not None:
                return rows, weight
    return None


def _number(value: object, rows: int) -> torch.Tensor | None:
    """A number, or one for each row."""
    if isinstance(value, int | float):
        return torch.tensor([float(value)])
    if not isinstance(value, torch.Tensor) or value.requires_grad:
        return None
    fits = value.numel() == 1 or (value.numel() == rows and value.shape[:1] == (rows,))
    return value.detach().reshape(-1).float().cpu() if fits else None


def _pair(tape: Tape, tensors: list[torch.Tensor], weights: list[torch.Tensor], before: int) -> _Mix | None:
    """Two parts, of which one has the other's rows in another order."""
    if not all(isinstance(one, torch.Tensor) and one.ndim for one in tensors):
        return None
    ways = [_way(tape, one, before) for one in tensors]
    for own, other in ((0, 1), (1, 0)):
        for key, order in ways[other].items():
            if order is not None and key in ways[own] and ways[own][key] is None:
                total = weights[0] + weights[1]
                return _Mix(weights[own] / total.clamp(min=1e-9), order)
    return None


def _way(tape: Tape, tensor: torch.Tensor, before: int) -> dict[int, torch.Tensor | None]:
    """The tensors that one was made of, by id, with the order in which its rows were taken, if in another."""
    way: dict[int, torch.Tensor | None] = {id(tensor): None}
    for _ in range(_DEEP):
        call: Call | None = tape.maker(tensor, before)
        inner = call.argument(0, "input") if call is not None else None
        if call is None or not isinstance(inner, torch.Tensor) or inner.ndim == 0:
            return way
        tensor, before = inner, call.index
        if call.name in RESHAPES or call.name == "one_hot":
            way.setdefault(id(tensor), None)
            continue
        rows = picked(call, len(tensor))
        if rows is not None and len(rows) == len(tensor):
            way.setdefault(id(tensor), torch.tensor(rows))
        return way
    return way
