"""The shapes of the answers, as OpenAPI describes them; a number that is not finite is null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEFT_OUT: Any = None
"""The default of a field that is in the answer only where it was asked for, or where it can be told."""


@dataclass(frozen=True, kw_only=True)
class MadeLine:
    """One line that was made."""

    line: str
    """The line, as it would stand in the file that the model learned from."""
    complete: bool
    """False if it was cut at max_length."""
    label: str = LEFT_OUT
    """Its label, where lines have labels."""
    nearest: str = LEFT_OUT
    """The most similar training line, if it was asked for."""
    distance: int = LEFT_OUT
    """The edit distance to that one."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """The lines that were made."""

    lines: list[MadeLine]
    """As many as were asked for, or fewer if `stopped` says why."""
    stopped: str | None
    """Why there are fewer: no others are found, or the time is over."""
    notes: list[str]
    """What is to be said of these lines."""


@dataclass(frozen=True, kw_only=True)
class ScoredLine:
    """What the model thinks of one line."""

    line: str
    """The line."""
    label: str = LEFT_OUT
    """Its label, where lines have labels."""
    nats_per_char: float | None
    """The mean surprise of a character in nats, the end of the line counted as one."""
    bits_per_char: float | None
    """The same in bits."""
    log_probability: float | None
    """The natural logarithm of the probability of the whole line."""
    symbols: list[str] = LEFT_OUT
    """The tokens, and ¶ for the end of the line."""
    bits: list[float | None] = LEFT_OUT
    """The surprise of each of these."""
    unknown: list[str]
    """What of the line no training line held."""
    known: bool = LEFT_OUT
    """Whether it is a training line, where these were kept."""
    new_log_probability: float | None = LEFT_OUT
    """The logarithm of its probability among lines that are not training lines; null for one that is."""
    new_bits_per_char: float | None = LEFT_OUT
    """The same as the mean surprise of a character."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the model thinks of the lines."""

    nats_per_char: float | None
    """The mean over all characters of all lines, ends counted."""
    lines: list[ScoredLine]
    """Each line, in the order of the request."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A token and its probability at some place."""

    symbol: str
    """The token; ¶ is the end of the line."""
    probability: float
    """Its probability there."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One letter, or other token, of a line that is spelled out."""

    symbol: str
    """The letter; ¶ is the end of the line."""
    probability: float
    """Its probability after what stands before it."""
    bits: float | None
    """The surprise."""
    rank: int
    """How many letters were at least as likely, it included."""
    new: bool
    """Whether no training line held it."""
    expected: list[Expected]
    """The likeliest letters there."""
    new_probability: float | None
    """Its probability in the model of new lines; null for a training line, or if nobody knows these."""


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """A line spelled out, letter by letter."""

    line: str
    """The line."""
    label: str | None
    """Its label, where lines have labels."""
    bits: float | None
    """The surprise of the whole line."""
    letters: list[Letter]
    """Its letters, and the end of the line."""
    known: bool | None
    """Whether it is a training line; null if those were not kept."""
    nearest: str | None
    """The most similar training line, itself if it is one; null if those were not kept."""
    distance: int | None
    """The edit distance to that one."""


@dataclass(frozen=True, kw_only=True)
class Next:
    """What may follow the beginning of a line, and how likely it is drawn."""

    prefix: str
    """The beginning."""
    end: float
    """How likely the line ends here."""
    tokens: list[Expected]
    """What else may follow, the likeliest first."""
    novel: bool
    """Whether this is so of new lines only."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The tokens that the model knows."""

    noun: str
    """What a token is: character, byte, word, grapheme, token."""
    size: int
    """How many there are, the end of the line and labels included."""
    tokens: list[str]
    """Those that stand in lines."""
    labels: list[str]
    """The labels of lines, the most frequent first."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is served."""

    run: str
    """The name of the run folder."""
    spellout: str
    """The version that serves it."""
    model: str
    """The family of the model, a name of `--model`."""
    specification: str
    """What was asked for in the training."""
    parameters: int
    """How many numbers the model has learned."""
    context: int | None
    """How many last tokens can matter; null: the whole line."""
    nats_per_char: float | None
    """The loss on the dev lines, as it is; null if it was not judged."""
    new_nats_per_char: float | None
    """The same as a model of new lines."""
    training_lines: int | None
    """How many lines were kept, which are not new; null if none."""
    vocabulary: Known
    """The tokens that it knows."""
    settings: dict[str, Any]
    """The settings of the model."""
    results: dict[str, Any]
    """All that the training found out about it."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """The server answers."""

    status: str
    """ok."""
    working: int
    """How many requests are being worked on, or wait for that, in this process."""


@dataclass(frozen=True, kw_only=True)
class Error:
    """Why there is no other answer."""

    error: str
    """One sentence: what is wrong, and what to do."""
