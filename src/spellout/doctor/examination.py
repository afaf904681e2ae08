"""An examination takes the user's own steps, puts the program through all checks, and undoes everything."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..errors import ExaminationError, UnhealthyError
from .case import Case, case_of
from .checks.catalog import PAGES, look_at
from .patient import Patient
from .recording import Recording
from .report import Report
from .sights.states import States
from .snapshot import borrowed
from .tape import Tape

_CALLS = 8
"""How often the user's step is called at most, waiting for three optimizer steps."""


def examine(
    model: nn.Module | Case | dict[str, Any],
    loss: Any = None,
    batch: Any = None,
    *,
    optimizer: Any = None,
    step: Callable[[], Any] | None = None,
    evaluate: Callable[[], Any] | None = None,
    held_out: Any = None,
    causal: bool | None = None,
    batch_axis: int | None = None,
    overfit_seconds: float = 4.0,
    thorough: bool = False,
    ignore: Sequence[str] = (),
) -> Report:
    """Examine a training program and leave it bit for bit as it was.

    `model(x)` gives the output, `loss(output, y)` one number, `batch` is `(x, y)` or one of the forms in
    `batch.py`; `step()` is the user's own training step with the user's own data, `evaluate()` the user's own
    evaluation. Instead of all these a `Case`, or a dictionary with its fields, may be given. `causal=True` asks
    whether outputs look ahead in time; `batch_axis` says which axis of the inputs counts samples, if it is not 0;
    `ignore` holds ids. A large model is asked only what about ten of its steps can tell, and the report says what
    was left out; `thorough=True` asks it everything, and also whether what should come to the same does: saved
    and loaded, in parts, in two processes, in bfloat16, compiled (see `docs/doctor.md`).

    Raises `ExaminationError` for what cannot be examined, `ValueError` for an unknown id in `ignore`.
    """
    unknown = [name for name in ignore if name not in PAGES]
    if unknown:
        raise ValueError(f"there is no check {unknown[0]!r}; `spellout doctor --explain all` lists them")
    case = case_of(
        model, loss=loss, batch=batch, optimizer=optimizer, step=step, evaluate=evaluate, held_out=held_out,
        causal=causal, batch_axis=batch_axis, overfit_seconds=overfit_seconds, thorough=thorough,
    )  # fmt: skip
    if hasattr(case.model, "_orig_mod"):
        case = replace(case, compiles=True)
    with undisturbed(case):
        patient = Patient(case)
        if case.batch is None and case.step is None:
            raise ExaminationError("there is nothing to run: give a batch and a loss, or a step, or both")
        if case.batch is None:
            patient.missing.append("the model and its loss by themselves: give a batch")
        else:
            patient.build()
        if case.step is not None and (case.batch is None or patient.runs):
            patient.recording = record(patient, case.step)
        look_at(patient, frozenset(ignore))
        return Report.of(patient.findings, patient.missing, patient.facts)


@contextmanager
def undisturbed(case: Case) -> Iterator[None]:
    """Everything of the case is put back at the end, and what an examination does is neither compiled nor told."""
    # Compiled models are examined as they were written; the compiler is not loaded only to be told so.
    compiles = "torch._dynamo" in sys.modules
    as_written = torch.compiler.set_stance("force_eager") if compiles else nullcontext()
    kept = borrowed(case.model, case.loss, case.optimizer, case.step, case.evaluate, case.batch)
    # The snapshot is taken before anomaly detection is switched off, so that it holds the user's setting.
    with warnings.catch_warnings(action="ignore"), as_written, kept, torch.autograd.set_detect_anomaly(False):
        yield


def assert_healthy(*arguments: Any, allow_warnings: bool = False, **options: Any) -> Report:
    """For tests: `examine`, and an `UnhealthyError` (an AssertionError) with the report on any error or warning."""
    report = examine(*arguments, **options)
    if report.errors or (report.warnings and not allow_warnings):
        raise UnhealthyError(str(report))
    return report


def record(patient: Patient, step: Callable[[], Any]) -> Recording:
    """Call the user's step (and evaluation) until every optimizer has stepped three times."""
    tape = Tape(limit=50_000)
    states = States(tape)
    recording = Recording(patient.model, patient.optimizers, patient.schedulers, tape=tape, states=states)
    # Three steps of every optimizer show all orders; two, where a pass is dear, all but a closure's.
    needed = 2 if patient.case.batch is not None and patient.heavy else 3
    with borrowed(*patient.roots, patient.schedulers), states, recording:
        try:
            with tape:
                while recording.calls < _CALLS and not recording.shows(needed):
                    recording.phase = "step"
                    recording.calls += 1
                    step()
                    if recording.calls == 1 and not patient.brief:
                        recording.after_first = {name: p.detach().clone() for name, p in patient.parameters()}
                    if recording.calls == needed - 1 and patient.case.evaluate is not None:
                        recording.phase = "evaluate"
                        recording.results.append(patient.case.evaluate())
        except Exception as raised:  # the user's step may raise anything
            recording.error = raised
    return recording
