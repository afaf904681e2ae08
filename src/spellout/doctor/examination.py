"""The examination: run the program in every way the checks need, undo everything, and write the report.

Exact checks come first. Where one of them finds an error, the symptoms that it may cause are not measured at all.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import ExaminationError, UnhealthyError
from .checks import data, failures
from .checks.catalog import PAGES
from .checks.losses import first_loss, learning_rate, nonfinite, overfit
from .checks.steps import modes, parameters, reproducible, stepping
from .checks.units import activations, normalization, units
from .checks.wiring import broadcasting, dependence, reshapes
from .patient import Case, Patient
from .recording import Recording, counts_of
from .report import Finding, Report
from .snapshot import borrowed, companions
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
    ignore: Sequence[str] = (),
) -> Report:
    """Examine a training program and leave it bit for bit as it was.

    `model(x)` gives the output, `loss(output, y)` one number, `batch` is `(x, y)` or one of the forms in
    `batch.py`; `step()` is the user's own training step with the user's own data, `evaluate()` the user's own
    evaluation. Instead of all these a `Case`, or a dictionary with its fields, may be given. `causal=True` asks
    whether outputs look ahead in time; `batch_axis` says which axis of the inputs counts samples, if it is not 0;
    `ignore` holds ids.

    Raises `ExaminationError` for what cannot be examined, `ValueError` for an unknown id in `ignore`.
    """
    unknown = [name for name in ignore if name not in PAGES]
    if unknown:
        raise ValueError(f"there is no check {unknown[0]!r}; `spellout doctor --explain all` lists them")
    case = _case(
        model, loss=loss, batch=batch, optimizer=optimizer, step=step, evaluate=evaluate, held_out=held_out,
        causal=causal, batch_axis=batch_axis, overfit_seconds=overfit_seconds,
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if "torch._dynamo" in sys.modules:  # compiled models are examined as they were written
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        schedulers = companions(_optimizers_of(case)) if case.step is not None else []
        stack.enter_context(
            borrowed(case.model, case.loss, case.optimizer, case.step, case.evaluate, case.batch, schedulers)
        )
        stack.enter_context(torch.autograd.set_detect_anomaly(False))
        return _examine(Patient(case), schedulers, frozenset(ignore))


def assert_healthy(*arguments: Any, allow_warnings: bool = False, **options: Any) -> Report:
    """For tests: `examine`, and an `UnhealthyError` (an AssertionError) with the report on any error or warning."""
    report = examine(*arguments, **options)
    if report.errors or (report.warnings and not allow_warnings):
        raise UnhealthyError(str(report))
    return report


def _case(model: Any, **options: Any) -> Case:
    if isinstance(model, Case):
        return model
    if isinstance(model, dict):
        unknown = sorted(set(model) - set(Case.__dataclass_fields__))
        if unknown or "model" not in model:
            allowed = ", ".join(Case.__dataclass_fields__)
            found = f"has no use for {unknown[0]!r}" if unknown else "has no 'model'"
            raise ExaminationError(f"the case {found}; its keys may be {allowed}")
        return Case(**model)
    return Case(model=model, **options)


def _optimizers_of(case: Case) -> list[Any]:
    given = case.optimizer
    if isinstance(given, dict):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]


def _examine(patient: Patient, schedulers: list[Any], ignore: frozenset[str]) -> Report:
    case = patient.case
    findings: list[Finding] = []
    missing: list[str] = []

    def add(found: Iterable[Finding]) -> None:
        try:
            findings.extend(finding for finding in found if finding.id not in ignore)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # one check that meets what it was not made for must not cost the others
            code = getattr(found, "gi_code", None)
            name = Path(code.co_filename).stem if code is not None else "a check"
            missing.append(
                f"{name}: it failed on this program ({type(error).__name__}: {str(error).splitlines()[0]})"
            )

    if case.batch is None and case.step is None:
        raise ExaminationError("there is nothing to run: give a batch and a loss, or a step, or both")
    runs = case.batch is not None
    if runs:
        patient.build()
        add(failures.check(patient))
        runs = patient.training.error is None
        if runs:
            for check in EXACT:
                add(check(patient))
            add(reshapes.check(patient, findings))
            if patient.relabelled is None:
                missing.append(
                    "what samples and moments do to each other: the model takes only a batch of this size"
                )
    else:
        missing.append("the model and its loss by themselves: give a batch")
    recording = None
    if case.step is not None and (runs or case.batch is None):
        recording, error, counts = record(patient, schedulers)
        add(_of_recording(patient, recording, error, counts, runs))
        add(reproducible.check(patient, recording) if error is None else ())
    elif case.step is None:
        missing.append("zero_grad, the order of the step, train and eval mode: give step=")
    if case.evaluate is None:
        missing.append("the mode of the evaluation: give evaluate=")
    if runs:
        add(parameters.check(patient, recording))
        errors = {finding.id for finding in findings if finding.severity == "error"}
        if errors == {dependence.IGNORES.id}:
            add(units.check(patient))  # are all units dead?
        elif not errors:
            scheduled = bool(schedulers or (case.step is None and companions(patient.optimizers)))
            add(first_loss.check(patient))
            add(units.check(patient))
            add(learning_rate.check(patient, scheduled))
            if not any(finding.severity == "warning" and not finding.page.symptom for finding in findings):
                add(overfit.check(patient))
    return Report.of(findings, missing, patient.facts)


def _of_recording(
    patient: Patient, recording: Recording, error: Exception | None, counts: list[int], runs: bool
) -> Iterator[Finding]:
    if error is not None:
        yield from failures.explain(patient, error, recording.phase, None)
    yield from stepping.check(recording, counts)
    if runs:
        yield from modes.check_modes(patient, recording)
    if recording.tape is not None:
        yield from activations.check_tape(recording.tape)
        yield from broadcasting.check_tape(recording.tape)


EXACT: list[Callable[[Patient], Iterator[Finding]]] = [
    nonfinite.check,
    data.check,
    modes.check_random,
    activations.check,
    dependence.check,
    broadcasting.check,
    normalization.check,
    units.check_exact,
]


def record(patient: Patient, schedulers: list[Any]) -> tuple[Recording, Exception | None, list[int]]:
    """Call the user's step (and evaluation) until every optimizer has stepped three times."""
    case = patient.case
    counts = counts_of(schedulers)
    recording = Recording(patient.model, patient.optimizers, schedulers)
    recording.tape = Tape(limit=50_000)
    error: Exception | None = None
    needed = 2 if case.batch is not None and patient.heavy else 3
    with borrowed(*patient.roots, schedulers), recording:
        try:
            with recording.tape:
                while recording.calls < _CALLS and not _enough(recording, needed):
                    recording.phase = "step"
                    recording.calls += 1
                    case.step()  # type: ignore[misc]
                    if recording.calls == 1:
                        recording.after_first = {name: p.detach().clone() for name, p in patient.parameters()}
                    if recording.calls == needed - 1:
                        _evaluate(recording, case.evaluate)
        except Exception as raised:
            error = raised
    return recording, error, counts


def _evaluate(recording: Recording, evaluate: Callable[[], Any] | None) -> None:
    if evaluate is not None:
        recording.phase = "evaluate"
        evaluate()


def _enough(recording: Recording, needed: int) -> bool:
    """Three steps of every optimizer show all orders; two, where a pass is dear, all but a closure's."""
    known = recording.optimizers
    seen = bool(known) and all(len(recording.steps_of(one)) >= needed for one in known)
    return seen and recording.calls >= needed + (recording.phase == "evaluate")
