"""What the model of a run thinks of lines: of many, how surprising each is; of one, letter by letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..data.sources.config import TAB, line_ends_apart
from ..errors import GenerationError, UsageError
from .new_lines import new_lines

if TYPE_CHECKING:
    from ..data.vocabulary.protocol import Vocabulary
    from ..generation.novelty import Novelty
    from ..generation.scoring import Prediction, Score
    from ..models.new_lines.model import Weighted
    from ..training.runs.run import Run

    New = Callable[[], Weighted | None]


@dataclass(frozen=True)
class Spelled:
    """A line spelled out.

    Attributes:
        line: the line, without its label.
        letters: what the model predicted at each place, the end of the line included.
        known: whether it is a training line; None if those were not kept.
        among_new: the same in the model of new lines; None for a line that is known, or if nobody knows these.
    """

    line: str
    letters: Sequence[Prediction]
    known: bool | None
    among_new: Sequence[Prediction] | None


def check_label(vocabulary: Vocabulary, label: str | None) -> bool:
    """Say whether this is a label of a run, and no column. `UsageError` where a label is missing, or not wanted."""
    from ..data.labels import Labelled

    if not isinstance(vocabulary, Labelled):
        if label is not None:
            raise UsageError(f"--label {label}: the model was trained on lines without labels; leave it out")
        return False
    if label is None:
        raise UsageError(f"the model was trained on lines with labels: say which with --label; {vocabulary.said()}")
    return label in vocabulary.times


def novelty_of(run: Run, scores: Sequence[Score], new: New | None = None) -> Novelty | None:
    """Find out which lines are known, and how likely the others are among new lines only; None if nobody knows.

    `new` gives the model of new lines if it is known already (see `new_lines`).
    """
    from ..generation.novelty import Novelty
    from ..generation.scoring import score_lines

    if run.lines is None:
        return None
    known, model = run.known, None
    with suppress(GenerationError):  # it makes no others
        model = (new or partial(new_lines, run))()
    others = list(dict.fromkeys(one.given for one in scores if one.given not in known)) if model else []
    among_new = score_lines(model or run.model, run.vocabulary, others)
    return Novelty(known, {one.given: one.log_probability for one in among_new})


def spell_out(run: Run, line: str, label: str | None, top: int, new: New | None = None) -> Spelled:
    """Spell a line out, with the `top` likeliest tokens at each place.

    `UsageError` for a label that is missing, or not wanted, and for what is no line.
    """
    from ..data.typed import typed_line
    from ..generation.scoring import explain_line

    line = given = typed_line(line_ends_apart(line.strip(), run.vocabulary.between).strip(), "the line")
    if check_label(run.vocabulary, label) or label is not None:
        given = f"{label}{TAB}{line}"
    letters = explain_line(run.model, run.vocabulary, given, top)
    known = None if run.lines is None else typed_line(given.strip(), "the line") in run.known
    model = None
    if not known:
        with suppress(GenerationError):  # it makes no new ones
            model = (new or partial(new_lines, run))()
    among_new = None if model is None else explain_line(model, run.vocabulary, given, 0)
    return Spelled(line, letters, known, among_new)
