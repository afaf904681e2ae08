"""What a tape shows is said once: of the user's own steps if they show it, else of the doctor's pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch

from ...patient import Patient
from ...report import Finding
from ...tape import Tape


def once(patient: Patient, look: Callable[[Tape], Iterable[Finding]]) -> Iterator[Finding]:
    """Every kind of finding from the first tape that has it, the user's steps first: they name the user's line."""
    for tape in reversed(patient.tapes):
        found: dict[str, Finding] = {}
        for finding in look(tape):
            found.setdefault(finding.id, finding)
        if found:
            yield from found.values()
            return


def losses(patient: Patient) -> Iterator[tuple[Tape, torch.Tensor]]:
    """What was differentiated, with its tape: in the user's first steps, and in the doctor's pass."""
    recorded = patient.recording.tape
    for call in patient.recording.calls_of("backward")[:3]:
        if recorded is not None and call.inputs:
            yield recorded, call.inputs[0]
    if patient.runs and patient.training.loss is not None:
        yield patient.training.tape, patient.training.loss
