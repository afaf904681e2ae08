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
from .attention import blocks, cache, masks, matrices, places, positions, scores, targets
from .batches import altered, apart, classes, mixed, repeated, single, workers
from .equivalences import accumulation, channels, checkpoints, compiled, continuation, halves, precision, references
from .evaluation import copies, decisions, inputs, rates, statistics, stepped
from .flows import advantages, clipped, derivatives, entropy, penalties, sampled
from .losses import first_loss, learning_rate, nonfinite, overfit, watched
from .objectives import (
    arguments,
    bootstrapped,
    custom_backward,
    divergence,
    dropped,
    labels,
    reductions,
    rewards,
    squashed,
    weights,
)  # fmt: skip
from .padding import accumulated, counted, invariance, tables
from .reach import cosines, partners, simplex
from .steps import attributes, discarded, gradients, leaves, modes, parameters, reproducible, stepping, still
from .time import carried, detached, kept, state
from .units import activations, normalization, twins, units
from .updates import direction, factors, plateau, scaling, schedules, sizes
from .wiring import broadcasting, dependence, linear, pooled, reshapes, sharing, unshifted


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


def _runs_thoroughly(patient: Patient) -> bool:
    return patient.runs and patient.case.thorough


def _is_thorough(patient: Patient) -> bool:
    return patient.case.thorough


class Evidence(Enum):
    """Where a check finds what it speaks of."""

    RUN = auto()
    """The doctor runs the model: best before its training has begun."""
    STEPS = auto()
    """The user's own steps and evaluation were recorded."""
    TAPES = auto()
    """Both: whatever calls were written down."""


CHECKS: tuple[tuple[Evidence, Callable[[Patient], bool], Check], ...] = (
    # Numbers, data and the loss
    (Evidence.RUN, _runs, nonfinite),
    (Evidence.RUN, _runs, data),
    (Evidence.TAPES, _always, activations),
    (Evidence.TAPES, _always, squashed),
    (Evidence.TAPES, _always, dropped),
    (Evidence.TAPES, _always, arguments),
    (Evidence.TAPES, _always, weights),
    (Evidence.TAPES, _always, bootstrapped),
    (Evidence.TAPES, _always, divergence),
    (Evidence.TAPES, _always, simplex),
    (Evidence.TAPES, _always, cosines),
    (Evidence.TAPES, _always, partners),
    (Evidence.TAPES, _always, sampled),
    (Evidence.TAPES, _always, advantages),
    (Evidence.TAPES, _always, derivatives),
    (Evidence.TAPES, _always, entropy),
    (Evidence.TAPES, _always, clipped),
    (Evidence.TAPES, _always, penalties),
    (Evidence.RUN, _runs, rewards),
    (Evidence.RUN, _runs, custom_backward),
    # What depends on what
    (Evidence.RUN, _runs, dependence),
    (Evidence.RUN, _runs, pooled),
    (Evidence.RUN, _runs, unshifted),
    (Evidence.TAPES, _always, broadcasting),
    (Evidence.RUN, _runs, normalization),
    (Evidence.RUN, _runs, twins),
    (Evidence.RUN, _runs, linear),
    (Evidence.RUN, _runs, reshapes),
    (Evidence.TAPES, _always, failures),
    # The user's steps: order, modes, gradients, sizes
    (Evidence.STEPS, _always, watched),
    (Evidence.STEPS, _always, discarded),
    (Evidence.STEPS, _always, stepping),
    (Evidence.STEPS, _always, modes),
    (Evidence.RUN, _runs, reproducible),
    (Evidence.STEPS, _runs_or_is_live, gradients),
    (Evidence.STEPS, _runs_or_is_live, parameters),
    (Evidence.STEPS, _always, attributes),
    (Evidence.STEPS, _always, scaling),
    (Evidence.STEPS, _always, direction),
    (Evidence.STEPS, _always, schedules),
    (Evidence.STEPS, _always, factors),
    (Evidence.STEPS, _always, plateau),
    (Evidence.STEPS, _always, sizes),
    # Their batches, their evaluation, their memory of the step before
    (Evidence.STEPS, _always, apart),
    (Evidence.STEPS, _always, mixed),
    (Evidence.STEPS, _always, repeated),
    (Evidence.STEPS, _always, classes),
    (Evidence.STEPS, _always, single),
    (Evidence.STEPS, _always, workers),
    (Evidence.STEPS, _always, altered),
    (Evidence.STEPS, _always, stepped),
    (Evidence.STEPS, _always, decisions),
    (Evidence.STEPS, _always, rates),
    (Evidence.STEPS, _always, inputs),
    (Evidence.STEPS, _always, statistics),
    (Evidence.STEPS, _always, copies),
    (Evidence.STEPS, _always, detached),
    (Evidence.STEPS, _always, carried),
    (Evidence.STEPS, _always, state),
    (Evidence.STEPS, _always, kept),
    (Evidence.STEPS, _always, leaves),
    (Evidence.STEPS, _always, references),
    (Evidence.STEPS, _always, checkpoints),
    # Layers, padding, attention
    (Evidence.STEPS, _runs, still),
    (Evidence.RUN, _runs, sharing),
    (Evidence.RUN, _runs, counted),
    (Evidence.RUN, _runs, tables),
    (Evidence.RUN, _runs, invariance),
    (Evidence.STEPS, _always, accumulated),
    (Evidence.RUN, _runs, reductions),
    (Evidence.RUN, _runs, scores),
    (Evidence.RUN, _runs, masks),
    (Evidence.RUN, _runs, targets),
    (Evidence.RUN, _runs, positions),
    (Evidence.RUN, _runs, places),
    (Evidence.RUN, _runs, blocks),
    (Evidence.RUN, _runs, matrices),
    (Evidence.RUN, _runs, cache),
    # What should come to the same, on demand
    (Evidence.STEPS, _is_thorough, accumulation),
    (Evidence.STEPS, _is_thorough, channels),
    (Evidence.RUN, _runs_thoroughly, continuation),
    (Evidence.RUN, _runs_thoroughly, halves),
    (Evidence.RUN, _runs_thoroughly, precision),
    (Evidence.RUN, _runs_thoroughly, compiled),
    # Measured effects and symptoms
    (Evidence.RUN, _runs, labels),
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
SLOW = (learning_rate, overfit)
"""What takes many passes, and is left out where one is so much work already."""
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
