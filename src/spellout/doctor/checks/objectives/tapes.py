"""What a tape shows is said once: of the user's own steps if they show it, else of the doctor's pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
