"""The arguments that several commands share: their flags, their help, and what they may be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from . import terminal
from .data.config import DataConfig
from .errors import UsageError
from .generation.config import SamplingConfig
from .training.config import TrainingConfig

STDIN = "\0standard input"  # a lone "-" would be taken for an option


def _file(_: object, tokens: Sequence[Token]) -> str:
    return "-" if tokens[0].value == STDIN else tokens[0].value


File = Annotated[str, Parameter(converter=_file, help="A text file with one thing per line; - is standard input.")]
Text = Annotated[str, Parameter(converter=_file)]
RunFolder = Annotated[Path, Parameter(help="A folder written by `spellout train`.")]
Count = Annotated[int, Parameter(alias="-n", help="How many lines.")]
Out = Annotated[Path, Parameter(alias="-o")]
Seconds = Annotated[
    float, Parameter(validator=Number(gte=0), help="About how long it may take in all; 0: no network.")
]
Encoding = Annotated[str | None, Parameter(help="The encoding of FILE, if it is not UTF-8.")]
Flag = Annotated[bool, Parameter(negative=())]
Json = Annotated[bool, Parameter(negative=(), help="One JSON object a line.")]
Data = Annotated[DataConfig, Parameter(name="*")]
Training = Annotated[TrainingConfig, Parameter(name="*")]
Sampling = Annotated[SamplingConfig, Parameter(name="*")]


def with_order(model: str, order: int | None) -> str:
    """`--model ngram --order 5` is `ngram:5`."""
    if order is None:
        return model
    name, *rest = model.split(":")
    if name != "ngram" or any("=" not in part or part.startswith("order=") for part in rest):
        raise UsageError(f"--order {order} does not go with --model {model}; it sets the order of `ngram`")
    return ":".join([name, str(order), *rest])


def check_count(count: int) -> None:
    """`UsageError` if there is nothing to make, or more than could ever be counted."""
    if not 1 <= count <= sys.maxsize:
        raise UsageError(f"--count {count}: must be at least 1{' and far smaller' * (count > 1)}")


def newest() -> Path:
    """The newest run under ./runs, said on stderr. `RunError` if there is none."""
    from .training.run import newest_run

    path = newest_run()
    terminal.note(f"with {path}, the newest run")
    return path
