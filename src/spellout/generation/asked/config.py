"""What is asked of made lines: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from ...data.typed import typed_line
from ...errors import UsageError

Case = Literal["lower", "upper", "title", "as-in-list"]
CASES: tuple[Case, ...] = get_args(Case)
LONGEST = 2_000
"""More characters are not asked of a line."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of made lines."""

    length: str | None = None
    """Only lines of so many characters, such as 5-8, 5, 5- or -8. Lines are chosen so, none is cut."""
    ends: str = ""
    """Every line ends with this."""
    contains: str = ""
    """Every line has this in it."""
    matches: str | None = None
    """Every line, as a whole, matches this regular expression."""
    avoid: str | None = None
    """A file of lines that must not be made."""
    case: Case | None = None
    """Write lines in lower, upper or title case, or as lines of the list are written. Everything else that is asked
    is asked of the line as it is written then."""
    best_of: int | None = None
    """Make so many lines and print the best: likely ones that are unlike the list and unlike each other."""

    def __post_init__(self) -> None:
        for name in ("ends", "contains"):
            object.__setattr__(self, name, typed_line(getattr(self, name), f"--{name}"))
        if self.ends != self.ends.rstrip():
            raise UsageError(f"--ends {self.ends!r}: lines never end with white space; leave it out")
        if self.matches is not None:
            object.__setattr__(self, "matches", typed_line(self.matches, "--matches"))
        if self.case is not None and self.case not in CASES:
            raise UsageError(f"--case {self.case}: choose one of {', '.join(CASES)}")
        if self.best_of is not None and self.best_of < 1:
            raise UsageError(f"--best-of {self.best_of}: must be at least 1, and more than -n")
        _ = self.lengths

    @property
    def lengths(self) -> tuple[int, int | None]:
        """Give the fewest and the most characters of a line; None where there is no end to them."""
        if self.length is None:
            return 1, None
        match = re.fullmatch(r"(\d{0,9})\s*(-?)\s*(\d{0,9})", self.length.strip(), re.ASCII)
        if match is None or not (match[1] or match[3]):
            raise UsageError(f"--length {self.length}: give a length such as 5, or lengths such as 5-8, 5- or -8")
        least = int(match[1] or 1)
        most = (int(match[3]) if match[3] else None) if match[2] else int(match[1])
        if least < 1:
            raise UsageError(f"--length {self.length}: a line has at least 1 character")
        if most is not None and most < least:
            raise UsageError(f"--length {self.length}: no line is at least {least} and at most {most} long")
        if max(least, most or 0) > LONGEST:
            raise UsageError(f"--length {self.length}: at most {LONGEST:,} characters")
        return least, most

    @property
    def is_pattern(self) -> bool:
        """Say whether only some lines will do, whatever else is made."""
        return bool(self.length is not None or self.ends or self.contains or self.matches is not None)

    @property
    def said(self) -> str:
        """Repeat what was asked of the letters of a line, as flags."""
        flags = {"length": self.length, "ends": self.ends, "contains": self.contains, "matches": self.matches}
        return " ".join(f"--{name} {value}" for name, value in flags.items() if value)
