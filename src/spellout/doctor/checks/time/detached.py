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
    """The pass that training starts with."""
    calls = [call for call in patient.training.tape.calls if call.phase == "model"]
    uses: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        for weight in dict.fromkeys(id(one) for one in call.inputs if isinstance(one, torch.nn.Parameter)):
            uses[weight].append(call)
    told: set[str | None] = set()
    for again in uses.values():
        if len(again) < 3:
            continue
        cuts = [_cut(calls, one, other) for one, other in pairwise(again)]
        if all(cut is not None for cut in cuts) and cuts[0] is not None and cuts[0].where not in told:
            told.add(cuts[0].where)
            yield CUT.found(f"`{cuts[0].name}` between each two of {len(again)} moments", cuts[0].where)


def _cut(calls: list[Call], first: Call, second: Call) -> Call | None:
    """The call that detaches, if the second use depends on the first through it and in no other way."""
    flows = {id(one) for one in first.outputs if one.requires_grad}
    behind: dict[int, Call] = {}
    for call in calls[first.index + 1 : second.index + 1]:
        arrived = [id(one) for one in call.inputs]
        if call is second:
            break
        if call.name in _CUTS and any(one in flows for one in arrived):
            behind.update((id(one), call) for one in call.outputs)
            continue
        cut = next((behind[one] for one in arrived if one in behind), None)
        learns = any(one in flows for one in arrived)
        flows.update(id(one) for one in call.outputs if learns and one.requires_grad)
        behind.update((id(one), cut) for one in call.outputs if cut is not None and id(one) not in flows)
    given = [id(one) for one in second.inputs]
    if any(one in flows for one in given):
        return None
    return next((behind[one] for one in given if one in behind), None)
