"""BatchNorm is given one sample at a time (family 27)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ...patient import Patient
from ...report import Finding, Page

ALONE = Page(
    id="batchnorm-one-sample",
    number=27,
    severity="warning",
    title="BatchNorm sees one sample at a time",
    why="It normalises every sample by itself in training, and by the mean of all in eval mode: "
    "the evaluated model is another one than the trained.",
    evidence="The shapes that reached BatchNorm in train mode, in every step that was seen.",
    legitimate="Nets that use it for instance normalisation on purpose, and stay in train mode (pix2pix).",
    cure="Larger batches, or GroupNorm, InstanceNorm or LayerNorm.",
)
PAGES = (ALONE,)


def check(patient: Patient) -> Iterator[Finding]:
    """Every call of a BatchNorm in train mode."""
    tape = patient.recording.tape
    if tape is None or not patient.recording.measured:
        return
    calls = [
        call for call in tape.calls
        if call.name == "batch_norm" and isinstance(call.module, nn.modules.batchnorm._BatchNorm)
        and call.argument(5, "training", False)
    ]  # fmt: skip
    given = [call.argument(0, "input") for call in calls]
    if len(calls) > 1 and all(isinstance(one, torch.Tensor) and one.ndim > 2 and len(one) == 1 for one in given):
        shape = tuple(given[0].shape)
        yield ALONE.found(f"{len(calls)} calls with one sample each, the first of shape {shape}", calls[0].where)
