"""A case's own step and evaluation as a loop that is watched, as a script's are."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

from spellout.doctor import Report
from spellout.doctor.scripts.session import Session

STEPS = 25


def watched(case: dict[str, Any], overfit_seconds: float = 4.0) -> Report:
    """Steps, an evaluation, steps, an evaluation, and what was seen."""
    step, evaluate = case["step"], case.get("evaluate")
    session = Session(overfit_seconds=overfit_seconds)
    # torch warns of some mistakes itself, and a warning that is an error would end the loop.
    with suppress(Exception), warnings.catch_warnings(action="ignore"), session:
        results = []
        for part in (STEPS // 2, STEPS - STEPS // 2):
            for _ in range(part):
                step()
            if evaluate is not None:
                result = evaluate()
                results.append(result)
    assert session.report is not None
    return session.report
