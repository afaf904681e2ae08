"""All checks stand in one tuple, which their pages are read from, and which every patient goes through.

A new check is a file with its `PAGES` and `check`, and one line in the tuple, which says what it needs. Exact
checks come first: where one of them finds an error, the symptoms that it may cause are not measured at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Protocol

from ..case import UsersError
from ..patient import Patient
from ..report import Finding, Page
from . import data, failures
from .losses import first_loss, learning_rate, nonfinite, overfit
from .steps import modes, parameters, reproducible, stepping
from .units import activations, normalization, twins, units
from .wiring import broadcasting, dependence, reshapes


class Check(Protocol):
    """A file that looks for some kinds of mistakes."""

    __name__: str

    @property  # a file's own tuple has a length of its own, so its type fits only where it is read
    def PAGES(self) -> tuple[Page, ...]:
        """What its findings are instances of."""

    def check(self, patient: Patient) -> Iterator[Finding]:
        """What is wrong with a patient."""


def _always(patient: Patient) -> bool:
    return True


def _runs(patient: Patient) -> bool:
    return patient.runs


def _runs_or_is_live(patient: Patient) -> bool:
    return patient.runs or patient.live


def _has_no_error(patient: Patient) -> bool:
    return patient.runs and not patient.errors


def _has_no_other_error(patient: Patient) -> bool:
    """An output that ignores the input may do so because all units are dead."""
    return patient.runs and patient.errors <= {dependence.IGNORES.id}


class Evidence(Enum):
    """Where a check finds what it speaks of."""

    RUN = auto()
    """The doctor runs the model: best before its training has begun."""
    STEPS = auto()
    """The user's own steps and evaluation were recorded."""
    TAPES = auto()
    """Both: whatever calls were written down."""


CHECKS: tuple[tuple[Evidence, Callable[[Patient], bool], Check], ...] = (
    (Evidence.RUN, _runs_or_is_live, nonfinite),
    (Evidence.RUN, _runs, data),
    (Evidence.TAPES, _always, activations),
    (Evidence.RUN, _runs, dependence),
    (Evidence.TAPES, _always, broadcasting),
    (Evidence.RUN, _runs, normalization),
    (Evidence.RUN, _runs, twins),
    (Evidence.RUN, _runs, reshapes),
    (Evidence.TAPES, _always, failures),
    (Evidence.STEPS, _always, stepping),
    (Evidence.STEPS, _always, modes),
    (Evidence.RUN, _runs, reproducible),
    (Evidence.STEPS, _runs_or_is_live, parameters),
    (Evidence.RUN, _has_no_error, first_loss),
    (Evidence.RUN, _has_no_other_error, units),
    (Evidence.RUN, _has_no_error, learning_rate),
    (Evidence.RUN, _has_no_error, overfit),
)
"""What a check needs, which patients are asked, and the check."""
BEFORE = frozenset((Evidence.RUN, Evidence.TAPES))
"""What is asked before a script's first step, when nothing is recorded yet."""
AFTER = frozenset((Evidence.STEPS, Evidence.TAPES))
"""What is asked once its steps are recorded."""
_PAGES = (page for _, _, check in CHECKS for page in check.PAGES)
PAGES: dict[str, Page] = {
    page.id: page for page in sorted(_PAGES, key=lambda page: (page.number, not page.symptom))
}


def look_at(
    patient: Patient, ignore: frozenset[str] = frozenset(), evidence: frozenset[Evidence] = frozenset(Evidence)
) -> None:
    """Put a patient through all checks of some evidence: findings, and what the user's code did not let one see."""
    for needed, fits, check in CHECKS:
        if needed not in evidence or not fits(patient):
            continue
        try:
            for finding in check.check(patient):
                if finding.id not in ignore:
                    patient.findings.append(finding)
        except UsersError as error:
            name = check.__name__.rpartition(".")[2]
            patient.missing.append(f"{name}: it failed on this program ({error})")
