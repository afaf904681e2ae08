"""Which files a command line names: files as they are, and of a folder its text files, sorted by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, UsageError
from ...files import shown, told
from .compressed import head
from .config import STREAM

_TABLE = b"PAR1"  # how a Parquet file begins


@dataclass(frozen=True)
class Found:
    """What was `named`, and the files to read, in their order; of the folders among what was named, which files
    these have, and which of them are no text and are left out."""

    named: list[str]
    files: list[str]
    folders: dict[str, list[str]]
    left_out: list[str]


Paths = str | Path | Sequence[str | Path] | Found


def listed(paths: Paths) -> list[str]:
    """Give what was named as a list, whether it is one file or several."""
    if isinstance(paths, Found):
        return paths.named
    return [str(paths)] if isinstance(paths, (str, Path)) else [str(path) for path in paths]


def find(paths: Paths) -> Found:
    """Look for the files, once. `DataError` if one is missing or a folder has no text; `UsageError` for - twice."""
    if isinstance(paths, Found):
        return paths
    named = listed(paths)
    if named.count(STREAM) > 1:
        raise UsageError("- is standard input, which can be read once only: name it once")
    files: list[str] = []
    folders: dict[str, list[str]] = {}
    left_out: list[str] = []
    for path in named:
        if path == STREAM or not os.path.isdir(path):
            files.append(path)
            continue
        with told(path, "read", DataError):
            inside = sorted(one for one in Path(path).iterdir() if one.is_file() and one.name[0] != ".")
            texts = [str(one) for one in inside if _is_text(one)]
        if not texts:
            what = f"its {len(inside)} files are no text" if inside else "it has no files"
            raise DataError(f"{shown(path)} is a folder without text files ({what}); name a file or another folder")
        folders[path] = texts
        left_out += [str(one) for one in inside if str(one) not in texts]
        files += texts
    return Found(named, files, folders, left_out)


def _is_text(path: Path) -> bool:
    """Say whether a file looks like text in UTF-8, or like a table in Parquet, perhaps compressed."""
    begin = head(path)
    if begin.startswith(_TABLE):
        return True
    try:
        begin.decode()
    except UnicodeDecodeError as error:  # a character may be cut at the end of what was looked at
        # another encoding is text, which reading it will tell; what is not, has control characters
        if error.start < len(begin) - 4:
            return not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in begin)
    return b"\0" not in begin


def source_name(paths: Paths) -> str:
    """How messages call a file, several of them, or `-`."""
    first, *others = [_name(path) for path in listed(paths)]
    if len(others) > 1:
        return f"{first} and {len(others)} more"
    return " and ".join([first, *others])


def _name(path: str) -> str:
    return "standard input" if path == STREAM else path


def missing(path: str) -> DataError:
    """Say that there is no such file, with the most similar name in the same folder."""
    return DataError(f"{shown(path)}: no such file{_nearest_name(Path(path))}")


def _nearest_name(path: Path) -> str:
    """A hint with the file of the most similar name in the same folder, or nothing."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except FileNotFoundError:
        return f"; the folder {shown(path.parent)} does not exist either"
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
