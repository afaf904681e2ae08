"""Which files a script opens to write into, told by Python's audit event of `open`."""

from __future__ import annotations

import os
import tempfile
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT
_PASSING = (tempfile.gettempdir() + os.sep, os.devnull, "/dev/", "/proc/")


def opened_to_write(args: tuple[Any, ...]) -> bool:
    """Do these arguments of the event (path, mode, flags) open a file that outlasts the script?"""
    path, mode, flags = args[:3]
    if not isinstance(path, str) or "__pycache__" in path or path.startswith(_PASSING):
        return False
    return any(letter in mode for letter in "wxa+") if isinstance(mode, str) else bool(flags & _WRITING)
