"""The arguments that several commands share: their flags, their help, and what they may be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from ..data.config import DataConfig
from ..data.sources.config import SourceConfig
from ..errors import UsageError
from ..generation.asked.config import Asked
from ..generation.config import SamplingConfig
from ..optional import require
from ..plots.kinds import FORMATS
from ..training.config import TrainingConfig
from ..training.distillation.config import DistillationConfig
from ..training.runs.places import check_file
from . import terminal


class Operand(str):
    """A word of the command line that is a value although it begins with a hyphen.

    POSIX says that of a lone `-` (Utility Syntax Guidelines, 13), while cyclopts takes every word that starts with
    a hyphen for an option, unless the parameter allows it: then FILE would also take a misspelled option.
    """

    __slots__ = ()

    def startswith(self, *prefix: object) -> bool:
        """Say no, whatever it is."""
        return False


def _can_be_counted(_: object, count: int) -> None:
    """Refuse to make nothing, or more than could ever be counted."""
    if not 1 <= count <= sys.maxsize:
        raise UsageError(f"--count {count}: must be at least 1{' and far smaller' * (count > 1)}")


def _not_a_stream(_: object, path: Path | None) -> None:
    if path is not None and str(path) == "-":
        raise UsageError("-o -: only FILE may be a stream; name a file or a folder to write")


File = Annotated[
    str, Parameter(help="Text files with one thing per line, or folders of them; - is standard input.")
]
RunFolder = Annotated[Path, Parameter(help="A folder written by `spellout train`.")]
Count = Annotated[int, Parameter(alias="-n", help="How many lines.", validator=_can_be_counted)]
Line = Annotated[str, Parameter(allow_leading_hyphen=True)]
Out = Annotated[Path, Parameter(alias="-o", validator=_not_a_stream)]
Seconds = Annotated[
    float, Parameter(validator=Number(gte=0), help="About how long it may take in all; 0: no network.")
]
Encoding = Annotated[str | None, Parameter(help="The encoding of FILE, if it is not UTF-8.")]
Flag = Annotated[bool, Parameter(negative=())]
Novel = Annotated[bool | None, Parameter(negative=("--as-it-is", "--no-novel"))]
"""None: where the lines that are known are kept."""
Json = Annotated[bool, Parameter(negative=(), help="One JSON object a line.")]
Valid = Annotated[
    str | None,
    Parameter(
        help="What judges lines: module:function of Python, true for a valid line; or a command, a filter that "
        "writes 1 or 0 for each line that it reads. The shares that are valid, unique and novel are told."
    ),
]
Only = Annotated[
    Literal["valid"] | None, Parameter(help="Make lines until so many are valid, and print only these.")
]
Against = Annotated[
    Literal["compressors"] | None,
    Parameter(help="What else predicts the lines that judge: general compressors, after the training lines."),
]
From = Annotated[
    str | None,
    Parameter(
        name="--from", help="Pool the n-gram with the lines of this run folder, or with names, the bundled ones."
    ),
]
Data = Annotated[DataConfig, Parameter(name="*", negative_bool=())]
Source = Annotated[SourceConfig, Parameter(name="*", negative_bool=())]
Training = Annotated[TrainingConfig, Parameter(name="*")]
Distillation = Annotated[DistillationConfig, Parameter(name="*", negative_bool=())]
Sampling = Annotated[SamplingConfig, Parameter(name="*", allow_leading_hyphen=True)]
Wishes = Annotated[Asked, Parameter(name="*", allow_leading_hyphen=True)]
BEST = "mlp+ngram"
"""The model that lr-find and tune take unless another is asked for: `make` trains it too."""


def listed(text: str) -> list[str]:
    """Split what an argument names, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def check_at_once(count: int) -> None:
    """Raise `UsageError` for a number of trainings side by side that cannot be."""
    if count < 1:
        raise UsageError(f"--at-once {count}: must be at least 1")


def check_picture(path: Path) -> None:
    """Raise `UsageError` if a picture cannot be drawn or not be written there: to be asked before the work."""
    if path.suffix.removeprefix(".").lower() not in FORMATS:
        raise UsageError(f"-o {path}: a picture's name ends in .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    require("matplotlib", "drawing pictures")
    check_file(path)


def newest() -> Path:
    """Find the newest run under ./runs, and say which it is. `RunError` if there is none."""
    from ..training.runs.folder import newest_run

    path = newest_run()
    terminal.note(f"with {path}, the newest run")
    return path
