"""What a model can be exported as, apart from the work, so that help needs no NumPy.

A target is a module of this room with `written(portable) -> bytes`, known by the suffix of the file that it writes.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from ..errors import UsageError

if TYPE_CHECKING:
    from .portable import Portable

Weights = Literal["float32", "float16", "int8"]
"""How weights can be stored."""
WEIGHTS: tuple[Weights, ...] = get_args(Weights)

TARGETS = {
    ".html": (".html.page", "one page that makes lines in any browser"),
    ".onnx": (".onnx", "one step for onnxruntime"),
    ".h": (".clang.header", "a header for C99"),
    ".py": (".python", "a module of Python without dependencies"),
}
"""The module, and what it writes."""


def target_of(path: Path) -> str:
    """Give the suffix of a file to be written. `UsageError` if there is no such target."""
    suffix = path.suffix.lower()
    if suffix not in TARGETS:
        every = ", ".join(f"{one} ({what})" for one, (_, what) in TARGETS.items())
        raise UsageError(f"-o {path}: the file's name says what is written: {every}")
    return suffix


def write(portable: Portable, suffix: str) -> bytes:
    """Give the file of a target."""
    module = import_module(TARGETS[suffix][0], __package__)
    return cast(bytes, module.written(portable))
