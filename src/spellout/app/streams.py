"""The standard streams of the command: UTF-8 whatever the locale says, and no line lost in silence.

Data that standard output does not take is an `OutputError`, also where that shows only when the stream is closed
(a full disk). A reader who leaves, as `head` does, is a `ReaderLeft`. Messages are another matter: a command does
its work without them, so what standard error does not take is dropped. A stream that was closed before the command
began (`>&-`) fails when it is used, not before, and no other file takes its number.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import TextIO

from ..errors import OutputError
from ..files import reason


class ReaderLeft(Exception):
    """Nobody reads our standard output any more."""


class _Data(io.FileIO):
    """A stream on which nothing may be lost."""

    failed = False

    def write(self, content: bytes, /) -> int:  # type: ignore[override]
        """Write, and wait where the reader is slow and the pipe would not make us wait."""
        if self.failed:  # what is left in a buffer could only fail again, when Python ends
            return len(content)
        try:
            while (written := super().write(content)) is None:
                select.select([], [self], [])
            return written
        except BrokenPipeError:
            self.failed = True
            raise ReaderLeft from None
        except OSError as error:
            self.failed = True
            raise OutputError(f"standard output cannot be written: {reason(error)}") from None


class _Messages(io.FileIO):
    """A stream that drops what it cannot write."""

    def write(self, content: bytes, /) -> int:  # type: ignore[override]
        """Write if that is possible."""
        try:
            return super().write(content) or len(content)
        except OSError:
            return len(content)


def prepare() -> None:
    """Put our streams in the place of Python's."""
    for number, stream in enumerate([sys.stdin, sys.stdout, sys.stderr]):
        if stream is None:
            _occupy(number)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    if _is_plain(sys.stdout):
        sys.stdout = _text(_Data(1, "w"), "surrogateescape", sys.stdout)  # a file's name may hold any bytes
    if _is_plain(sys.stderr):
        sys.stderr = _text(_Messages(2, "w", closefd=False), "backslashreplace", sys.stderr)


_lent = False
"""A script of somebody else's ran: what it has begun may print until the process ends."""


@contextlib.contextmanager
def lent(as_messages: bool = False) -> Iterator[None]:
    """A script gets streams of its own, to close or replace; `as_messages`: what it prints is no data of ours."""
    global _lent
    before, _lent = (sys.stdout, sys.stderr), True
    sys.stdout, sys.stderr = _copy(sys.stderr if as_messages else sys.stdout), _copy(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if not getattr(stream, "closed", False):
                stream.flush()
        sys.stdout, sys.stderr = before


def _copy(stream: TextIO) -> TextIO:
    """Another stream that writes to the same place, if it is one of ours."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if not isinstance(raw, _Data | _Messages):
        return stream
    stream.flush()
    return _text(type(raw)(os.dup(raw.fileno()), "w"), stream.errors or "strict", stream)


def end() -> None:
    """Close standard output, or hand on what was printed where others may print yet."""
    if _lent:
        sys.stdout.flush()
    else:
        sys.stdout.close()


def _occupy(number: int) -> None:
    """Put something in the place of a closed stream: standard error swallows, the others fail when used."""
    opened = os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_WRONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _is_plain(stream: TextIO | None) -> bool:
    """Whether a stream writes to a file descriptor; the console of Windows, for one, does not."""
    buffer = getattr(stream, "buffer", None)  # with PYTHONUNBUFFERED there is nothing between
    return stream is None or io.FileIO in (type(buffer), type(getattr(buffer, "raw", None)))


def _text(raw: io.FileIO, errors: str, before: TextIO | None) -> io.TextIOWrapper:
    at_once = raw.isatty() or getattr(before, "write_through", False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors=errors, line_buffering=at_once)
