"""Lines as they are made, each with the verdict of a judge: all of them, or only the valid ones.

They are judged in batches, as starting a command costs as much as many lines; how large a batch is changes neither
lines nor verdicts, only how many are judged beyond those that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from math import ceil

from ..sampling import Sample
from .shares import Tally
from .validator import Validator

FIRST, GROWTH, MOST = 100, 10, 10_000
"""Lines of the first batch at most, how much larger the next ones may be, and of the largest."""
SPARE = 1.1
"""So much more lines are made than will be needed, so that few batches do."""


def judged(
    made: Iterator[Sample],
    validator: Validator,
    tally: Tally,
    count: int,
    *,
    written: Callable[[str], str] | None = None,
    only: bool = False,
    patience: int = 10_000,
) -> Iterator[tuple[Sample, str | None]]:
    """Yield `count` lines with their verdicts, with `only` the valid ones; `tally` counts all that are judged.

    What is judged is the line as it is `written`, if that is not how it was made.
    They are fewer if no more are made, or with `only` if none of the last `patience` was valid.
    """
    given, most = 0, FIRST
    while given < count and not (only and tally.in_vain >= patience):
        needed = SPARE * (tally.made + 2) / (tally.valid + 1) if only else 1.0
        batch = list(islice(made, min(most, ceil((count - given) * needed))))
        if not batch:
            return
        most = min(most * GROWTH, MOST)
        lines = [one.text if written is None else written(one.text) for one in batch]
        for one, line, verdict in zip(batch, lines, validator.judge(lines), strict=True):
            tally.add(line, verdict)
            if given < count and not (only and verdict is None):
                given += 1
                yield one, verdict
