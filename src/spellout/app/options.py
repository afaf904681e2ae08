"""The arguments that several commands share: their flags, their help, and what they may be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..data.config import DataConfig
from ..errors import UsageError
from ..generation.config import SamplingConfig
from ..training.config import TrainingConfig
from . import terminal


class Operand(str):
    """A word of the command line that is a value although it begins with a hyphen.

    POSIX says that of a lone `-` (Utility Syntax Guidelines, 13), while cyclopts takes every word that starts with
    a hyphen for an option, unless the parameter allows it: then FILE would also take a misspelled option.
    """

    __slots__ = ()

    def startswith(self, *prefix: object) -> bool:
        """False."""
        return False


def _not_a_stream(_: object, path: Path | None) -> None:
    if path is not None and str(path) == "-":
        raise UsageError("-o -: only FILE may be a stream; name a file or a folder to write")


File = Annotated[str, Parameter(help="A text file with one thing per line; - is standard input.")]
RunFolder = Annotated[Path, Parameter(help="A folder written by `spellout train`.")]
Count = Annotated[int, Parameter(alias="-n", help="How many lines.")]
Line = Annotated[str, Parameter(allow_leading_hyphen=True)]
Out = Annotated[Path, Parameter(alias="-o", validator=_not_a_stream)]
Seconds = Annotated[
    float, Parameter(validator=Number(gte=0), help="About how long it may take in all; 0: no network.")
]
Encoding = Annotated[str | None, Parameter(help="The encoding of FILE, if it is not UTF-8.")]
Flag = Annotated[bool, Parameter(negative=())]
Json = Annotated[bool, Parameter(negative=(), help="One JSON object a line.")]
Data = Annotated[DataConfig, Parameter(name="*")]
Training = Annotated[TrainingConfig, Parameter(name="*")]
Sampling = Annotated[SamplingConfig, Parameter(name="*", allow_leading_hyphen=True)]


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
    from ..training.runs.folder import newest_run

    path = newest_run()
    terminal.note(f"with {path}, the newest run")
    return path
