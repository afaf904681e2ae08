"""What may follow the beginning of a line, and how likely: a line made by hand, letter by letter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..generation.config import SamplingConfig
from .listener import QUIET, Listener
from .new_lines import model_for, new_lines
from .wanted import asked_label, check_prefix

if TYPE_CHECKING:
    from ..models.new_lines.model import Weighted
    from ..training.runs.run import Run


@dataclass(frozen=True)
class Following:
    """What may follow a prefix, as lines are drawn.

    Attributes:
        prefix: the beginning of the line.
        end: how likely the line ends here.
        tokens: the likeliest tokens, each with its probability, the likeliest first.
    """

    prefix: str
    end: float
    tokens: list[tuple[str, float]]


def what_follows(
    run: Run,
    sampling: SamplingConfig,
    novel: bool,
    top: int,
    label: str | None = None,
    listener: Listener = QUIET,
    new: Callable[[], Weighted | None] | None = None,
) -> Following:
    """Say which tokens may follow the prefix of `sampling`, at most `top` of them, and how likely they are drawn.

    `UsageError` or `DataError` for a prefix or a label that cannot be, `GenerationError` if no new line begins so.
    `new` gives the model of new lines if it is known already (see `new_lines`).
    """
    from ..generation.sampling import next_chances

    vocabulary = asked_label(run.vocabulary, label)
    check_prefix(vocabulary, sampling)
    run = replace(run, vocabulary=vocabulary)
    model = model_for(run, sampling, novel, new or partial(new_lines, run), listener)
    chances = next_chances(model, vocabulary, sampling)
    order = (-chances[1:]).argsort(kind="stable")[:top] + 1
    tokens = [(vocabulary.symbol(int(one)), float(chances[one])) for one in order if chances[one] > 0]
    return Following(sampling.prefix, float(chances[0]), tokens)
