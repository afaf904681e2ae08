"""Pieces of a large file that are like the whole, for who only wants to look at it.

The pieces are of equal size, and spread evenly, as the lines of a list may be sorted; the first one is the
beginning of the file, where a header would stand.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

LARGE = 1 << 25
"""Bytes of a file of which pieces are looked at."""
PIECES, PIECE = 64, 1 << 18
_HEAD = 1 << 12
_WIDE = "utf-16", "utf-32", "utf-7", "idna", "punycode"
"""In these a line end is not one byte that nothing else holds."""


@dataclass(frozen=True)
class Excerpt:
    """Some whole lines of a file.

    Attributes:
        path: a file that holds them, for now.
        taken, size: how many bytes they are, and how many the whole file has.
    """

    path: str
    taken: int
    size: int

    def __str__(self) -> str:
        """Say what was taken."""
        share = self.taken / self.size
        return (
            f"{PIECES} pieces of the file, spread evenly, {self.taken / 1e6:,.1f} of {self.size / 1e6:,.1f} MB "
            f"({share:.1%}): all that follows is of these"
        )


@contextmanager
def excerpt(path: str | None, encoding: str | None) -> Iterator[Excerpt | None]:
    """Give pieces of a file; None if it is to be read whole: as it is small, a pipe, or no plain text."""
    if path is None or not os.path.isfile(path) or os.path.getsize(path) < LARGE or _is_wide(encoding):
        yield None
        return
    with tempfile.NamedTemporaryFile() as some:
        try:
            with open(path, "rb") as file:
                taken = _copy(file, some, os.path.getsize(path))
        except OSError:  # reading it whole will say why
            taken = 0
        yield Excerpt(some.name, taken, os.path.getsize(path)) if taken else None


def _is_wide(encoding: str | None) -> bool:
    return encoding is not None and encoding.lower().replace("_", "-").startswith(_WIDE)


def _copy(file: BinaryIO, some: tempfile._TemporaryFileWrapper[bytes], size: int) -> int:
    """Copy whole lines of every piece, and count their bytes; none if it does not look like lines of text."""
    head = file.read(_HEAD)
    if b"\0" in head:
        return 0
    taken = 0
    for number in range(PIECES):
        start = number * (size - PIECE) // (PIECES - 1)
        file.seek(start)
        piece = file.read(PIECE)
        # A piece begins behind the first line end in it, and ends with the last one.
        first = piece.find(b"\n") + 1 if number else 0
        last = len(piece) if number == PIECES - 1 else piece.rfind(b"\n") + 1
        if last > first:
            taken += some.write(piece[first:last])
    some.flush()
    return taken
