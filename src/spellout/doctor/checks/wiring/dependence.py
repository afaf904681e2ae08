"""Which output depends on which input: on none, on other samples, on the future (families 9, 10 and 11).

Inputs are changed one sample (or one moment) at a time, in float64, and the outputs compared bit by bit: the whole
matrix of dependences. Its shape names the bug, and the first call on the tape whose result shows it is the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from ...axes import Relabelled
from ...batch import Batch
from ...patient import Patient, Trial
from ...report import Finding, Page
from ...tape import Call, tensors_in

IGNORES = Page(
    id="output-ignores-input",
    number=9,
    severity="error",
    title="the output does not depend on the input",
    why="The model can learn one answer for everything: the loss stops at that of the best constant.",
    evidence="Every input was replaced and every output stayed the same to the last bit, also after noise on the "
    "parameters or a step along the gradient.",
    legitimate="Models of the targets alone.",
    cure="Look for a detached or overwritten tensor, a softmax or LayerNorm over one value, units that are all "
    "dead.",
)
MIXES = Page(
    id="samples-mix",
    number=10,
    severity="error",
    title="samples of a batch influence each other",
    why="The answer for one sample depends on what else is in the batch; at inference, alone, it gets another one.",
    evidence="In eval mode one sample was changed and the output for another one moved.",
    legitimate="Outputs that compare all pairs have two batch axes and are not asked; time-first data: say "
    "`batch_axis=1`.",
    cure="Check `batch_first=True`, the axis of softmax and normalisation, and views where a permute was meant.",
)
AHEAD = Page(
    id="looks-ahead",
    number=11,
    severity="error",
    title="the model sees the future",
    why="What it must predict is among its inputs: the training loss goes to zero and sampling gives nonsense.",
    evidence="Inputs from one moment on were changed, and outputs before it moved.",
    legitimate="Models that fill gaps see both sides; then the targets are not the inputs shifted.",
    cure="Mask attention (`is_causal=True`, `tril`), pad convolutions on the left, and make no recurrent net "
    "bidirectional.",
)
PAGES = (IGNORES, MIXES, AHEAD)

_NONE = 1e-9
"""Relative; what other rounding could move, in float64."""


def check(patient: Patient) -> Iterator[Finding]:
    """The matrix over samples, and over moments where that is asked."""
    relabelled = patient.relabelled
    if relabelled is None:
        return
    base = relabelled.trial
    if base.main._version:  # a loss may have written into it
        base = _again(patient, relabelled.batch)
    if base.error is not None:
        return
    halves = _halves(patient, relabelled) if patient.heavy else []
    moves = any(half.error is None and not _same(base.main, half.main) for half in halves)
    ignores: list[Finding] = []
    if not moves or _all_equal(patient.training.main.detach()):
        ignores = list(_ignores(patient, relabelled, base))
        yield from ignores
    if not ignores and (not patient.heavy or _halves_mix(relabelled, base, halves)):
        yield from _mixes(patient, relabelled, base)
    if _is_causal(patient):
        yield from _ahead(patient, relabelled, base)


def _again(patient: Patient, batch: Batch) -> Trial:
    return patient.exact(batch)


def changed(x: torch.Tensor, where: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Other values at the selected places: noise of the same scale, or the next value that occurs."""
    other = x.clone()
    if x.is_floating_point():
        generator = torch.Generator().manual_seed(3)
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
        where(other).copy_(where(x + noise * (x.std() + 0.1)))
    elif x.dtype != torch.bool:
        values, place = torch.unique(x, return_inverse=True)
        where(other).copy_(where(values[(place + 1) % len(values)]))
    return other


def _ignores(patient: Patient, relabelled: Relabelled, base: Trial) -> Iterator[Finding]:
    everything = relabelled.batch.with_inputs(lambda x: changed(x, lambda t: t))
    other = _again(patient, everything)
    if other.error is None and _same(base.main, other.main):
        yield IGNORES.found(
            f"{len(relabelled.batch.inputs)} input tensors replaced, no output moved, also with noise on the "
            "parameters",
            _last_line(base),
        )
        return
    batch = relabelled.batch
    if patient.heavy and not _all_equal(patient.training.main.detach()):
        return
    with patient.borrowed(train=False):
        patient.double()  # what underflows in float32 is a symptom, not this
        batch = batch.mapped(lambda x: x.double() if x.is_floating_point() else x)
        other_batch = batch.with_inputs(lambda x: changed(x, lambda t: t))
        for steps in range(3):
            with torch.no_grad():
                now, then = (patient.run(one, loss=False, taped=False) for one in (batch, other_batch))
            if now.error or then.error or not _same(now.main, then.main):
                return
            trial = patient.run(batch, gradients=True, taped=False)
            if steps < 2 and (trial.error or not trial.gradients):
                return
            _descend(patient, trial)
    if now.error is None:
        yield IGNORES.found("all inputs replaced, no output moved, also after two steps along the gradient")


def _all_equal(output: torch.Tensor) -> bool:
    """Is the answer the same for every sample?"""
    return output.ndim == 0 or bool((output == output[:1]).all())


def _descend(patient: Patient, trial: Trial) -> None:
    with torch.no_grad():
        for name, parameter in patient.parameters():
            grad = trial.gradients.get(name)
            if grad is not None and grad.norm() > 0:
                parameter.data = parameter.data - 0.03 * (parameter.detach().norm() + 0.1) * grad / grad.norm()


def _last_line(base: Trial) -> str | None:
    """The last call that still depends on the input, or the last of all."""
    reached = base.tape.reached_from(*base.batch.inputs)
    calls = [call for call in base.tape.calls if call.phase == "model"]
    last = [call for call in calls if any(id(tensor) in reached for tensor in call.outputs)]
    return last[-1].where if last else None


def _mixes(patient: Patient, relabelled: Relabelled, base: Trial) -> Iterator[Finding]:
    samples = relabelled.samples
    if sum(size % samples == 0 for size in base.main.shape) != 1:
        return  # no batch axis, or all pairs
    matrix = torch.zeros(samples, samples, dtype=torch.bool)
    guilty: Call | None = None
    others: dict[int, Trial] = {}
    middle = samples // 2
    for sample in (middle, *(one for one in range(samples) if one != middle)):
        other = _again(patient, _with(relabelled, sample))
        if other.error is not None or other.main.shape != base.main.shape:
            return
        others[sample] = other
        matrix[:, sample] = _moved_along(base.main, other.main, samples)
    off = matrix & ~torch.eye(samples, dtype=torch.bool)
    if not off.any():
        return
    for sample, other in others.items():
        call = _first_mixing(base, other, samples, sample)
        if call is not None and (guilty is None or call.index < guilty.index):
            guilty = call
    below, above = bool(off.tril().any()), bool(off.triu().any())
    shape = "only later samples feel earlier ones: the batch is used as time" if below and not above else (
        "only earlier samples feel later ones" if above and not below else "in both directions")  # fmt: skip
    where = guilty.where if guilty is not None else None
    names = f" at `{guilty.name}`" if guilty is not None else ""
    evidence = (
        f"{int(off.sum())} of {samples * (samples - 1)} pairs of samples influence each other{names}, {shape}"
    )
    yield MIXES.found(evidence, where, "warning" if _may_be_time_first(patient, guilty) else "error")


def _may_be_time_first(patient: Patient, guilty: Call | None) -> bool:
    """The shapes alone do not say which axis is the batch: (T, B) inputs and (T, B) targets."""
    x, y = patient.batch.inputs[0], next(tensors_in(patient.batch.target), None)
    recurrent = guilty is not None and guilty.name in (
        "lstm",
        "gru",
        "rnn_tanh",
        "rnn_relu",
        "multi_head_attention_forward",
    )
    if patient.case.batch_axis is not None or not recurrent or y is None or x.ndim < 2 or y.ndim < 2:
        return False
    return x.shape[:2] == y.shape[:2] and patient.shifted_axis is None


def _halves(patient: Patient, relabelled: Relabelled) -> list[Trial]:
    """Other inputs at even places, and then at odd ones: enough for a model whose passes are dear."""
    return [_again(patient, _with(relabelled, slice(first, None, 2))) for first in (0, 1)]


def _halves_mix(relabelled: Relabelled, base: Trial, halves: list[Trial]) -> bool:
    """Does a sample at an odd place feel those at even places, or the other way round?"""
    samples = relabelled.samples
    if sum(size % samples == 0 for size in base.main.shape) != 1:
        return False
    fits = [half.error is None and half.main.shape == base.main.shape for half in halves]
    return all(fits) and any(
        bool(_moved_along(base.main, half.main, samples)[1 - first :: 2].any()) for first, half in enumerate(halves)
    )


def _with(relabelled: Relabelled, which: int | slice) -> Batch:
    """The batch with other inputs for some samples."""
    axis, samples = relabelled.batch_axis, relabelled.samples

    def change(x: torch.Tensor) -> torch.Tensor:
        if x.ndim <= axis or x.shape[axis] != samples:
            return x
        return changed(x, lambda t: t.movedim(axis, 0)[which])

    return relabelled.batch.with_inputs(change)


def _moved_along(base: torch.Tensor, other: torch.Tensor, samples: int) -> torch.Tensor:
    """Which samples moved, along the one axis that carries the batch; flattened axes are read both ways."""
    axis = next(axis for axis, size in enumerate(base.shape) if size % samples == 0)
    moved = _moves(base, other).movedim(axis, 0).flatten(1).any(1) if base.ndim > 1 else _moves(base, other)
    if len(moved) == samples:
        return moved
    first, last = moved.view(samples, -1).any(1), moved.view(-1, samples).any(0)
    return first if int(first.sum()) <= int(last.sum()) else last


def _moves(base: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    left, right = base.detach().double().nan_to_num(), other.detach().double().nan_to_num()
    loose = 1e-5 if base.dtype != torch.float64 else _NONE
    return (left - right).abs() > loose * (left.abs().max() + 1e-30)


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left.nan_to_num(), right.nan_to_num())


def _first_mixing(base: Trial, other: Trial, samples: int, sample: int) -> Call | None:
    """The first call whose result moved for another sample than the one changed."""
    for call, twin in zip(base.tape.calls, other.tape.calls, strict=False):
        if call.name != twin.name:
            return None
        for one, two in zip(call.outputs, twin.outputs, strict=False):
            usable = one.shape == two.shape and one.is_floating_point() and one is not two
            if not usable or sum(size % samples == 0 and size > 0 for size in one.shape) != 1:
                continue
            moved = _moved_along(one, two, samples)
            moved[sample] = False
            if moved.any():
                return call
    return None


def _is_causal(patient: Patient) -> bool:
    if patient.case.causal is not None:
        return patient.case.causal
    return patient.shifted_axis is not None


def _ahead(patient: Patient, relabelled: Relabelled, base: Trial) -> Iterator[Finding]:
    which, axis = patient.shifted or (None, relabelled.time_axis)
    x = relabelled.batch.inputs[which or 0]
    if x.ndim <= axis:
        return
    length = x.shape[axis]
    asked = {1, length // 2} if patient.heavy else {1, 2, length // 2, length - 1}
    places = sorted(asked & set(range(1, length)))
    worst: tuple[int, int, Call | None] | None = None
    for place in places:
        after = _from_moment(relabelled, which, axis, place, length)
        other = _again(patient, after)
        if other.error is not None or other.main.shape != base.main.shape:
            return
        early = _early(base.main, other.main, length, relabelled.samples, place)
        if early is None:
            return
        if early:
            worst = (place, early, _first_ahead(base, other, length, place))
            break
    if worst is not None:
        place, early, call = worst
        yield AHEAD.found(
            f"inputs from moment {place} on were changed, and outputs of {early} of {place} moments before it "
            "moved",
            call.where if call is not None else None,
        )


def _from_moment(relabelled: Relabelled, which: int | None, axis: int, place: int, length: int) -> Batch:
    """Other inputs from a moment on; an encoder may see all, so only the input that the targets continue."""
    only = None if which is None else relabelled.batch.inputs[which]

    def change(x: torch.Tensor) -> torch.Tensor:
        if x.ndim <= axis or x.shape[axis] != length or (only is not None and x is not only):
            return x
        return changed(x, lambda t: t.narrow(axis, place, length - place))

    return relabelled.batch.with_inputs(change)


def _early(base: torch.Tensor, other: torch.Tensor, length: int, samples: int, place: int) -> int | None:
    """How many moments before `place` moved; None if the output has no axis of time."""
    moved = _moves(base, other)
    axes = [axis for axis, size in enumerate(base.shape) if size == length]
    if axes:
        return int(moved.movedim(axes[0], 0).flatten(1).any(1)[:place].sum())
    if base.shape[0] == samples * length:
        rows = moved.flatten(1).any(1) if moved.ndim > 1 else moved
        sides = (rows.view(samples, length).any(0), rows.view(length, samples).any(1))
        return min(int(side[:place].sum()) for side in sides)
    return None


def _first_ahead(base: Trial, other: Trial, length: int, place: int) -> Call | None:
    for call, twin in zip(base.tape.calls, other.tape.calls, strict=False):
        if call.name != twin.name:
            return None
        for one, two in zip(call.outputs, twin.outputs, strict=False):
            axes = [axis for axis, size in enumerate(one.shape) if size == length]
            if one.shape != two.shape or not one.is_floating_point() or len(axes) != 1:
                continue
            moved = _moves(one, two).movedim(axes[0], 0).reshape(length, -1).any(1)
            if moved[:place].any():
                return call
    return None
