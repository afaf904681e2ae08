"""Lines that somebody's own judge calls valid or not: found before a training, judged as they are made, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError
from .listener import Listener

if TYPE_CHECKING:
    from ..data.vocabulary.protocol import Vocabulary
    from ..generation.sampling import Sample
    from ..generation.validity.shares import Tally
    from ..generation.validity.validator import Validator

PATIENCE = 10_000
"""After so many candidates in a row that will not do, no more are tried."""


def judge_of(asked: str | None, only: str | None) -> Validator | None:
    """Find what judges lines. `UsageError` if it is not there, or if `only` valid lines are wanted without it."""
    if asked is None:
        if only is not None:
            raise UsageError(f"--only {only}: say what judges lines, with --valid")
        return None
    from ..generation.validity.validator import validator_of

    return validator_of(asked)


def try_judge(
    validator: Validator | None,
    vocabulary: Vocabulary,
    lines: Sequence[str] | None,
    listener: Listener,
    written: Callable[[str], str] = str,
) -> None:
    """Warn if not all lines of the list, without their labels, are valid: to be asked before a training.

    `written` says how a line is printed, which is what is judged.
    `UsageError` if none is.
    """
    from ..data.labels import texts
    from ..data.sources.config import line_ends_close
    from ..generation.validity.validator import TRIED, trial

    if validator is None or not lines:
        return
    some = (line_ends_close(line, vocabulary.between) for line in texts(vocabulary, lines[:TRIED]))
    if odd := trial(validator, list(map(written, some))):
        listener.warn(odd)


def tally_of(validator: Validator | None, known: Sequence[str] | None) -> Tally | None:
    """Begin to count valid, unique and novel lines, if anything judges them."""
    if validator is None:
        return None
    from ..generation.validity.shares import Tally, Training

    return Tally(None if known is None else Training(validator, known))


def judged_lines(
    made: Iterator[Sample],
    validator: Validator,
    tally: Tally,
    verdicts: dict[int, bool],
    count: int,
    written: Callable[[str], str] | None,
    *,
    only: bool,
) -> Iterator[Sample]:
    """Yield lines, and put into `verdicts` whether each is valid, by the number of the candidate.

    `written` says how a line is printed, which is what is judged.
    """
    from ..generation.validity.judged import judged

    for one, verdict in judged(made, validator, tally, count, written=written, only=only, patience=PATIENCE):
        verdicts[one.candidate] = verdict is not None
        yield one
