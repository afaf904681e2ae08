"""What a model can be exported as: by the suffix of the file, the module that writes it.

A target is a module of this room with `written(portable) -> bytes`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from ..errors import UsageError
from .portable import Portable

TARGETS = {
    ".html": (".html.page", "one page that makes lines in any browser"),
    ".onnx": (".onnx", "one step for onnxruntime"),
    ".h": (".clang", "a header for C99"),
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
