"""How a file becomes tokens and parts: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Unit = Literal["char", "byte", "word"]
UNITS: tuple[Unit, ...] = get_args(Unit)
SplitName = Literal["distinct", "lecture", "none"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How a file becomes tokens and parts."""

    unit: Unit = "char"
    """What a token is: a char(acter), a byte, or a word."""
    min_count: int = 1
    """With --unit word: words seen less often become one unknown word."""
    split: SplitName = "distinct"
    """distinct: no line is in two parts; lecture: the course's split; none: train on every line as it stands."""
    split_seed: int = 42
    """Another shuffle of the distinct lines."""
