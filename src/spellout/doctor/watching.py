"""A live loop is watched through hooks only: nothing is run and nothing is undone.

with watch(model, optimizer) as seen:
    train_for_a_while()
print(seen.report)
"""

from __future__ import annotations

from typing import Any

from torch import nn

from .case import Case
from .checks.catalog import look_at
from .patient import Patient
from .recording import Recording
from .report import Report


class watch:
    """Watches the first optimizer steps of the block; `report` says what was seen.

    It sees stale gradients, the order of the step, modes, parameters that no gradient reached or no optimizer has,
    and gradients that are not finite. It costs a little on every gradient and stops after `steps` optimizer steps.
    """

    def __init__(self, model: nn.Module, optimizer: Any = None, *, steps: int = 20) -> None:
        self._patient = one = Patient(Case(model=model, optimizer=optimizer))
        self._recording = one.recording = Recording(one.model, one.optimizers, one.schedulers, limit=steps)

    def __enter__(self) -> watch:
        self._recording.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._recording.__exit__()

    @property
    def report(self) -> Report:
        """What was seen so far."""
        recording, patient = self._recording, self._patient
        recording.calls = max(2, len(recording.forwards))
        patient.findings, patient.missing = [], ["the model's outputs, the loss and the data: use examine"]
        if not recording.steps:
            patient.missing.append("the optimizer's steps: there was none")
        look_at(patient)
        return Report.of(patient.findings, patient.missing, {"optimizer steps": len(recording.steps)})
