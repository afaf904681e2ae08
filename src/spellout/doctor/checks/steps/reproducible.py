"""Does the same step from the same state do the same (family 25)?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...snapshot import borrowed

DIFFERS = Page(
    id="step-not-reproducible",
    number=25,
    severity="warning",
    title="the step does something else each time from the same state",
    why="A run cannot be repeated or resumed, and a mistake in it cannot be searched for.",
    evidence="The step was run twice from the same parameters, optimizer state and random state, on the same "
    "inputs, and "
    "parameters differ.",
    legitimate="Fast nondeterministic kernels on a GPU.",
    cure="Take random numbers from generators that are seeded; keep no state outside modules and optimizers.",
)
PAGES = (DIFFERS,)


def check(patient: Patient, recording: Recording) -> Iterator[Finding]:
    """Run the step once more as the first recorded call ran; fresh data from a loader is not held against it."""
    inputs: list[torch.Tensor] = []

    def remember(_: nn.Module, args: tuple[Any, ...]) -> None:
        inputs.extend(one.detach().clone() for one in args if isinstance(one, torch.Tensor))

    with borrowed(*patient.roots, recording.schedulers):
        handle = nn.Module.register_forward_pre_hook(patient.model, remember)
        try:
            patient.case.step()  # type: ignore[misc]
        except Exception:  # then it is not this that differs
            return
        finally:
            handle.remove()
        now = {name: p.detach().clone() for name, p in patient.parameters()}
    same = len(inputs) == len(recording.inputs) and all(map(torch.equal, inputs, recording.inputs))
    differ = [name for name, old in recording.after_first.items() if name in now and not _equal(old, now[name])]
    if same and inputs and differ:
        largest = max(float((recording.after_first[name] - now[name]).abs().max()) for name in differ)
        yield DIFFERS.found(f"{len(differ)} parameters differ by up to {largest:.3g}; first {differ[0]}")


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())
