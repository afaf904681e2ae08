"""The model of the lines that are wanted of a run: of new ones, if that is not too much work, or as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import GenerationError
from ..generation.config import SamplingConfig
from .listener import QUIET, Listener
from .wanted import said_prefix

if TYPE_CHECKING:
    from ..models.contract import LanguageModel
    from ..models.new_lines.model import Weighted
    from ..training.runs.run import Run

    New = Callable[[], Weighted | None]

NEARLY_ALL = 0.9995


def new_lines(run: Run, listener: Listener = QUIET, most: int | None = None) -> Weighted | None:
    """Ask a run for its model of new lines (see `Run.new_lines`).

    None where nobody knows its training lines, or if asking about them is more work than `most`, or else than
    judging a model is. That does not depend on the clock, so that lines that are made are the same again.
    """
    from ..generation.judge import PASS, can_be_asked

    asks = run.ratios is None and run.lines is not None
    if asks and not can_be_asked(run.model, run.stream, PASS if most is None else most):
        return None
    with listener.progress("finding out what the model knows by heart") as progress:
        return run.new_lines(progress)


def model_for(run: Run, sampling: SamplingConfig, novel: bool, new: New, listener: Listener) -> LanguageModel:
    """Give the model of the lines that are wanted; of new lines, say how often it would repeat one it knows.

    `new` gives the model of new lines. `GenerationError` if there is no new line, or none with this prefix.
    """
    from ..generation.sampling import beginnings
    from ..models.new_lines.sharper import sharper

    if not novel:
        return run.model
    try:
        model = new()
    except GenerationError as error:
        raise GenerationError(f"{error}; --as-it-is makes those that it knows") from None
    mass = _by_heart(run)
    often = f": as it is, the model would repeat a line it has learned {mass} of the time" if mass else ""
    listener.note(f"new lines only{often} (see --as-it-is)")
    if model is None:  # then lines that are known are refused, from the same model otherwise
        return sharper(run.model, run.power)
    if not any(map(model.can_begin, beginnings(run.vocabulary, sampling.prefix))):
        raise GenerationError(
            f"{said_prefix(sampling)}: every line that the model makes from there is in its list, so none is new; "
            "--as-it-is makes those"
        )
    return model


def _by_heart(run: Run) -> str | None:
    """Say which part of its probability the model as it is gives to its list, if it was judged."""
    try:
        mass = float(run.facts["results"]["new_lines"]["mass"])
    except (KeyError, TypeError, ValueError):
        return None
    if mass < 1 - NEARLY_ALL:
        return "less than 0.1%"
    return f"{mass:.1%}" if mass < NEARLY_ALL else "nearly all"
