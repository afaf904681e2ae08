"""Where results go: whether something can be written there, asked before the work, and places nobody named."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from ...errors import RunError
from ...files import reason, told

RUNS, STUDIES = Path("runs"), Path("studies")
"""The folders for runs and studies that were given no other."""
_LONGEST_NAME = 60
_REMEDY = "choose another -o"
writing = partial(told, done="written", remedy=_REMEDY)
"""`with writing(path):` turns an `OSError` into the sentence that nothing can be written there."""


def check_folder(path: Path) -> None:
    """Raise `RunError` if a folder cannot be made at `path` or renamed to it, as is tried out, and undone."""
    with writing(path):
        real = Path(os.path.realpath(path))
        if real == Path.cwd():
            raise RunError(f"{path} is the folder you are in; choose a new folder in it with -o")
        if real.is_symlink():
            raise RunError(f"{path} is a link that leads nowhere; choose another folder with -o")
        there = real.parent
        while not there.is_dir():
            if os.path.lexists(there):
                raise RunError(f"{path} cannot be written: {there} is not a folder; choose another -o")
            there = there.parent
        (there / real.name).exists()  # is its name too long?
        shutil.rmtree(tempfile.mkdtemp(prefix=f".{real.name[:40]}.", dir=there))


def holds(folder: Path, file: str, kind: str) -> bool:
    """Say whether a folder holds a run or a study, which has such a file. `RunError` if it holds something else."""
    with writing(folder):
        if folder.is_file():
            raise RunError(f"{folder} is a file; choose a folder for the {kind} with -o")
        if not folder.exists() or not any(folder.iterdir()):
            return False
        if not (folder / file).exists():
            raise RunError(f"{folder} holds other files and is not a {kind}; choose another folder with -o")
        return True


def check_file(path: Path) -> None:
    """Raise `RunError` if a file cannot be written at `path`, whose folder must be there."""
    with writing(path):
        if path.is_dir():
            raise RunError(f"{path} is a folder; name a file with -o")
        if not path.parent.is_dir():
            raise RunError(
                f"{path} cannot be written: there is no folder {path.parent}; make it, or choose another -o"
            )
        if path.exists():
            with open(path, "ab"):
                return
        with open(path, "xb"):
            pass
        path.unlink()


def name_of(files: Sequence[str], *more: str) -> str:
    """Name what is made from files after the first, shortly, without the ending; the bundled names are `names`."""
    from ...data.sources.compressed import unpacked_name

    file = files[0] if files else None
    stem = "names" if file is None else "lines" if file == "-" else Path(unpacked_name(file)).stem
    words = [re.sub(r"[^\w.]+", "-", word).strip("-.") for word in (stem[:_LONGEST_NAME], *more)]
    return "-".join(word for word in words if word) or "lines"


@contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """Make a new folder `runs/NAME`, numbered if there is one; it is taken away again if it stays empty."""
    number = 1
    while True:
        path = RUNS / (name if number == 1 else f"{name}-{number}")
        try:
            path.parent.mkdir(exist_ok=True)
            path.mkdir()
            break
        except FileExistsError:
            if not RUNS.is_dir():
                raise RunError(f"{RUNS} is a file, so there is no place for the run; choose one with -o") from None
            number += 1
        except OSError as error:
            raise RunError(f"{path} cannot be written: {reason(error)}; {_REMEDY}") from None
    try:
        yield path
    finally:
        with suppress(OSError):  # which says that something is in it
            path.rmdir()
            RUNS.rmdir()
