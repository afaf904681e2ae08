"""What belongs together is a group: the optimizers of one model, and everything that is known about it.

A group is examined twice: before the first step of its optimizers, when the doctor runs what was captured, and at
the end, when its steps were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torch.optim import Optimizer

from ...errors import ExaminationError
from .. import walk
from ..case import Case
from ..checks.catalog import AFTER, BEFORE, look_at
from ..checks.evaluation.stepped import in_order_between_epochs
from ..examination import undisturbed
from ..patient import Patient
from ..recording import Recording
from ..report import Finding
from ..report.report import Report
from .capture import Backward, Captured, NotCaptured, capture

HELP = "name them: spellout doctor --model NAME --loss NAME SCRIPT"


@dataclass(frozen=True)
class Wanted:
    """How the groups are to be examined."""

    ignore: frozenset[str] = frozenset()
    overfit_seconds: float = 4.0
    thorough: bool = False
    model: str | None = None
    """The variable that the user says holds the model."""
    loss: str | None = None
    """The variable that the user says holds the loss, or the function that computes it."""


@dataclass(eq=False)
class Group:
    """Optimizers and what they train."""

    optimizers: list[Optimizer]
    name: str
    recording: Recording
    backward: Backward
    found: Captured | Exception | None
    """What was captured of that pass, or why nothing was; None: it was not asked yet."""
    backwards: int = 0
    steps: int = 0
    patient: Patient | None = None
    missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self._needs()

    def _needs(self) -> dict[int, bool]:
        """Which parameters its model has, and which of them need a gradient."""
        return {id(p): p.requires_grad for _, p in walk.parameters(self.recording.model)}

    def examine(self, wanted: Wanted) -> None:
        """Everything that the doctor finds by running the model; all is put back."""
        found, self.found = self.found or captured(self.backward, self.optimizers, wanted), None
        try:
            if isinstance(found, Exception):
                raise found
            self.patient = self._examined(found, wanted)
        except (NotCaptured, ExaminationError) as refusal:
            self.missing.append(f"{refusal}; {HELP}")
        except Exception as bug:  # of ours, or of a script that nobody thought of: the script must go on
            kind = type(bug).__name__
            self.missing.append(f"the model by itself, for the doctor failed ({kind}: {bug}); {HELP}")
        if self.patient is None:
            self.patient = Patient(Case(model=self.recording.model, optimizer=self.optimizers))

    def _examined(self, captured: Captured, wanted: Wanted) -> Patient | None:
        patient = Patient(replace(captured.case, overfit_seconds=wanted.overfit_seconds, thorough=wanted.thorough))
        patient.missing += captured.missing
        patient.recording = (
            self.recording
        )  # before the first step: whether gradients are clipped stands on its tape
        patient.shrunk = 1.0 if self.recording.clips else min(1.0, self.recording.kept_now())
        with undisturbed(patient.case):
            patient.build()
            patient.facts["model"] = self.name
            if patient.training.error is not None:
                error = patient.training.error
                first = (str(error).splitlines() or [""])[0][:200]
                self.missing.append(
                    f"the model and its loss by themselves: {type(error).__name__}: {first}; {HELP}"
                )
                return None
            other = _another_loss(patient, captured.backward)
            if other is not None:
                self.missing.append(f"the model and its loss by themselves: {other}; {HELP}")
                return None
            _ = patient.mode_matters  # at its end a pass would differ for its weights
            look_at(patient, wanted.ignore, BEFORE)
        return patient

    @property
    def strangers(self) -> list[Optimizer]:
        """The optimizers that step on tensors like those that are trained here, where nobody steps on these."""
        return [] if self.optimizers else self.recording.strangers

    @property
    def evaluated(self) -> bool:
        """Was there an evaluation, and then a pass whose gradients arrived: in what mode did it leave the model?

        Or one that trains, which takes the place of the evaluation.
        """
        if in_order_between_epochs(self.recording) is not None:
            return True
        forwards, arrivals = self.recording.forwards, self.recording.arrivals
        phases = [forward.phase for forward in forwards]
        after = forwards[phases.index("evaluate") :] if "evaluate" in phases else []
        return bool(arrivals) and any(one.phase == "step" and one.tick <= arrivals[-1] for one in after)

    def sees(self, backward: Backward) -> None:
        """Until it is examined it is known by its last backward pass."""
        if self.patient is None and backward is not self.backward:
            self.backward, self.found = backward, None

    def one_more_backward(self, loss: torch.Tensor) -> None:
        """A backward pass reached it; what is updated by hand has stepped before the next one at the latest."""
        self.backwards += 1
        self.recording.losses += [float(loss.detach())] if loss.numel() == 1 and not loss.is_complex() else []
        self.recording.tell(loss)
        if not self.optimizers:
            self.steps = self.backwards - 1

    def ask(self, wanted: Wanted, error: Exception | None) -> None:
        """What its recorded steps show."""
        recording, patient = self.recording, self.patient
        assert patient is not None
        recording.__exit__()
        recording.error = error
        recording.calls = max(2, self.backwards) if self.optimizers else self.backwards
        patient.recording = recording
        if (
            self._needs() != self._began
        ):  # as a head or adapters are put on what was trained before, which is frozen
            self.missing.append("its steps: the script gave it other parameters after them, or froze some")
            return
        known, patient.findings = patient.findings, []
        try:
            with undisturbed(patient.case):
                if patient.live:
                    look_at(patient, wanted.ignore)
                else:
                    look_at(patient, wanted.ignore, AFTER)
        except Exception as bug:  # of ours: what was found before it is told all the same
            self.missing.append(f"a part of its steps, for the doctor failed ({type(bug).__name__}: {bug})")
        # The tape of the doctor's own pass is read both times, and the script's own steps show the same line.
        told = {_told(one) for one in known}
        patient.findings = [*known, *(one for one in patient.findings if _told(one) not in told)]

    @property
    def report(self) -> Report:
        """What was found."""
        assert self.patient is not None
        facts = {**self.patient.facts, "optimizer steps": len(self.recording.steps)}
        return Report.of(self.patient.findings, [*self.missing, *self.patient.missing], facts)


def captured(backward: Backward, optimizers: Sequence[Optimizer], wanted: Wanted) -> Captured | Exception:
    """What `capture` finds, with the model and the loss that the user named, where they belong to this group.

    What it raises is returned: the script, which is in the middle of its step, must go on.
    """
    model, loss = backward.things.get(wanted.model or ""), backward.things.get(wanted.loss or "")
    if loss is not None:
        backward = backward.ending_in(loss) or backward
    if not isinstance(model, nn.Module) or not {id(p) for _, p in walk.parameters(model)} & backward.leaves.keys():
        model = None
    try:
        return capture(backward, optimizers, model)
    except Exception as raised:
        return raised


def _another_loss(patient: Patient, backward: Backward) -> str | None:
    """The two numbers, if the doctor's pass gives another loss than the script has computed of the same numbers."""
    if backward.has_moved:
        return None
    wanted = float(backward.loss.detach())
    values = [_again(patient, 0, 1)[0]]
    if _near(values[0], wanted):
        return None
    # What is drawn, or kept from pass to pass, makes other losses; these tell how far apart they may lie.
    values += [*_again(patient, 0, 2), *_again(patient, 1, 1), *_again(patient, 2, 1)]
    spread = max(values) - min(values)
    if not _near(max(values), min(values)) and abs(wanted - sum(values) / len(values)) < 4 * spread:
        return None
    return f"they give a loss of {values[0]:.6g} where the script has computed {wanted:.6g}"


def _again(patient: Patient, seed: int, passes: int) -> list[float]:
    """The losses of the captured program in the modes that the script has chosen."""
    with patient.borrowed(seed=seed):
        return [patient.run(patient.batch, taped=False).value for _ in range(passes)]


def _near(value: float, wanted: float) -> bool:
    if not (math.isfinite(value) and math.isfinite(wanted)):
        return str(value) == str(wanted)
    return math.isclose(value, wanted, rel_tol=1e-3, abs_tol=1e-5)


class Leaves(nn.Module):
    """The tensors that a backward pass reaches, where nothing more is known."""

    def __init__(self, backward: Backward) -> None:
        super().__init__()
        for place, (name, leaf) in enumerate(backward.leaves.items()):
            title = backward.names.get(name, f"parameter {place}").replace(".", "_")
            self._parameters[title] = leaf  # type: ignore[assignment]


def together(optimizers: Sequence[Optimizer], backward: Backward) -> list[list[Optimizer]]:
    """Optimizers of one module are one group."""
    modules = {id(visit.module): {id(one) for one in visit.trained} for visit in backward.visits if not visit.depth}
    groups: list[tuple[set[int], list[Optimizer]]] = []
    for optimizer in optimizers:
        held = set(map(id, walk.listed_in(optimizer)))
        touched = held.union(*(inside for inside in modules.values() if inside & held))
        shared = [group for group in groups if group[0] & touched]
        merged = (
            touched.union(*(group[0] for group in shared)),
            [one for g in shared for one in g[1]] + [optimizer],
        )
        groups = [group for group in groups if not any(group is one for one in shared)] + [merged]
    return [group for _, group in groups]


def known_among(
    groups: Sequence[Group], optimizers: Sequence[Optimizer], leaves: dict[int, torch.Tensor]
) -> Group | None:
    """The group of one of these optimizers; without any, the one by hand that has one of these leaves."""
    for group in groups:
        shared = any(one in group.optimizers for one in optimizers)
        by_hand = not optimizers and not group.optimizers
        if shared or (by_hand and leaves.keys() & group.recording.accounts.keys()):
            return group
    return None


def reports_of(groups: Sequence[Group]) -> dict[str, Report]:
    """The report of each group by its name; a name that was there already gets a number."""
    reports: dict[str, Report] = {}
    for group in groups:
        reports[group.name if group.name not in reports else f"{group.name} ({len(reports) + 1})"] = group.report
    return reports


def living_optimizers() -> list[Optimizer]:
    """All optimizers there are, without those that only pass on to another one."""
    found = [one for one in walk.living(Optimizer) if hasattr(one, "param_groups")]
    return [one for one in found if not isinstance(getattr(one, "optimizer", None), Optimizer)]


def _told(finding: Finding) -> tuple[str, str]:
    """What is told once: a mistake in a line, whichever call in it shows it."""
    return finding.id, str(finding.where).partition(", in ")[0]
