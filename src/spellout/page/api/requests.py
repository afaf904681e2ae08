"""What can be asked of a run, and how much of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...generation.asked.config import Asked, Case
from ...generation.config import SamplingConfig

BODY = 1 << 20
"""Bytes of a request's body at most."""
LINES = 1000
"""Lines that are made or scored at once, at most."""
CHARACTERS = 1000
"""Characters of a line or a prefix, at most."""
SCORED = 200_000
"""Characters of all lines that are scored at once, at most."""
TOKENS = 1000
"""Tokens of a line that is made, at most, and likeliest tokens that are shown at a place."""

_TEXT = {"maxLength": CHARACTERS}
_ANY = {"minLength": 1, "maxLength": CHARACTERS}
_TEMPERATURE = {"minimum": 0.001, "maximum": 1000}
_TOP_K = {"minimum": 1, "maximum": 1_000_000}
_TOP_P = {"exclusiveMinimum": 0, "maximum": 1}


@dataclass(frozen=True, kw_only=True)
class MakeRequest:
    """Which lines are to be made. The same request gives the same lines, those of `spellout sample`."""

    n: Annotated[int, {"minimum": 1, "maximum": LINES}] = 10
    """How many lines."""
    seed: Annotated[int, {"minimum": 0, "maximum": 2**64 - 1}] = 0
    """The same seed gives the same lines."""
    prefix: Annotated[str, _TEXT] = ""
    """Every line begins with this."""
    temperature: Annotated[float, _TEMPERATURE] = 1.0
    """Below 1 plays safe, above 1 takes risks."""
    top_k: Annotated[int | None, _TOP_K] = None
    """Choose among the k likeliest tokens only."""
    top_p: Annotated[float | None, _TOP_P] = None
    """Choose among the likeliest tokens that together have probability p (nucleus sampling)."""
    greedy: bool = False
    """Always take the likeliest token: one line, the same every time."""
    max_length: Annotated[int | None, {"minimum": 1, "maximum": TOKENS}] = None
    """The most tokens in a line; longer ones are cut there. Without it, what does not end in time is left out."""
    novel: bool | None = None
    """Only lines that are not training lines; false: also those. Null: only new ones where the run can tell."""
    unique: bool = False
    """No line twice."""
    nearest: bool = False
    """Tell the most similar training line and the edit distance."""
    label: Annotated[str | None, _TEXT] = None
    """Only lines with this label, if the model was trained on lines with labels."""
    length: Annotated[str | None, {"maxLength": 20}] = None
    """Only lines of so many characters, such as 5-8, 5, 5- or -8. Lines are chosen so, none is cut."""
    ends: Annotated[str, {"maxLength": 100}] = ""
    """Every line ends with this."""
    contains: Annotated[str, {"maxLength": 100}] = ""
    """Every line has this in it."""
    case: Case | None = None
    """Write lines in lower, upper or title case, or as lines of the list are written."""

    @property
    def sampling(self) -> SamplingConfig:
        """How lines are drawn. `UsageError` for a prefix that is no beginning of a line."""
        return SamplingConfig(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            greedy=self.greedy,
            prefix=self.prefix,
            max_length=self.max_length,
            seed=self.seed,
        )

    @property
    def wishes(self) -> Asked:
        """What is asked of the letters of a line. `UsageError` for what no line can be."""
        return Asked(length=self.length, ends=self.ends, contains=self.contains, case=self.case)


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """Which lines are to be scored."""

    lines: Annotated[list[Annotated[str, _ANY]], {"minItems": 1, "maxItems": LINES}]
    """The lines, of at most 200,000 characters together."""
    label: Annotated[str | None, _TEXT] = None
    """The label of all of them, if the model was trained on lines with labels."""
    letters: bool = True
    """Tell the surprise of each letter; false: of each line only."""


@dataclass(frozen=True, kw_only=True)
class WhyRequest:
    """Which line is to be spelled out."""

    line: Annotated[str, _ANY]
    """The line."""
    label: Annotated[str | None, _TEXT] = None
    """The line's label, if the model was trained on lines with labels."""
    top: Annotated[int, {"minimum": 1, "maximum": 100}] = 5
    """How many of the likeliest letters to tell at each place."""


@dataclass(frozen=True, kw_only=True)
class NextRequest:
    """After which beginning of a line."""

    prefix: Annotated[str, _TEXT] = ""
    """The beginning of the line."""
    label: Annotated[str | None, _TEXT] = None
    """The line's label, if the model was trained on lines with labels; without it, their most frequent one."""
    top: Annotated[int, {"minimum": 1, "maximum": TOKENS}] = 100
    """How many of the likeliest tokens to tell."""
    novel: bool | None = None
    """As only new lines go on; false: as all lines do. Null: new lines where the run can tell."""
    temperature: Annotated[float, _TEMPERATURE] = 1.0
    """Below 1 plays safe, above 1 takes risks."""
    top_k: Annotated[int | None, _TOP_K] = None
    """Choose among the k likeliest tokens only."""
    top_p: Annotated[float | None, _TOP_P] = None
    """Choose among the likeliest tokens that together have probability p (nucleus sampling)."""

    @property
    def sampling(self) -> SamplingConfig:
        """How the next token is drawn. `UsageError` for a prefix that is no beginning of a line."""
        return SamplingConfig(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, prefix=self.prefix)
