"""Who hears of what is computed: the recording that goes on in this thread, if one does.

A thread has a tape of its own, so recordings do not meet, and other threads compute on undisturbed. A thread-local
and not a context variable: a recording is one call, within which a thread does nothing else, while a task that is
started inside would take a copy of the context along and still be recorded after the recording has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from .value import Value


class Tape(Protocol):
    """What hears of everything while a function is recorded (see `programs/recording.py`)."""

    def made(self, node: Value) -> None:
        """A node or a leaf was made."""
        ...

    def looked(self, how: str, instead: str = "") -> NoReturn:
        """The number inside a Value was looked at, which no recording can repeat. Raises RecordingError."""
        ...

    def compared(self, symbol: str, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
        """The numbers of two Values, or of a Value and a plain number, are compared: `looked`, or an answer."""
        ...

    def picked(self, node: Value, rows: Sequence[Any], column: int | None, index: int) -> None:
        """`node`, just made, is what the integer input `index` picks from a column of `rows`."""
        ...

    def candidates(self, node: Value) -> Sequence[Any]:
        """What `node` was picked from: as many as there are rows."""
        ...

    def position(self, node: Value) -> Value:
        """Which of the candidates each example picks, as a number from 0."""
        ...


class _Thread(threading.local):
    tape: Tape | None = None


_thread = _Thread()
RECORDINGS: set[object] = set()
"""One token for every recording of any thread. It only says whether to ask `tape`: where nobody records, a node
costs a look at an empty set. Adding and discarding are atomic; a thread's own token is there while it records."""


def tape() -> Tape | None:
    """Return the tape of the recording that goes on in this thread, if one does."""
    return _thread.tape


@contextmanager
def taped(listener: Tape | None) -> Iterator[None]:
    """Let `listener` hear of every node that this thread makes inside the `with`; None: nobody hears."""
    before, token = _thread.tape, object()
    try:  # from here on whatever happens, Ctrl-C too, is undone
        RECORDINGS.add(token)
        _thread.tape = listener
        yield
    finally:
        _thread.tape = before
        RECORDINGS.discard(token)


def look(how: str, instead: str = "") -> None:
    """Say that a number is about to be looked at: an error while this thread records, that names `instead`."""
    if RECORDINGS:
        listener = _thread.tape
        if listener is not None:
            listener.looked(how, instead)
