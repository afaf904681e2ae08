"""A case's own step and evaluation as a loop that is watched, as a script's are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from spellout.doctor import Report, watch

STEPS = 25


def watched(case: dict[str, Any]) -> Report | None:
    """Steps, an evaluation, steps, an evaluation, and what was seen; None if the case has no step."""
    step, evaluate = case.get("step"), case.get("evaluate")
    if step is None:
        return None
    with suppress(Exception), watch() as seen:
        results = []
        for part in (STEPS // 2, STEPS - STEPS // 2):
            for _ in range(part):
                step()
            if evaluate is not None:
                result = evaluate()
                results.append(result)
    return seen.report
