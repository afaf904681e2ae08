"""Matrix products on one thread.

NumPy's BLAS takes all cores for any product of a moderate size. For those of a small network that wins little on an
idle machine; beside other work, its threads wait for each other, and a step takes five times as long. And sums of
floats come out otherwise for another number of threads, so that a training could not be repeated on another machine
of the same kind. NumPy has no function for it; the OpenBLAS that its wheels bring has one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np

_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")
# OpenBLAS has one number for the whole process: the first to come changes it, and the last to leave restores it.
_LOCK = Lock()
_INSIDE: list[bool] = []
_BEFORE: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Have matrix products run on one thread, if NumPy has its own OpenBLAS; with another BLAS, nothing changes."""
    functions = _functions()
    if functions is None:
        yield
        return
    threads, set_threads = functions
    with _LOCK:
        if not _INSIDE:
            _BEFORE[:] = [threads()]
            set_threads(1)
        _INSIDE.append(True)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                set_threads(_BEFORE[0])


@cache
def _functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """OpenBLAS's functions that give and set the number of threads."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):  # on macOS the latter
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))  # NumPy has loaded it: this is the same one
            for name in _NAMES:
                if hasattr(library, name.format("set")):
                    return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None
