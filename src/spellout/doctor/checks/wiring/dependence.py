"""Which output depends on which input: on none, on other samples, on the future (families 9, 10 and 11)?

Inputs are changed one sample (or one moment) at a time, in float64, and the outputs compared bit by bit: the whole
matrix of dependences. Its shape names the bug, and the first call on the tape whose result shows it is the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from ...batch import Batch, Relabelled
from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call

IGNORES = Page(
    id="output-ignores-input",
    number=9,
    title="the output does not depend on the input",
    why="The model can learn one answer for everything: the loss stops at that of the best constant.",
    evidence="Every input was replaced and every output stayed the same to the last bit, "
    "also after noise on the parameters or a step along the gradient.",
    legitimate="Models of the targets alone.",
    cure="Look for a detached or overwritten tensor, a softmax or LayerNorm over one value, "
    "units that are all dead.",
)
MIXES = Page(
    id="samples-mix",
    number=10,
    title="samples of a batch influence each other",
    why="The answer for one sample depends on what else is in the batch; at inference, alone, it gets another one.",
    evidence="In eval mode one sample was changed and the output for another one moved.",
    legitimate="Outputs that compare all pairs have two batch axes and are not asked; "
    "time-first data: say `batch_axis=1`.",
    cure="Check `batch_first=True`, the axis of softmax and normalisation, and views where a permute was meant.",
)
AHEAD = Page(
    id="looks-ahead",
    number=11,
    title="the model sees the future",
    why="What it must predict is among its inputs: the training loss goes to zero and sampling gives nonsense.",
    evidence="Inputs from one moment on were changed, and outputs before it moved.",
    legitimate="Models that fill gaps see both sides; then the targets are not the inputs shifted.",
    cure="Mask attention (`is_causal=True`, `tril`), pad convolutions on the left, "
    "and make no recurrent net bidirectional.",
)
PAGES = (IGNORES, MIXES, AHEAD)

_NONE = 1e-9
"""Relative; what other rounding could move, in float64."""
Select = Callable[[torch.Tensor], torch.Tensor]
"""Gives a view of some places of a tensor."""
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu", "multi_head_attention_forward")


def check(patient: Patient) -> Iterator[Finding]:
    """The matrix over samples, and over moments where that is asked."""
    if patient.relabelled is None:
        why = "is large; thorough=True asks it" if patient.huge else "takes only a batch of this size"
        patient.missing.append(f"what samples and moments do to each other: the model {why}")
        return
    axes, base = patient.relabelled
    if base.main._version:  # a loss may have written into it: once more without a loss
        base = patient.exact(axes.batch)
    if base.error is not None:
        return
    # Other inputs at even places, and then at odd ones: enough for a model whose passes are dear.
    halves = [patient.exact(_with(axes, slice(first, None, 2))) for first in (0, 1)] if patient.heavy else []
    moves = any(half.error is None and not _same(base.main, half.main) for half in halves)
    ignores = not moves or _all_equal(patient.training.main.detach())
    found = list(_ignores(patient, axes, base)) if ignores and _is_deaf(patient, axes) else []
    yield from found
    if not found and patient.case.has_modes and (not patient.heavy or _halves_mix(axes, base, halves)):
        yield from _mixes(patient, axes, base)
    if patient.case.causal or (patient.case.causal is None and patient.batch.shifted is not None):
        yield from _ahead(patient, axes, base)


def _changed(x: torch.Tensor, where: Select = lambda x: x) -> torch.Tensor:
    """Other values at the selected places: noise of the same scale, or the next value that occurs."""
    other = x.clone()
    if x.is_floating_point() or x.is_complex():
        generator = torch.Generator().manual_seed(3)
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
        where(other).copy_(where(x + noise * (x.std() + 0.1)))
    elif x.dtype != torch.bool:
        values, place = torch.unique(x, return_inverse=True)
        where(other).copy_(where(values[(place + 1) % len(values)]))
    return other


def _ignores(patient: Patient, axes: Relabelled, base: Trial) -> Iterator[Finding]:
    other = patient.exact(axes.batch.with_inputs(_changed))
    if other.error is None and _same(base.main, other.main):
        yield IGNORES.found(
            f"{len(axes.batch.inputs)} input tensors replaced, no output moved, also with noise on the parameters",
            _last_line(base),
        )
        return
    if patient.heavy and not _all_equal(patient.training.main.detach()):
        return
    with patient.borrowed(train=False):
        patient.double()  # what underflows in float32 is a symptom, not this
        batch = axes.batch.wide()
        batches = (batch, batch.with_inputs(_changed))
        for steps in range(3):
            if steps:  # a layer that starts at zero hides the input only until its weights have moved
                trial = patient.run(batch, gradients=True, taped=False)
                if trial.error or not trial.gradients:
                    return
                _descend(patient, trial)
            with torch.no_grad():
                now, then = (patient.run(one, loss=False, taped=False) for one in batches)
            if now.error or then.error or not _same(now.main, then.main):
                return
    yield IGNORES.found("all inputs replaced, no output moved, also after two steps along the gradient")


def _is_deaf(patient: Patient, axes: Relabelled) -> bool:
    """In train mode, too?

    An untrained BatchNorm divides by nothing in eval mode, and what is then large saturates whatever comes after.
    """
    now, then = (patient.exact(one, train=True) for one in (axes.batch, axes.batch.with_inputs(_changed)))
    return now.error is not None or then.error is not None or _same(now.main, then.main)


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
    """The last call that still depends on the input."""
    calls = (call for call in reversed(base.tape.calls) if call.phase == "model")
    return next((call.where for call in calls if any(id(one) in base.dependent for one in call.outputs)), None)


def _mixes(patient: Patient, axes: Relabelled, base: Trial) -> Iterator[Finding]:
    samples = axes.samples
    if not _carries_samples(base.main, samples):
        return
    others: list[Trial] = []
    for sample in range(samples):
        others.append(patient.exact(_with(axes, sample)))
        if not _comparable(base, others[-1]):
            return
    # Row i, column j: the output of sample i moved when the input of sample j was changed.
    matrix = torch.stack([_moved_samples(base.main, other.main, samples) for other in others], 1)
    off = matrix.fill_diagonal_(False)
    if not off.any():
        return
    calls = (_first(base, other, partial(_moves_others, sample, samples)) for sample, other in enumerate(others))
    guilty = min((call for call in calls if call is not None), key=lambda call: call.index, default=None)
    shape = "in both directions"
    if not off.triu().any():
        shape = "only later samples feel earlier ones: the batch is used as time"
    elif not off.tril().any():
        shape = "only earlier samples feel later ones"
    at = f" at `{guilty.name}`" if guilty is not None else ""
    yield MIXES.found(
        f"{int(off.sum())} of {samples * (samples - 1)} pairs of samples influence each other{at}, {shape}",
        guilty.where if guilty is not None else None,
        "warning" if _may_be_time_first(patient, guilty) else "error",
    )


def _may_be_time_first(patient: Patient, guilty: Call | None) -> bool:
    """The shapes alone do not say which axis is the batch: (T, B) inputs and (T, B) targets."""
    x, y = patient.batch.inputs[0], patient.batch.targets
    if patient.case.batch_axis is not None or guilty is None or guilty.name not in _RECURRENT or y is None:
        return False
    return min(x.ndim, y.ndim) > 1 and x.shape[:2] == y.shape[:2] and patient.batch.shifted is None


def _halves_mix(axes: Relabelled, base: Trial, halves: list[Trial]) -> bool:
    """Does a sample at an odd place feel those at even places, or the other way round?"""
    if not all(_comparable(base, half) for half in halves) or not _carries_samples(base.main, axes.samples):
        return False
    moved = [_moved_samples(base.main, half.main, axes.samples) for half in halves]
    return any(bool(one[1 - first :: 2].any()) for first, one in enumerate(moved))


def _with(axes: Relabelled, which: int | slice) -> Batch:
    """The batch with other inputs for some samples."""

    def change(x: torch.Tensor) -> torch.Tensor:
        if x.ndim <= axes.batch_axis or x.shape[axes.batch_axis] != axes.samples:
            return x
        return _changed(x, lambda t: t.movedim(axes.batch_axis, 0)[which])

    return axes.batch.with_inputs(change)


def _comparable(base: Trial, other: Trial) -> bool:
    return other.error is None and other.main.shape == base.main.shape


def _moves_others(sample: int, samples: int, one: torch.Tensor, two: torch.Tensor) -> bool:
    """Does another sample than this one move?"""
    others = torch.arange(samples) != sample
    return _carries_samples(one, samples) and bool((_moved_samples(one, two, samples) & others).any())


def _carries_samples(output: torch.Tensor, samples: int) -> bool:
    """Has it an axis for the samples? Not if there are two, which compare all pairs."""
    return output.numel() > 0 and sum(size % samples == 0 for size in output.shape) == 1


def _moved_samples(base: torch.Tensor, other: torch.Tensor, samples: int) -> torch.Tensor:
    """Which samples moved, along the one axis that carries the batch; flattened axes are read both ways."""
    axis = next(axis for axis, size in enumerate(base.shape) if size % samples == 0)
    moved = _moves(base, other).movedim(axis, 0).reshape(base.shape[axis], -1).any(1)
    if len(moved) == samples:
        return moved
    first, last = moved.view(samples, -1).any(1), moved.view(-1, samples).any(0)
    return first if int(first.sum()) <= int(last.sum()) else last


def _moves(base: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    # A model that insists on float32 rounds more coarsely, and other blocks of a product may round otherwise.
    left, right = base.detach().double().nan_to_num(), other.detach().double().nan_to_num()
    loose = 1e-5 if base.dtype != torch.float64 else _NONE
    return (left - right).abs() > loose * (left.abs().max() + 1e-30)


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.shape == right.shape and torch.equal(left.nan_to_num(), right.nan_to_num())


def _first(base: Trial, other: Trial, shows: Callable[[torch.Tensor, torch.Tensor], bool]) -> Call | None:
    """The first call whose results in two trials show something, as far as both tapes go the same way."""
    for call, twin in zip(base.tape.calls, other.tape.calls, strict=False):
        if call.name != twin.name:
            return None
        for one, two in zip(call.outputs, twin.outputs, strict=False):
            if one.shape == two.shape and one.is_floating_point() and one is not two and shows(one, two):
                return call
    return None


def _ahead(patient: Patient, axes: Relabelled, base: Trial) -> Iterator[Finding]:
    """Inputs from a moment on are changed: does an output before it move?

    An encoder may see all, so only the input that the targets continue is changed, if they continue one.
    """
    # The first moments show a shift by one, the middle and the end a mask that is wrong as a whole.
    which, axis = patient.batch.shifted or (None, axes.time_axis)
    x = axes.batch.inputs[which or 0]
    if x.ndim <= axis:
        return
    length = x.shape[axis]
    asked = {1, length // 2} if patient.heavy else {1, 2, length // 2, length - 1}
    for moment in sorted(asked & set(range(1, length))):

        def change(given: torch.Tensor, moment: int = moment) -> torch.Tensor:
            if given.ndim <= axis or given.shape[axis] != length or (which is not None and given is not x):
                return given
            return _changed(given, lambda t: t.narrow(axis, moment, length - moment))

        other = patient.exact(axes.batch.with_inputs(change))
        if not _comparable(base, other):
            return
        early = _early(base.main, other.main, length, axes.samples, moment)
        if early is None:
            return
        if early:
            call = _first(base, other, partial(_shows_early, length=length, moment=moment))
            yield AHEAD.found(
                f"inputs from moment {moment} on were changed, "
                f"and outputs of {early} of {moment} moments before it moved",
                call.where if call is not None else None,
            )
            return


def _early(base: torch.Tensor, other: torch.Tensor, length: int, samples: int, moment: int) -> int | None:
    """How many moments before this one moved; None if the output has no axis of time."""
    moved = _moves(base, other)
    axes = [axis for axis, size in enumerate(base.shape) if size == length]
    if axes:
        return int(moved.movedim(axes[0], 0).reshape(length, -1).any(1)[:moment].sum())
    if base.shape[0] == samples * length:
        rows = moved.reshape(len(moved), -1).any(1)
        sides = (rows.view(samples, length).any(0), rows.view(length, samples).any(1))
        return min(int(side[:moment].sum()) for side in sides)
    return None


def _shows_early(one: torch.Tensor, two: torch.Tensor, length: int, moment: int) -> bool:
    axes = [axis for axis, size in enumerate(one.shape) if size == length]
    return len(axes) == 1 and bool(_moves(one, two).movedim(axes[0], 0)[:moment].any())
