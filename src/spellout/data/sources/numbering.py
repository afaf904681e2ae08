"""Where in a file its lines stand: reading leaves blank lines out, and who is to mend a line must find it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def numbers_in_file(path: str | Path, encoding: str | None, places: Iterable[int], lines: int) -> dict[int, int]:
    """Give the number in a text file, from 1, of each of some lines that were read from it, whose `places` are
    counted from 0 without the blank ones.

    Of standard input, and of what is no text of so many `lines` that are not blank, it is the place plus one.
    """
    numbers = {place: place + 1 for place in places}
    if str(path) == "-" or not Path(path).is_file():
        return numbers
    place, found = 0, {}
    try:
        with open(path, encoding=encoding or "utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    if place in numbers:
                        found[place] = number
                    place += 1
    except (OSError, UnicodeError):  # it is compressed, or was a pipe
        return numbers
    return found if place == lines else numbers
