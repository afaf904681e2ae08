"""A schedule by a function of the user's gives factors, not learning rates (family 26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from torch.optim.lr_scheduler import LambdaLR

from ...patient import Patient
from ...report import Finding, Page
from ...snapshot import borrowed

RATES = Page(
    id="factor-is-a-rate",
    number=26,
    severity="warning",
    title="the schedule's function gives learning rates where factors are asked for",
    why="`LambdaLR` multiplies the optimizer's rate with what the function returns: the rate becomes its square.",
    evidence="The greatest value of the function over all steps to come, beside the rate that it multiplies.",
    legitimate="Rates that are meant to be as small as that.",
    cure="Return a factor that is 1 at its peak, or give the optimizer lr=1.0.",
)
PAGES = (RATES,)
_STEPS = (*range(0, 200), *range(200, 10_000, 50), *(10**power for power in range(4, 8)))
_SMALL, _FEW, _LEAST = 0.1, 2.0, 0.2
"""From which rate on nothing is said, and between which multiples of it the peak of the factor lies."""


def check(patient: Patient) -> Iterator[Finding]:
    """Every `LambdaLR` of the optimizers."""
    recording = patient.recording
    for scheduler in recording.schedulers:
        if not isinstance(scheduler, LambdaLR):
            continue
        for rate, function in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=False):
            peak = _peak(function)
            base = float(rate)
            if 0 < base < _SMALL and _LEAST * base <= peak <= _FEW * base:
                steps = recording.steps_of(scheduler.optimizer)
                yield RATES.found(
                    f"lr={base:.3g}, and the factor is at most {peak:.3g}: the rate is at most {base * peak:.3g}",
                    steps[-1].where if steps else None,
                )
                break


def _peak(function: Callable[[int], Any]) -> float:
    """The greatest factor; of a function that ends, as far as it goes."""
    peak = 0.0
    with suppress(Exception), borrowed(function):  # the user's own may refuse numbers of steps
        for step in _STEPS:
            peak = max(peak, float(function(step)))
    return peak
