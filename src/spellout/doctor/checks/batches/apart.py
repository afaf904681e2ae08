"""Inputs and targets were shuffled each by itself (family 27)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import RESHAPES, Call, Tape, words
from .. import data
from .rows import Origin, Pass, origin_of, picked, training_passes

APART = Page(
    id="targets-of-other-samples",
    number=27,
    title="inputs and targets are picked in different orders",
    why="Every sample is compared with the target of another; nothing can be learned but the targets' mean.",
    evidence="On the way into the model and into the loss, rows with different numbers were picked "
    "from tensors of the same length.",
    legitimate="A test on purpose that shuffled targets cannot be learned.",
    cure="Shuffle once and use the same index for both, or one data set of pairs in one loader.",
)
PAGES = (APART,)
_BROUGHT = words("from_numpy tensor as_tensor asarray from_dlpack load")
"""Calls that bring numbers from elsewhere."""


def check(patient: Patient) -> Iterator[Finding]:
    """All training passes, so that mixing samples within a batch is not meant."""
    tape = patient.recording.tape
    passes = [one for one in training_passes(patient.recording) if one.losses]  # those that are on the tape
    if tape is None or len(passes) < 2:
        return
    found = [_apart(tape, one) for one in passes]
    if all(found):
        yield APART.found(f"in each of {len(found)} training passes; {found[0]}", passes[0].forward.where)
    else:
        yield from _whole(tape, passes[0])


def _whole(tape: Tape, one: Pass) -> Iterator[Finding]:
    """A batch is too small to tell whether labels fit; the set that its rows were picked from may not be."""
    x = origin_of(tape, one.forward.given[0], one.forward.tick) if one.forward.given else None
    target = next((tensor for call in one.losses for tensor in _given(call)), None)
    y = origin_of(tape, target, one.losses[0].index) if target is not None else None
    if x is None or y is None or target is None or x.base is y.base or x.index != y.index:
        return
    if len(x.base) == len(y.base) > len(target) and len(target) < data.ENOUGH:
        yield from data.shuffled(x.base, y.base)


def _apart(tape: Tape, one: Pass) -> str:
    """The first rows of both, where they differ; empty if they do not, or if that is not known."""
    inputs = [origin_of(tape, tensor, one.forward.tick) for tensor in one.forward.given[:1]]
    targets = [origin_of(tape, tensor, call.index) for call in one.losses for tensor in _given(call)]
    if not inputs or not targets or inputs[0] is None:
        return ""
    x = inputs[0]
    if not all(y is not None and _differ(x, y) for y in targets):
        return ""
    y = targets[0]
    assert y is not None
    row = _last(tape, one.forward.given[0])
    alike = row is not None and row == _last(tape, next(given for call in one.losses for given in _given(call)))
    # If only the whole sets are in unlike orders, one of them may have got its order where nobody saw it.
    if alike and any(side.index == row and _came_from_outside(tape, side) for side in (x, y)):
        return ""
    return f"inputs {_shown(x)}, targets {_shown(y)} of {len(x.base)}"


def _came_from_outside(tape: Tape, side: Origin) -> bool:
    """Was it made where the tape did not see it: in NumPy, or before the recording?"""
    maker = tape.source(side.base, RESHAPES)
    return maker is None or maker.name in _BROUGHT


def _last(tape: Tape, tensor: torch.Tensor) -> tuple[int, ...] | None:
    """The rows of the last pick alone."""
    call = tape.source(tensor, RESHAPES)
    base = call.argument(0, "input") if call is not None else None
    return picked(call, len(base)) if call is not None and isinstance(base, torch.Tensor) and base.ndim else None


def _given(call: Call) -> list[torch.Tensor]:
    target = call.argument(1, "target")
    return [target] if isinstance(target, torch.Tensor) and target.ndim else []


def _differ(x: Origin, y: Origin) -> bool:
    same_kind = x.base is not y.base and len(x.base) == len(y.base) and len(x.index) == len(y.index) >= 4
    # A constant distance is a forecast, and the same rows in another order may still be a shuffled step.
    return same_kind and len({one - other for one, other in zip(x.index, y.index, strict=True)}) > 1


def _shown(one: Origin) -> str:
    return ", ".join(map(str, one.index[:4])) + "…"
