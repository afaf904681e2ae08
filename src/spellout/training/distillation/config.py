"""How a student learns from a teacher: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...errors import UsageError


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """How a student learns from a teacher."""

    made: float = 1.0
    """With --teacher: so many lines that the teacher makes for each training line; 0: training lines only."""
    new_lines: bool = False
    """With --teacher: learn from lines it makes that are new, and from what it says of them as such."""

    def __post_init__(self) -> None:
        if not (self.made >= 0 and math.isfinite(self.made)):
            raise UsageError(f"--made {self.made:g}: must be at least 0 and finite")
        if self.new_lines and not self.made:
            raise UsageError("--made 0 --new-lines: only lines that the teacher makes are new; let it make some")
