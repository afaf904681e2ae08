"""Do parameters move where a gradient arrives and the optimizer steps (family 21)?"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ... import walk
from ...patient import Patient
from ...report import Finding, Page
from .gradients import some

STILL = Page(
    id="parameter-never-moves",
    number=21,
    severity="warning",
    title="parameters have gradients, and the step does not move them",
    why="Something puts them back, or the update is lost in rounding.",
    evidence="The values before and after the user's step are equal to the last bit; others moved.",
    legitimate="Parts that are put back on purpose.",
    cure="Keep weights in float32 (bfloat16 loses small updates); look for what writes over them after the step.",
)
PAGES = (STILL,)


def check(patient: Patient) -> Iterator[Finding]:
    """The parameters before and after the first call of the user's step, or a script's first two."""
    recording, after = patient.recording, patient.recording.after_first
    if not after or recording.error is not None or not patient.runs:
        return
    for optimizer in recording.optimizers:
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        mine = {name: p for name, p in patient.trained.items() if id(p) in rates and name in after}
        stays = {name for name, p in mine.items() if torch.equal(after[name], recording.first.get(name, p))}
        if not stays or len(stays) == len(mine) or len(walk.listed_in(optimizer)) != len(rates):
            continue
        # In a step of the user's own a gradient may be zero that is not so in a pass of the doctor's.
        first = next((step for step in recording.steps if step.optimizer is optimizer), None)
        driven = first.driven if first is not None else set()
        gradients = patient.training.gradients
        held = []
        for name in mine:
            grad = gradients.get(name)
            felt = grad is not None and float(grad.abs().max()) > 1e-7
            if name in stays and felt and id(mine[name]) in driven and rates[id(mine[name])] > 0:
                held.append(name)
        yield from some(STILL, patient, held)
