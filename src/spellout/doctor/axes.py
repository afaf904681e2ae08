"""Axes told apart by size: the batch and the time axis are given prime lengths that nothing else in the model has.

After that, "which axis is this?" is read off the shapes on the tape: an axis whose length that prime divides
carries the batch. The trial runs in eval mode, in float64, with noise on the parameters, so that a zero is a
structural zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .batch import Batch
from .patient import Patient, Trial

_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31)


@dataclass(frozen=True)
class Relabelled:
    """A batch of `samples` samples and `time` steps (None: the time axis could not be changed), and its trial."""

    batch: Batch
    samples: int
    time: int | None
    batch_axis: int
    time_axis: int
    trial: Trial


def relabel(patient: Patient) -> Relabelled | None:
    """The first choice of sizes that the model accepts; None if it accepts only its own batch size."""
    batch, axis = patient.batch, patient.batch_axis
    size = batch.size(axis)
    if size < 2 or not batch.inputs:
        return None
    primes = _unused(patient, axis)
    others = [length for place, length in enumerate(batch.inputs[0].shape) if place != axis]
    samples = next((prime for prime in primes if all(length % prime for length in others)), None)
    if samples is None:
        return None
    resized = batch.taken(torch.arange(samples) % size, axis)
    for time_axis in _time_axes(patient, axis):
        length = batch.inputs[0].shape[time_axis]
        known = patient.shifted_axis == time_axis
        lengths = [prime for prime in reversed(primes) if prime <= length and prime != samples]
        if patient.heavy:  # as short as may be, and if that is refused, as long as may be
            lengths = [*[time for time in lengths if 2 * time > length][-1:], *lengths[:1]]
        for time in dict.fromkeys(lengths[:2]):
            cut = resized.cut(time_axis, time, length)
            trial = _tried(patient, cut)
            if trial is not None:
                return Relabelled(cut, samples, time, axis, time_axis, trial)
        if known:
            trial = _tried(patient, resized)
            return None if trial is None else Relabelled(resized, samples, length, axis, time_axis, trial)
    trial = _tried(patient, resized)
    return None if trial is None else Relabelled(resized, samples, None, axis, 1 - axis if axis < 2 else 1, trial)


def _tried(patient: Patient, batch: Batch) -> Trial | None:
    with_loss = patient.exact(batch, loss=patient.case.loss is not None)
    if with_loss.error is None:
        return with_loss
    without = patient.exact(batch)
    return without if without.error is None else None


def _time_axes(patient: Patient, batch_axis: int) -> list[int]:
    x = patient.batch.inputs[0]
    if x.ndim == 2 and x.is_floating_point():
        return []  # features, not time
    return [axis for axis in (1 - batch_axis, 2) if 0 <= axis < x.ndim and x.shape[axis] > 2 and axis != batch_axis]


def _unused(patient: Patient, batch_axis: int) -> list[int]:
    """Primes that divide no size of a parameter, nor of an input's other axes."""
    sizes = {size for _, parameter in patient.parameters() for size in parameter.shape}
    for tensor in patient.batch.inputs:
        sizes.update(size for axis, size in enumerate(tensor.shape) if axis != batch_axis)
    lengths = set(patient.batch.inputs[0].shape)
    return [prime for prime in _PRIMES if all(size % prime for size in sizes if size and size not in lengths)
            and all(size % prime or size == prime for size in lengths)]  # fmt: skip
