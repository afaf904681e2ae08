"""How a file becomes tokens and parts: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import UsageError
from ..optional import require
from .sources.config import LINE_END, SourceConfig
from .vocabulary.patterns import pattern_of

Unit = Literal["char", "byte", "word", "grapheme"]
UNITS: tuple[Unit, ...] = get_args(Unit)
SplitName = Literal["distinct", "lecture", "none"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


@dataclass(frozen=True, kw_only=True)
class DataConfig(SourceConfig):
    """How a file becomes tokens and parts."""

    unit: Unit = "char"
    """What a token is: a char(acter), a byte, a word, or a grapheme: an emoji or a syllable with all its marks."""
    tokens: str | None = None
    """A regular expression whose matches are tokens; the rest is taken by character. Known by name: smiles."""
    min_count: int = 1
    """With --unit word: words seen less often become one unknown word."""
    split: SplitName | None = None
    """distinct (the default): no line is in two parts; lecture: the course's split; none: all lines train."""
    split_seed: int = 42
    """Another shuffle of the lines."""
    dev: str | None = None
    """The lines of this file judge, and all of FILE trains, as it stands; without --test, nothing is test."""
    test: str | None = None
    """The lines of this file are the test lines; without --dev, a tenth of FILE's lines judge."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_unit(self.unit, self.min_count, self.tokens)
        check_split(self.split or "distinct", self.split_seed)
        if self.split is not None and self.given:
            raise UsageError(
                f"--split {self.split} cuts FILE, while {' and '.join(self.given)} names a part: leave one out"
            )

    @property
    def line_end(self) -> str:
        """Give what stands where a thing of several lines has a line end; with words, it is one of them."""
        return f" {LINE_END} " if self.unit == "word" else LINE_END

    @property
    def given(self) -> list[str]:
        """Give the flags of the parts that are files of their own."""
        return [f"--{part}" for part in ("dev", "test") if getattr(self, part) is not None]

    def check_keeps(self, part: str) -> None:
        """`UsageError` if there are no lines of a part, dev or test, to judge by."""
        if self.split == "none":
            raise UsageError(
                f"--split none keeps no {part} lines to judge by; leave it out, or take --split distinct"
            )
        if part == "test" and self.given == ["--dev"]:
            raise UsageError("--dev without --test leaves no test lines to judge by; name them with --test FILE")


def check_unit(unit: str, min_count: int, tokens: str | None = None) -> None:
    """`UsageError` for an unknown unit, for one that cannot leave out what is rare, or for a pattern of tokens that
    is none."""
    if unit not in UNITS:
        raise UsageError(f"--unit {unit}: no such unit; choose one of {', '.join(UNITS)}")
    if unit != "word" and min_count != 1:
        raise UsageError(f"--min-count goes with --unit word; with --unit {unit} no character is dropped")
    if min_count < 1:
        raise UsageError(f"--min-count {min_count}: must be at least 1, which drops no word")
    if unit == "grapheme":
        require("regex", "--unit grapheme")
    if tokens is not None:
        if unit != "char":
            raise UsageError(f"--tokens and --unit {unit} both say what a token is; leave one out")
        pattern_of(tokens)


def check_split(how: str, seed: int) -> None:
    """`UsageError` for an unknown split, a seed that is none, or another one with `lecture`, which has its own."""
    if how not in SPLITS:
        raise UsageError(f"--split {how}: no such split; choose one of {', '.join(SPLITS)}")
    if seed < 0:
        raise UsageError(f"--split-seed {seed}: must be at least 0")
    if how == "lecture" and seed != 42:
        raise UsageError("--split lecture always uses seed 42; leave out --split-seed, or use --split distinct")
