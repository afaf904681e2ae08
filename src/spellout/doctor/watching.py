"""Watch a live loop: hooks only, nothing is run and nothing is undone.

with watch(model, optimizer) as seen:
    train_for_a_while()
print(seen.report)
"""

from __future__ import annotations

from typing import Any

from torch import nn

from .checks.losses import nonfinite
from .checks.steps import modes, parameters, stepping
from .patient import Case, Patient
from .recording import Recording, counts_of
from .report import Report
from .snapshot import companions


class watch:
    """Watches the first optimizer steps of the block; `report` says what was seen.

    It sees stale gradients, the order of the step, modes, parameters that no gradient reached or no optimizer has,
    and gradients that are not finite. It costs a little on every gradient and stops after `steps` optimizer steps.
    """

    def __init__(self, model: nn.Module, optimizer: Any = None, *, steps: int = 20) -> None:
        self._patient = Patient(Case(model=model, optimizer=optimizer))
        schedulers = companions(self._patient.optimizers)
        self._counts = counts_of(schedulers)
        self._recording = Recording(self._patient.model, self._patient.optimizers, schedulers, limit=steps)

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
        findings = [*stepping.check(recording, self._counts), *modes.check_modes(patient, recording)]
        if recording.arrivals and recording.steps:
            findings += parameters.check_seen(patient, recording)
        broken = [account.name for account in recording.accounts.values() if account.broken]
        if broken:
            findings.append(
                nonfinite.BACKWARD.found(f"gradients of {len(broken)} parameters are not finite: {broken[0]}")
            )
        missing = ["the model's outputs, the loss and the data: use examine"]
        if not recording.steps:
            missing.append("the optimizer's steps: there was none")
        return Report.of(findings, missing, {"optimizer steps": len(recording.steps)})
