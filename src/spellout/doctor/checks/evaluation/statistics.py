"""BatchNorm's running statistics, which only the evaluation uses (family 28)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call

STILL = Page(
    id="running-statistics-never-move",
    number=28,
    title="BatchNorm's running statistics never move",
    why="In eval mode it normalises with mean 0 and variance 1, whatever the data are; "
    "the evaluated model is another one than the trained.",
    evidence="`momentum` is 0 in calls in train mode, and the running mean is 0 still.",
    legitimate="Statistics that were loaded and are kept; then they are not zero.",
    cure="Leave `momentum=0.1`: it is the weight of the new batch.",
)
JUMPING = Page(
    id="running-statistics-of-last-batch",
    number=28,
    severity="note",
    title="BatchNorm's running statistics follow the last batch",
    why="torch's `momentum` is the weight of the new batch, not of the old mean: "
    "0.99 from another library means 0.01 here.",
    evidence="`momentum` in calls in train mode.",
    legitimate="Large batches.",
    cure="Give 1 minus the other library's value; 0.1 is usual.",
)
PAGES = (STILL, JUMPING)


def check(patient: Patient) -> Iterator[Finding]:
    """Every call of `batch_norm` in train mode, of modules and by hand."""
    tapes = patient.tapes
    calls = [call for tape in tapes for call in tape.calls if call.name == "batch_norm" and _trains(call)]
    still = [call for call in calls if call.argument(6, "momentum", 0.1) == 0 and _untouched(call)]
    if still:
        yield STILL.found(f"momentum=0 in {len({id(call.module) for call in still})} layers", still[0].where)
    jumping = [call for call in calls if call.argument(6, "momentum", 0.1) >= 0.9]
    if jumping and all(getattr(call.module, "momentum", 0.0) is not None for call in jumping):
        yield JUMPING.found(f"momentum={jumping[0].argument(6, 'momentum'):g}", jumping[0].where)


def _trains(call: Call) -> bool:
    return bool(call.argument(5, "training", False)) and isinstance(call.argument(1, "running_mean"), torch.Tensor)


def _untouched(call: Call) -> bool:
    mean = call.argument(1, "running_mean")
    return not bool(mean.any())
