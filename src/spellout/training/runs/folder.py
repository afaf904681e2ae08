"""The files of a run folder: what they are called, how they are written whole, and what `config.json` must say.

    config.json        format and versions, model and settings, data fingerprint and split, results
    vocabulary.json    the tokens
    best.safetensors   what the model has learned: the best weights
    last.safetensors   where the training is, and all that going on needs (only of models that learn in steps)
    train.txt          the training lines, so that "new" and "nearest" can be answered (not after streaming)
    new.safetensors    what a model of new lines has along those lines (see `models/new_lines`), if that is known
    log.jsonl          what happened, one event a line

Nothing in it can carry code. A run is written beside its place and renamed into it, so there is either the whole
run or none of it. Later checkpoints replace single files, each whole and by rename: a run that is used needs only
the best weights, one that goes on only the last, so they need not be of the same moment.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import RunError
from ...models.stored import DAMAGE, said
from ...version import __version__
from .places import RUNS, check_folder, holds

FORMAT = 1
CONFIG = "config.json"
VOCABULARY = "vocabulary.json"
WEIGHTS = "best.safetensors"
LAST = "last.safetensors"
LINES = "train.txt"
NEW = "new.safetensors"


def read_config(path: Path, models: Container[str]) -> dict[str, Any]:
    """Read `config.json`. `RunError` if it is not there, damaged, of a newer version, or of no known model."""
    config = read_json(path, CONFIG)
    written = config.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise RunError(
            f"{path} was written by spellout {config.get('spellout')} in format {written}; "
            f"this is spellout {__version__}, which reads formats up to {FORMAT}: upgrade spellout"
        )
    model = config.get("model")
    if type(written) is not int or not isinstance(model, str) or model not in models:
        raise RunError(f"{path / CONFIG} is damaged or not of a run: it names no known model; train again")
    return config


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read one JSON object of a run folder. `RunError` if that is not possible."""
    if path.is_file():
        raise RunError(f"{path} is a file, not a run folder; make one with: spellout train {path} -o RUN")
    if not path.is_dir():
        raise RunError(f"{path}: no such run folder; make one with: spellout train FILE -o {path}")
    try:
        content = json.loads((path / name).read_text("utf-8"))
    except FileNotFoundError:
        what = "is not a run folder: it has no" if name == CONFIG else "is damaged: it has no"
        raise RunError(f"{path} {what} {name}; make one with: spellout train FILE -o RUN") from None
    except OSError as error:
        raise RunError(f"{path / name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise RunError(f"{path / name} is damaged: it is not JSON; train again") from None
    if not isinstance(content, dict):
        raise RunError(f"{path / name} is damaged: it is not a JSON object; train again")
    return content


@contextmanager
def fitting(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turn what reading damaged files raises, and `more`, into a `RunError`: they do not fit together."""
    damage: tuple[type[Exception], ...] = (*DAMAGE, *more)
    try:
        yield
    except damage as error:
        raise RunError(f"{path} is damaged: its files do not fit together ({said(error)}); train again") from None


def check_place(path: Path, overwrite: bool = False) -> None:
    """Raise `RunError` if a run cannot be written there: to be asked before a training, not after it."""
    if holds(path, CONFIG, "run") and not overwrite:
        raise RunError(f"{path} already holds a run; choose another folder with -o, or add --overwrite")
    check_folder(path)


def newest_run() -> Path:
    """Find the run under `./runs` that was written last: of all folders with a `config.json`. Or `RunError`."""
    found = [(path.stat().st_mtime_ns, str(path.parent)) for path in RUNS.rglob(CONFIG)] if RUNS.is_dir() else []
    if not found:
        raise RunError(
            "there is no run under ./runs yet: make one with `spellout train FILE`, or name another folder"
        )
    return Path(max(found)[1])


def beside(path: Path) -> Path:
    """Make a new folder beside a place, which a rename brings there; the folders above are made too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of a long name only the beginning: the whole one may be as long as names can be.
    return Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))


def write(path: Path, content: bytes) -> None:
    """Write a file, so that it is on the disk when this returns."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def put(temporary: Path, path: Path) -> None:
    """Rename the finished folder into place; an old run is moved aside first and removed after."""
    if path.exists() and any(path.iterdir()):
        old = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.old.", dir=path.parent))
        os.replace(path, old)
        try:
            os.replace(temporary, path)
        except OSError:
            os.replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(temporary, path)
    with suppress(OSError):  # so that the rename survives a power cut; not every system can
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def as_json(content: Any, indent: int | None = None) -> bytes:
    """Write something as a JSON file holds it, ended by a newline."""
    return (json.dumps(content, ensure_ascii=False, indent=indent) + "\n").encode()
