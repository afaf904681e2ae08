"""Asks a run for its model of new lines, and shows how far that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..progress import WHOLE, progress_bar

if TYPE_CHECKING:
    from ...models.new_lines.model import Weighted
    from ...training.runs.run import Run


def new_lines(run: Run, most: int | None = None) -> Weighted | None:
    """Ask a run for its model of new lines (see `Run.new_lines`).

    None where nobody knows its training lines, or if asking about them is more work than `most`, or else than
    judging a model is. That does not depend on the clock, so that lines that are made are the same again.
    """
    from ...generation.judge import PASS, can_be_asked

    asks = run.ratios is None and run.lines is not None
    if asks and not can_be_asked(run.model, run.stream, PASS if most is None else most):
        return None
    done = 0.0
    with progress_bar(WHOLE, "finding out what the model knows by heart") as advance:

        def progress(share: float) -> None:
            nonlocal done
            advance(WHOLE * (share - done))
            done = share

        return run.new_lines(progress)
