"""An evaluation that trains (family 28)."""

from __future__ import annotations

from collections.abc import Iterator

from ...patient import Patient
from ...report import Finding, Page

TRAINS = Page(
    id="evaluation-trains",
    number=28,
    title="the evaluation trains the model",
    why="The model learns from the data that it is measured on, and the measure is worth nothing.",
    evidence="An optimizer stepped inside the user's evaluation.",
    legitimate="Methods that adapt to every test sample, and undo it.",
    cure="No `backward()` and no `step()` in the evaluation; `with torch.no_grad():` around it.",
)
PAGES = (TRAINS,)


def check(patient: Patient) -> Iterator[Finding]:
    """Steps of the model's optimizers in the phase of the evaluation."""
    steps = [step for step in patient.recording.steps if step.phase == "evaluate"]
    moved = [step for step in steps if step.movement is None or step.movement.update]
    if moved:
        yield TRAINS.found(f"{len(moved)} optimizer steps inside the evaluation", moved[0].where)
