"""Do places matter: those in the sequence, which should, and those in the batch, which should not?

Attention by itself sees a set. If the places of the input are put in another order, and the outputs come in just
that order (or stay, where they are pooled), nothing in the model knows about order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from ...batch import Batch, Change
from ...case import Trial, difference
from ...patient import Patient
from ...report import Finding, Page, Severity
from ...tape import Call
from .reading import answers, evaluated, precise
from .seen import Attention

IGNORED = Page(
    id="order-ignored",
    number=26,
    severity="warning",
    title="the order of the sequence means nothing to the model",
    why="Attention sees a set: without positions all orders of the same tokens (or patches) are the same sentence.",
    evidence="The places of the input were put in another order, "
    "and the outputs came in that order too, or stayed the same, to the last digits.",
    legitimate="Sets of points, items or columns; for numbers, and for one answer to a whole sequence, this is "
    "only a note. Attention that only pools the "
    "places (a few queries, as many keys as places) is not meant.",
    cure="Add a position to every token: `x + place(torch.arange(T))`, once, before the first layer.",
)
BATCH = Page(
    id="place-in-batch-matters",
    number=26,
    title="a sample's place in the batch changes its answer",
    why="Positions run along the axis of the batch instead of that of time "
    "(`pe[:x.size(0)]` on batch-first data): every token of a sample gets the same one.",
    evidence="Samples do not see each other, yet in another order they get other outputs.",
    legitimate="A learned vector for every training sample.",
    cure="`x + pe[:, : x.size(1)]` for (batch, time, width); `pe[: x.size(0)]` is for (time, batch, width).",
)
REPEAT = Page(
    id="positions-repeat",
    number=26,
    severity="warning",
    title="several places get the same position",
    why="What stands at them cannot be told apart by place.",
    evidence="A table with a row for every place is asked, along time, for the same row several times in a row.",
    legitimate="Kinds of segments, whose tables have few rows; distances, which are asked for in pairs.",
    cure="`torch.arange(T)` for the places, and a table of at least T rows.",
)
PAGES = (IGNORED, BATCH, REPEAT)

_CLOSE = 1e-9


def check(patient: Patient) -> Iterator[Finding]:
    """Orders of places and of samples, in float64; rows of tables that are asked for."""
    trial, found = evaluated(patient)
    if not found or trial.error is not None:
        return
    yield from _repeated(trial, found)
    batch, base = precise(patient)
    if (
        not answers(base) or not batch.inputs or difference(*patient.settled)
    ):  # what is drawn changes with every order
        return
    yield from _in_batch(patient, batch, base, found)
    yield from _in_time(patient, batch, base, found)


def _repeated(trial: Trial, found: list[Attention]) -> Iterator[Finding]:
    """Look-ups in a table that are the same for every input."""
    longest = max(attention.weights.shape[-1] for attention in found)
    for call in trial.tape.calls:
        table, index = _looked_up(call)
        if table is None or index is None or id(index) in trial.dependent or index.ndim > 2:
            continue
        row = index.detach().reshape(-1, index.shape[-1])[0].long() if index.ndim else index
        if index.ndim == 0 or not 4 <= len(row) <= longest or len(table) < len(row):
            continue
        if len(torch.unique(row)) < len(row) and bool((row[1:] >= row[:-1]).all()) and len(row) in (
            attention.weights.shape[-1] for attention in found
        ):  # fmt: skip
            times = int((row[1:] == row[:-1]).sum())
            yield REPEAT.found(
                f"{times + 1} of {len(row)} places; the rows are {row.tolist()[:8]} of {len(table)}", call.where
            )
            return


def _looked_up(call: Call) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """The table and the indices of a look-up."""
    if call.name == "embedding":
        return call.argument(1, "weight"), call.argument(0, "input")
    if call.name == "getitem" and len(call.args) > 1 and isinstance(call.args[0], nn.Parameter):
        index = call.args[1]
        if isinstance(index, torch.Tensor) and not index.is_floating_point() and index.dtype != torch.bool:
            return call.args[0], index
    return None, None


def _equal(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape:
        return False
    close = _CLOSE if one.dtype == torch.float64 else 1e-5
    left, right = one.detach().double().nan_to_num(), two.detach().double().nan_to_num()
    return bool(((left - right).abs() <= close * (left.abs().max() + 1e-30)).all())


def _in_batch(patient: Patient, batch: Batch, base: Trial, found: list[Attention]) -> Iterator[Finding]:
    """Samples in another order: each must get the answer that it had, if none sees the others."""
    axis, size = patient.batch_axis, batch.size(patient.batch_axis)
    out = base.main.detach()
    first = patient.batch.inputs[0]
    if (
        patient.batch.size(axis) < 3
        or out.ndim <= axis
        or out.shape[axis] != size
        or not _certain(patient, axis, first, found)
    ):
        return
    order = torch.roll(torch.arange(size, device=out.device), 1)
    if all(_equal(x, _taking(axis, size, order)(x)) for x in batch.inputs if _along(x, axis, size)):
        return
    moved = patient.exact(batch.with_inputs(_taking(axis, size, order)))
    if moved.error is not None or _equal(moved.main, out.index_select(axis, order)):
        return
    # One sample changed: does any other move? Then it is not the place alone.
    other = patient.exact(batch.with_inputs(_replacing(axis, size)))
    if other.error is not None or other.main.shape != out.shape:
        return
    rest = torch.arange(1, size, device=out.device)
    if _equal(out.index_select(axis, rest), other.main.index_select(axis, rest)):
        difference = float((moved.main - out.index_select(axis, order)).abs().max())
        yield BATCH.found(
            f"the {size} samples in another order: outputs differ by up to {difference:.2g}", found[0].where
        )


def _certain(patient: Patient, axis: int, x: torch.Tensor, found: list[Attention]) -> bool:
    """Is the axis of the batch known, or does some attention look along the other one?"""
    if patient.case.batch_axis is not None or x.ndim < 2:
        return patient.case.batch_axis is not None
    along = x.shape[1 - axis] if axis < 2 else 0
    lengths = {attention.weights.shape[-1] for attention in found}
    return x.ndim > 3 or (along in lengths and x.shape[axis] not in lengths)


def _along(x: torch.Tensor, axis: int, size: int) -> bool:
    return x.ndim > axis and x.shape[axis] == size


def _taking(axis: int, size: int, order: torch.Tensor) -> Change:
    return lambda x: x.index_select(axis, order.to(x.device)) if _along(x, axis, size) else x


def _replacing(axis: int, size: int) -> Change:
    """The first sample becomes the second."""
    order = torch.arange(size)
    order[0] = 1
    return _taking(axis, size, order)


def _in_time(patient: Patient, batch: Batch, base: Trial, found: list[Attention]) -> Iterator[Finding]:
    """Places in another order."""
    x = batch.inputs[0]
    if x.ndim == 4 and x.is_floating_point():
        yield from _patches(patient, batch, base, x, found)
        return
    axis = 1 - patient.batch_axis if patient.batch_axis < 2 else 1
    if x.ndim not in (2, 3) or x.shape[axis] < 4 or (x.ndim == 2 and x.is_floating_point()):
        return
    length = x.shape[axis]
    if not any(min(attention.weights.shape[-2:]) >= length for attention in found if attention.weights.ndim > 1):
        return  # no place looks along the sequence
    order = torch.randperm(length, generator=torch.Generator().manual_seed(5))
    whole = {id(one): _taking(axis, length, order)(one) for one in batch.inputs}
    if _equal(x, whole[id(x)]):
        return
    moved = patient.exact(_swapped(batch, whole))
    if moved.error is not None or moved.main.shape != base.main.shape:
        return
    out = base.main
    pooled = _equal(out, moved.main)
    places = [one for one in range(out.ndim) if out.shape[one] == length]
    if pooled and _ignores(patient, batch, base, axis):
        return
    if pooled or any(_equal(out.index_select(one, order.to(out.device)), moved.main) for one in places):
        what = "the output stayed the same" if pooled else "the outputs came in the same order"
        # What is pooled may be a count or a vote; what stands at places has to know which.
        severity: Severity = "note" if pooled or x.is_floating_point() else "warning"
        yield IGNORED.found(f"{length} places in another order: {what}", found[0].where, severity)


def _swapped(batch: Batch, other: dict[int, torch.Tensor]) -> Batch:
    return batch.with_inputs(lambda x: other.get(id(x), x))


def _ignores(patient: Patient, batch: Batch, base: Trial, axis: int) -> bool:
    """Does the output ignore the input altogether?"""
    shifted = batch.with_inputs(lambda x: x.roll(1, 1 - axis if axis < 2 else 0))
    other = patient.exact(shifted)
    return other.error is not None or _equal(base.main, other.main)


def _patches(
    patient: Patient, batch: Batch, base: Trial, x: torch.Tensor, found: list[Attention]
) -> Iterator[Finding]:
    """Pictures: square patches in another order, if the attention has one key for each."""
    height, width = x.shape[-2:]
    for keys in {attention.weights.shape[-1] for attention in found}:
        for count in (keys, keys - 1):  # one of them may be the token that is read
            side = math.isqrt(height * width // count) if count > 3 else 0
            if side < 2 or height % side or width % side or (height // side) * (width // side) != count:
                continue
            order = torch.randperm(count, generator=torch.Generator().manual_seed(5))
            moved = patient.exact(_swapped(batch, {id(x): _reordered(x, side, order)}))
            if moved.error is None and _equal(base.main, moved.main):
                other = patient.exact(_swapped(batch, {id(x): x.roll(1, 0)}))
                if other.error is None and not _equal(base.main, other.main):
                    yield IGNORED.found(
                        f"{count} patches of {side} × {side} in another order: the output stayed the same",
                        found[0].where,
                    )
                return


def _reordered(x: torch.Tensor, side: int, order: torch.Tensor) -> torch.Tensor:
    rows, columns = x.shape[-2] // side, x.shape[-1] // side
    cut = x.reshape(*x.shape[:-2], rows, side, columns, side)
    patches = cut.transpose(-3, -2).flatten(-4, -3)  # (B, C, patches, side, side)
    kept = patches.index_select(-3, order.to(x.device))
    back = kept.reshape(*x.shape[:-2], rows, columns, side, side).transpose(-3, -2)
    return back.flatten(-2, -1).flatten(-3, -2)
