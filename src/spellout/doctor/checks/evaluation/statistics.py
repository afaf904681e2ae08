"""BatchNorm's running statistics, which only the evaluation uses (family 28)."""

from __future__ import annotations

from collections import Counter
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
FROZEN = Page(
    id="frozen-statistics-move",
    number=28,
    severity="warning",
    title="a frozen BatchNorm's running statistics move",
    why="`requires_grad = False` holds the weights only: in train mode it normalises with each batch, and what was "
    "trained before is evaluated with other statistics than those that it was trained with.",
    evidence="In train mode: gain and bias are frozen and were trained before (they are not 1 and 0), "
    "and nothing that learns comes before it.",
    legitimate="Statistics that are estimated anew for other data, on purpose; teachers that are averages.",
    cure="Call `backbone.eval()` after every `model.train()`.",
)
PAGES = (STILL, JUMPING, FROZEN)


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
    if not _is_a_copy(patient):
        learning = {id(one.parameter) for one in patient.recording.accounts.values() if one.reached}
        frozen = [call for call in calls if _is_frozen(call, learning)]
        if frozen:
            count = len({id(call.argument(1, "running_mean")) for call in frozen})
            yield FROZEN.found(f"{count} layers, whose gains and biases are frozen, in train mode", frozen[0].where)


def _is_frozen(call: Call, learning: set[int]) -> bool:
    """Do its weights stay as they were trained, and does it get the same features at every step?"""
    gain, bias, given = call.argument(3, "weight"), call.argument(4, "bias"), call.argument(0, "input")
    if not isinstance(gain, torch.Tensor) or not isinstance(bias, torch.Tensor) or given.requires_grad:
        return False
    still = not any(one.requires_grad or id(one) in learning for one in (gain, bias))
    return still and call.argument(6, "momentum", 0.1) != 0 and bool((gain != 1).any() and (bias != 0).any())


def _is_a_copy(patient: Patient) -> bool:
    """Is all that is frozen shaped like what is trained, as an average of it or a target is?"""
    trained = Counter(tuple(p.shape) for p in patient.trained.values())
    frozen = Counter(tuple(p.shape) for _, p in patient.parameters() if not p.requires_grad)
    return not frozen - trained


def _trains(call: Call) -> bool:
    return bool(call.argument(5, "training", False)) and isinstance(call.argument(1, "running_mean"), torch.Tensor)


def _untouched(call: Call) -> bool:
    mean = call.argument(1, "running_mean")
    return not bool(mean.any())
