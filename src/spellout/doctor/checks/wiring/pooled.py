"""The axis of the samples is pooled away where batch and moments are equally many, so that no shape protests.

With as many moments as samples, `.mean(0)` of (B, T, d) leaves T rows that pass for B. In other sizes they do not.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...batch import Relabelled
from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, words
from .dependence import MIXES

PAGES: tuple[Page, ...] = ()
"""What it finds is told under the page of the matrix over samples."""


_PICKS = words("getitem index_select narrow split chunk stack")


def check(patient: Patient) -> Iterator[Finding]:
    """In the batch in other sizes, in which the samples' axis is gone and that of the moments stands first."""
    x, y, output = patient.batch.inputs[:1], patient.batch.targets, patient.training.main
    if not x or y is None or not y.ndim or not output.ndim or not _as_many_moments(patient, x[0].shape):
        return
    if not len(output) == len(x[0]) == len(y) or patient.relabelled is None:
        return
    axes, base = patient.relabelled
    moments = axes.batch.inputs[0].shape[1]
    if axes.time_axis != 1 or base.error is not None or axes.samples == moments:
        return
    shape = tuple(base.main.shape)
    if shape[0] == moments and not any(size % axes.samples == 0 for size in shape):
        guilty = _where_samples_end(axes, base)
        at = f" at `{guilty.name}`" if guilty is not None else ""
        size = tuple(axes.batch.inputs[0].shape)
        yield MIXES.found(
            f"inputs of shape {size} give outputs of shape {shape}: one a moment, of all samples together{at}",
            guilty.where if guilty is not None else None,
            "warning" if patient.case.batch_axis is None else "error",  # time may have been meant to come first
        )


def _as_many_moments(patient: Patient, shape: tuple[int, ...]) -> bool:
    if patient.recording.scripted and patient.recording.source is None and not _was_picked(patient):
        return False  # nobody has said which of the two axes counts the samples, or has put samples together
    floating = patient.batch.inputs[0].is_floating_point()
    return patient.batch_axis == 0 and len(shape) > 1 + floating and shape[0] == shape[1]


def _was_picked(patient: Patient) -> bool:
    """Has a script taken the rows of its batch from more of them?"""
    tape, x = patient.recording.tape, patient.batch.inputs[0]
    calls = tape.calls if tape is not None else []
    picks = [
        call for call in calls if call.name in ("getitem", "index_select", "narrow", "split", "chunk", "stack")
    ]
    return any(one.shape == x.shape and torch.equal(one, x) for call in picks for one in call.outputs)


def _where_samples_end(axes: Relabelled, base: Trial) -> Call | None:
    """The first call that is given an axis of the samples and returns none."""

    def carries(tensors: list[torch.Tensor]) -> bool:
        return any(size % axes.samples == 0 for one in tensors for size in one.shape)

    for call in base.tape.calls:
        grown = [one for one in call.inputs if id(one) in base.dependent]
        if call.outputs and carries(grown) and not carries(call.outputs):
            return call
    return None
