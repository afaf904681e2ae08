"""A watch sees a live loop while its block runs; what trains in it is found, or named.

A cell of a notebook that begins with `%%doctor` is watched, once `%load_ext spellout.doctor` was run.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ..case import Case
from ..checks.catalog import look_at
from ..patient import Patient
from ..recording import Recording
from ..report.report import Report
from .session import Session


class watch:
    """Watches the first optimizer steps of the block; `report` says what was seen.

    with watch() as seen:
        train_for_a_while()
    print(seen.report)

    What is trained in the block is found, examined before its first step as `examine` does, and watched for `steps`
    optimizer steps and an evaluation, waited for up to `seconds` after them; then everything is taken off.
    `watch(model, optimizer)` runs nothing itself: it sees stale gradients, the order of the step, modes, parameters
    that no gradient reached or no optimizer has, and gradients that are not finite.
    """

    def __init__(
        self, model: nn.Module | None = None, optimizer: Any = None, *, steps: int = 20, seconds: float = 60.0
    ) -> None:
        self._watching: Session | _Loop
        if model is None:
            self._watching = Session(steps=steps, seconds=seconds)
        else:
            self._watching = _Loop(model, optimizer, steps)

    def __enter__(self) -> watch:
        self._watching.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._watching.__exit__(*raised)

    @property
    def report(self) -> Report:
        """What was seen so far; without a model it is complete at the end of the block."""
        return self._watching.report or Report(
            not_examined=("what trains in the block: it has not ended",), examined=False
        )


class _Loop:
    """The live loop of a model that was named."""

    def __init__(self, model: nn.Module, optimizer: Any, steps: int) -> None:
        self._patient = one = Patient(Case(model=model, optimizer=optimizer))
        one.recording = Recording(one.model, one.optimizers, one.schedulers, limit=steps)

    def __enter__(self) -> _Loop:
        self._patient.recording.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._patient.recording.__exit__()

    @property
    def report(self) -> Report:
        """What was seen so far."""
        patient, recording = self._patient, self._patient.recording
        # A call of the model is as near as a live loop comes to a call of its step, and one alone shows no order.
        recording.calls = max(2, len(recording.forwards))
        patient.findings, patient.missing = [], ["the model's outputs, the loss and the data: use examine"]
        if not recording.steps:
            patient.missing.append("the optimizer's steps: there was none")
        look_at(patient)
        return Report.of(patient.findings, patient.missing, {"optimizer steps": len(recording.steps)})


def load_ipython_extension(shell: Any) -> None:
    """Give IPython the cell magic `%%doctor`: the cell is run as it is, and the report is its result."""

    def doctor(line: str, cell: str) -> Report | None:
        with Session() as session:
            shell.run_cell(cell)
        return session.report

    shell.register_magic_function(doctor, "cell", "doctor")
