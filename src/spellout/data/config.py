"""How a file becomes tokens and parts: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import UsageError

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

    def __post_init__(self) -> None:
        check_unit(self.unit, self.min_count)
        check_split(self.split, self.split_seed)


def check_unit(unit: str, min_count: int) -> None:
    """`UsageError` for an unknown unit, or for one that cannot leave out what is rare."""
    if unit not in UNITS:
        raise UsageError(f"--unit {unit}: no such unit; choose one of {', '.join(UNITS)}")
    if unit != "word" and min_count != 1:
        raise UsageError(f"--min-count goes with --unit word; with --unit {unit} no character is dropped")


def check_split(how: str, seed: int) -> None:
    """`UsageError` for an unknown split, or another seed with `lecture`, whose seed is part of its definition."""
    if how not in SPLITS:
        raise UsageError(f"--split {how}: no such split; choose one of {', '.join(SPLITS)}")
    if how == "lecture" and seed != 42:
        raise UsageError("--split lecture always uses seed 42; leave out --split-seed, or use --split distinct")
