"""Who hears of what is computed: the recording that goes on in this thread, if one does.

A thread has a listener of its own, so recordings do not meet, and other threads compute on undisturbed. It is a
thread-local and not a context variable: a recording is one call, within which a thread does nothing else, while a
task that is started inside would take a copy of the context along and still be recorded after the recording has
ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol


class Listener(Protocol):
    """What hears of everything while a function is recorded, as `programs/recording.py` does to write it down.

    The nodes are Values, which this file does not know.
    """

    def made(self, node: Any) -> None:
        """A node or a leaf was made."""

    def looked(self, how: str, instead: str = "") -> NoReturn:
        """The number inside a Value was looked at, which no recording can repeat. Raises RecordingError."""

    def compared(self, symbol: str, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
        """The numbers of two Values, or of a Value and a plain number, are compared: `looked`, or an answer."""

    def picked(self, node: Any, rows: Sequence[Any], column: int | None, index: int) -> None:
        """`node`, just made, is what the integer input `index` picks from a column of `rows`."""

    def candidates(self, node: Any) -> Sequence[Any]:
        """Return what `node` was picked from: as many as there are rows."""

    def position(self, node: Any) -> Any:
        """Return which of the candidates each example picks, a Value that counts from 0."""


class _Thread(threading.local):
    listener: Listener | None = None


_thread = _Thread()
RECORDINGS: set[object] = set()
"""One token for every recording of any thread. It only says whether to ask `current_listener`: where nobody
records, a node costs a look at an empty set. Adding and discarding are atomic; a thread's own token is there
while it records."""


def current_listener() -> Listener | None:
    """Return what hears of this thread's nodes, if a recording goes on in it."""
    return _thread.listener


@contextmanager
def heard_by(listener: Listener | None) -> Iterator[None]:
    """Let `listener` hear of every node that this thread makes inside the `with`; None: nobody hears."""
    before, token = _thread.listener, object()
    try:  # from here on whatever happens, Ctrl-C too, is undone
        RECORDINGS.add(token)
        _thread.listener = listener
        yield
    finally:
        _thread.listener = before
        RECORDINGS.discard(token)


def look(how: str, instead: str = "") -> None:
    """Say that a number is about to be looked at: an error while this thread records, that names `instead`."""
    if RECORDINGS:  # where nobody records, not even the thread-local is asked
        listener = _thread.listener
        if listener is not None:
            listener.looked(how, instead)
