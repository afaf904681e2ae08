"""All checks stand in one tuple, which their pages are read from, and which every patient goes through.

A new check is a file with its `PAGES` and `check`, and one line in the tuple. Exact checks come first: where one of
them finds an error, the symptoms that it may cause are not measured at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from ..case import UsersError
from ..patient import Patient
from ..report import Finding, Page
from . import data, failures
from .attention import blocks, cache, masks, places, positions, scores, targets
from .attention import weights as attention_weights
from .batches import apart, classes, repeated, single, workers
from .evaluation import decisions, inputs, rates, statistics
from .evaluation import training as evaluation_training
from .losses import first_loss, learning_rate, nonfinite, overfit
from .objectives import arguments, bootstrapped, custom_backward, labels, reductions, rewards, squashed, weights
from .padding import accumulated, counted, invariance, tables
from .steps import gradients, leaves, modes, parameters, reproducible, stepping, still
from .time import carried, detached, kept, state
from .units import activations, normalization, twins, units
from .updates import direction, scaling, schedules, sizes
from .wiring import broadcasting, dependence, reshapes, sharing, unshifted


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


CHECKS: tuple[tuple[Callable[[Patient], bool], Check], ...] = (
    (_runs_or_is_live, nonfinite),
    (_runs, data),
    (_always, activations),
    (_always, squashed),
    (_always, arguments),
    (_always, weights),
    (_always, bootstrapped),
    (_runs, rewards),
    (_runs, custom_backward),
    (_runs, dependence),
    (_runs, unshifted),
    (_always, broadcasting),
    (_runs, normalization),
    (_runs, twins),
    (_runs, reshapes),
    (_always, failures),
    (_always, stepping),
    (_always, modes),
    (_runs, reproducible),
    (_runs_or_is_live, gradients),
    (_runs_or_is_live, parameters),
    (_always, scaling),
    (_always, direction),
    (_always, schedules),
    (_always, sizes),
    (_always, apart),
    (_always, repeated),
    (_always, classes),
    (_always, single),
    (_always, workers),
    (_always, evaluation_training),
    (_always, decisions),
    (_always, rates),
    (_always, inputs),
    (_always, statistics),
    (_always, detached),
    (_always, carried),
    (_always, state),
    (_always, kept),
    (_always, leaves),
    (_runs, still),
    (_runs, sharing),
    (_runs, counted),
    (_runs, tables),
    (_runs, invariance),
    (_always, accumulated),
    (_runs, reductions),
    (_runs, scores),
    (_runs, masks),
    (_runs, targets),
    (_runs, positions),
    (_runs, places),
    (_runs, blocks),
    (_runs, attention_weights),
    (_runs, cache),
    (_runs, labels),
    (_has_no_error, first_loss),
    (_has_no_other_error, units),
    (_has_no_error, learning_rate),
    (_has_no_error, overfit),
)
"""Which patients are asked, and the check."""
SLOW = (learning_rate, overfit)
"""What takes many passes, and is left out where one is so much work already."""
_PAGES = (page for _, check in CHECKS for page in check.PAGES)
PAGES: dict[str, Page] = {
    page.id: page for page in sorted(_PAGES, key=lambda page: (page.number, not page.symptom))
}


def look_at(patient: Patient, ignore: frozenset[str] = frozenset()) -> None:
    """Put a patient through all checks: findings, and what the user's code did not let a check see."""
    for fits, check in CHECKS:
        if not fits(patient):
            continue
        if check in SLOW and patient.brief:
            name = check.__name__.rpartition(".")[2].replace("_", " ")
            patient.missing.append(f"{name}: the model is large; thorough=True asks it")
            continue
        try:
            for finding in check.check(patient):
                if finding.id not in ignore:
                    patient.findings.append(finding)
        except UsersError as error:
            name = check.__name__.rpartition(".")[2]
            patient.missing.append(f"{name}: it failed on this program ({error})")
