"""A copy that follows the model's weights has running statistics too (family 28)."""

from __future__ import annotations

from collections.abc import Iterator

from ...patient import Patient
from ...report import Finding, Page

STALE = Page(
    id="copy-without-statistics",
    number=28,
    title="a copy of the model follows its weights, and not BatchNorm's running statistics",
    why="In eval mode the copy normalises with mean 0 and variance 1, whatever the data are: "
    "good weights give bad answers.",
    evidence="The copy's weights were written with the model's, it was run in eval mode, its running means are all "
    "0 and its variances 1, and the model's have moved.",
    cure="Copy the buffers as well (`copy.load_state_dict(…)`, `AveragedModel(model, use_buffers=True)`), "
    "or call `update_bn` before it is evaluated.",
)
PAGES = (STALE,)


def check(patient: Patient) -> Iterator[Finding]:
    """What was seen of copies as the recording ended."""
    stale = patient.recording.ending.stale if patient.recording.ending is not None else ()
    if stale:
        yield STALE.found(f"{len(stale)} layers, as the copy of `{stale[0].name}`", stale[0].call.where)
