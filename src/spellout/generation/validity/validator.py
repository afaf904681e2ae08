"""What judges whether a line is valid: a function of Python, or a command that reads lines and answers each.

A verdict is the line as it should be written, or None if it is not valid. Most judges say yes or no, and then that
is the line itself; one that knows several spellings of the same thing, as of a molecule, may give the canonical
one, and then unique and novel are told by that (see `shares`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from ...errors import UsageError
from .commands import CommandValidator
from .functions import FunctionValidator

TRIED = 100
"""So many lines of the list are judged before anything is trained: a list should be valid by its own judge."""
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class Validator(Protocol):
    """Judges lines.

    Attributes:
        name: what it was asked for as.
    """

    name: str

    def judge(self, lines: Sequence[str]) -> list[str | None]:
        """Give a verdict on each line. `UsageError` if they cannot be judged."""
        ...

    def remark(self) -> str | None:
        """Say what is odd in the verdicts so far, if anything is."""
        ...


def validator_of(asked: str) -> Validator:
    """Find the function that is named as `module:function`, or else the program that a command begins with.

    `UsageError` if there is no such.
    """
    return FunctionValidator(asked) if _FUNCTION.fullmatch(asked) else CommandValidator(asked)


def trial(validator: Validator, lines: Sequence[str]) -> str | None:
    """Have the first lines of a list judged, and say so if not all are valid: then the judge may not fit the list.

    `UsageError` if none is valid, as what is made like them could not be either.
    """
    some = lines[:TRIED]
    verdicts = validator.judge(some)
    wrong = [line for line, verdict in zip(some, verdicts, strict=True) if verdict is None]
    if not wrong:
        return None
    remark = validator.remark()
    if len(wrong) == len(some):
        raise UsageError(
            f"--valid {validator.name}: none of the first {len(some):,} lines of the list is valid, such as "
            f"{wrong[0]!r}{f'; {remark}' if remark else ''}: mend the judge, or name another"
        )
    few = f"{len(wrong):,} of the first {len(some):,} lines of the list are not valid"
    return f"--valid {validator.name}: {few}, such as {wrong[0]!r}"
