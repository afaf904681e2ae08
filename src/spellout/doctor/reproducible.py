"""Does the same step from the same state do the same (family 25)?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from .patient import Patient
from .report import Finding, Page
from .snapshot import borrowed

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


def check(patient: Patient, step: Callable[[], Any], schedulers: list[Any]) -> Iterator[Finding]:
    """Run the step twice; data that a loader draws afresh is not held against it."""
    first, second = (_run(patient, step, schedulers) for _ in range(2))
    if first is None or second is None:
        return
    same_inputs = len(first[1]) == len(second[1]) and all(
        torch.equal(one, other) for one, other in zip(first[1], second[1], strict=True)
    )
    names = [name for name in first[0] if not _equal(first[0][name], second[0][name])]
    if same_inputs and first[1] and names:
        largest = max(float((first[0][name] - second[0][name]).abs().max()) for name in names)
        yield DIFFERS.found(f"{len(names)} parameters differ by up to {largest:.3g}; first {names[0]}")


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _run(
    patient: Patient, step: Callable[[], Any], schedulers: list[Any]
) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]] | None:
    inputs: list[torch.Tensor] = []

    def remember(_: nn.Module, args: tuple[Any, ...]) -> None:
        inputs.extend(one.detach().clone() for one in args if isinstance(one, torch.Tensor))

    with borrowed(*patient.roots, schedulers):
        torch.manual_seed(5)
        handle = nn.Module.register_forward_pre_hook(patient.model, remember)
        try:
            step()
        except Exception:  # said elsewhere
            return None
        finally:
            handle.remove()
        return {name: p.detach().clone() for name, p in patient.parameters()}, inputs
