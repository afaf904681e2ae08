"""A recurrence through which no gradient flows (family 29)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, words

CUT = Page(
    id="state-detached-in-time",
    number=29,
    severity="warning",
    title="the state is detached at every moment",
    why="No gradient flows through time: what the first moments would have to remember is never learned.",
    evidence="The same weights are used again and again; every use depends on the one before it, "
    "and only through a tensor that was detached.",
    legitimate="Refinements that are meant to learn one round at a time.",
    cure="Detach the state once, before the loop over moments (between chunks), not inside it.",
)
PAGES = (CUT,)
_CUTS = words("detach data")


def check(patient: Patient) -> Iterator[Finding]:
    """The pass that training starts with, or else the user's steps, where the loop may stand outside the model."""
    found = (
        _unrolled([call for call in patient.training.tape.calls if call.phase == "model"]) if patient.runs else None
    )
    recording = patient.recording
    if found is None and recording.tape is not None and recording.steps:
        found = _unrolled(recording.tape.calls[: recording.steps[0].tick])
    if found is not None:
        cut, times = found
        yield CUT.found(f"`{cut.name}` between each two of {times} moments", cut.where)


def _unrolled(calls: list[Call]) -> tuple[Call, int] | None:
    """The call that detaches and how many moments there are, if no weights learn from one moment to the next."""
    uses: dict[int, list[int]] = defaultdict(list)
    for place, call in enumerate(calls):
        for weight in dict.fromkeys(id(one) for one in call.inputs if isinstance(one, torch.nn.Parameter)):
            uses[weight].append(place)
    found: tuple[Call, int] | None = None
    for again in uses.values():
        if len(again) < 3:
            continue
        flows = [_flow(calls, one, other) for one, other in pairwise(again[:50])]
        if True in flows:
            return None  # a part of the state does remember
        cuts = [one for one in flows if isinstance(one, Call)]
        if len(cuts) == len(flows):
            found = found or (cuts[0], len(again))
    return found


def _flow(calls: list[Call], first: int, second: int) -> Call | bool:
    """How the second use depends on the first: with its gradient, only through a call that detaches, or not."""
    flows = {id(one) for one in calls[first].outputs if one.requires_grad}
    behind: dict[int, Call] = {}
    for call in calls[first + 1 : second]:
        arrived = [id(one) for one in call.inputs]
        learns = any(one in flows for one in arrived)
        if call.name in _CUTS and learns:
            behind.update((id(one), call) for one in call.outputs)
            continue
        cut = next((behind[one] for one in arrived if one in behind), None)
        flows.update(id(one) for one in call.outputs if learns and one.requires_grad)
        behind.update((id(one), cut) for one in call.outputs if cut is not None and id(one) not in flows)
    given = [id(one) for one in calls[second].inputs]
    return any(one in flows for one in given) or next((behind[one] for one in given if one in behind), False)
