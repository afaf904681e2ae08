"""What many trainings come to, as plain numbers, so that what shows them needs to know nothing of training."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ModelResult:
    """Holds how good one model of a comparison is.

    The losses are those of the model as it is, and `new_lines` is what it reaches as a model of new lines, if that
    is known: losses by the same names, and its `mass` on the training lines. `split` is dev or test, `split_by`
    how the lines were divided; `unique` and `novel` are fractions of 1,000 lines made; `seconds` is the training
    time. Of the `tokens` judged, `new` ones have no token of their own; `perplexity_without_ends` is that of words,
    without the line ends, and None for other units. `validity` has the number of lines made and the shares that are
    valid, unique and novel as MOSES defines them, where something judges lines (see `generation/validity`).
    """

    model: str
    settings: dict[str, Any]
    split: str
    split_by: str
    parameters: int
    nats_per_char: float
    bits_per_char: float
    perplexity: float
    unique: float
    novel: float
    seconds: float
    tokens: int = 0
    new: int = 0
    perplexity_without_ends: float | None = None
    new_lines: dict[str, Any] | None = None
    validity: dict[str, Any] | None = None

    @property
    def loss(self) -> float:
        """Give the nats per character that decide which model is better."""
        return float(self.new_lines["nats_per_char"]) if self.new_lines else self.nats_per_char

    def to_json(self) -> dict[str, Any]:
        """Give the result as one JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class CompressorResult:
    """Holds what a general compressor comes to as a predictor (see `compressors`).

    The losses are those of a model as it is, on so many `lines`; `seconds` is for both codings, `memory` in bytes,
    None if that is not known.
    """

    compressor: str
    split: str
    split_by: str
    nats_per_char: float
    bits_per_char: float
    seconds: float
    memory: int | None
    lines: int

    def to_json(self) -> dict[str, Any]:
        """Give the result as one JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class TuningTrial:
    """Holds what a trial tried and how good that was on dev lines, as it is and for new lines.

    `nats_per_char` is None if it was stopped, and `new_lines` also where there is no such loss.
    """

    number: int
    nats_per_char: float | None
    specification: str
    training: dict[str, Any]
    seconds: float
    new_lines: float | None = None

    def command(self, files: Sequence[str], out: str, data: dict[str, Any]) -> str:
        """Write the command line that trains it again; `data` are flags that say how the files are read."""
        words = ["spellout", "train", *files, "-o", out, "--model", self.specification]
        for name, value in {**data, **self.training}.items():
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return shlex.join(words)

    def to_json(self) -> dict[str, Any]:
        """Give the trial as one JSON object."""
        return asdict(self)
