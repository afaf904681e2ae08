"""The run folder: a trained model that explains itself.

    config.json        format and versions, model and settings, data fingerprint and split, results
    vocabulary.json    the tokens
    best.safetensors   what the model has learned: the best weights
    last.safetensors   where the training is, and all that going on needs (only of models that learn in steps)
    train.txt          the training lines, so that "new" and "nearest" can be answered (not after streaming)
    log.jsonl          what happened, one event a line

Nothing in it can carry code. A run is written beside its place and renamed into it, so there is either the whole
run or none of it. Later checkpoints replace single files, each whole and by rename: a run that is used needs only
the best weights, one that goes on only the last, so they need not be of the same moment.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ...data.lines import LONGEST_LINE
from ...data.vocabulary import Vocabulary, vocabulary_from_json
from ...errors import RunError
from ...files import told
from ...generation.evaluation import LONGEST_MADE, Evaluation
from ...models.contract import LanguageModel
from ...models.stored import DAMAGE, said
from ...models.table import MODELS
from ...version import __version__
from ..loop import Reason
from .checkpoint import Checkpoint
from .log import LOG
from .places import check_folder
from .places import newest_run as newest

FORMAT = 1
CONFIG, _VOCABULARY, _WEIGHTS, LAST, _LINES = (
    "config.json",
    "vocabulary.json",
    "best.safetensors",
    "last.safetensors",
    "train.txt",
)


@dataclass(frozen=True)
class Run:
    """A model with everything needed to use it. `facts` is the part of `config.json` that people read:
    data, split, results. `lines` are the training lines, None if they were not kept. `last` is where a training
    in steps is, None of other models and of a run that was read only to be used."""

    family: str
    model: LanguageModel
    vocabulary: Vocabulary
    lines: Sequence[str] | None
    facts: dict[str, Any]
    events: Sequence[dict[str, Any]] = field(default_factory=list)
    last: Checkpoint | None = None

    @property
    def usual_length(self) -> int:
        """99 % of the training lines have at most so many tokens."""
        return int(self.facts["usual_length"])

    @property
    def length_limit(self) -> int:
        """Lines made have at most so many tokens, unless another limit is set: far more than is usual, and as many
        as the longest training line, so that a list of short lines with a few long ones can be continued too."""
        longest = int(self.facts.get("longest", 0))
        return min(max(2 * self.usual_length + 10, longest), LONGEST_MADE)


@dataclass(frozen=True)
class Trained:
    """A run, and what it took. `stopped` says what ended a training in steps, None for models that count."""

    run: Run
    seconds: float
    dev: Evaluation | None
    stopped: Reason | None = None


def save_run(run: Run, path: str | Path, overwrite: bool = False) -> None:
    """Write a run folder. `RunError` if something else is in the way; with `overwrite`, only another run is."""
    path = Path(path)
    check_place(path, overwrite)
    real = Path(os.path.realpath(path))  # a link stays, and what it leads to is replaced
    with told(path, "written", remedy="choose another -o"):
        temporary = _beside(real)
    try:
        with told(path, "written", remedy="choose another -o"):
            _write_whole(run, temporary, real)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A new folder beside a place, which a rename brings there; the folders above are made too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of a long name only the beginning: the whole one may be as long as names can be.
    return Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))


def _write_whole(run: Run, temporary: Path, path: Path) -> None:
    temporary.chmod(0o755)
    _write(temporary / _VOCABULARY, _json(run.vocabulary.to_json(), indent=None))
    if run.lines is not None:
        _write(temporary / _LINES, "".join(line + "\n" for line in run.lines).encode())
    for name, content in _changing(run):
        _write(temporary / name, content)
    _put(temporary, path)


class Keeper:
    """Keeps a run in a folder while it is trained: written whole the first time, brought up to date after that.

    `there`: the folder already holds an earlier state of the same training.
    """

    def __init__(self, path: str | Path, overwrite: bool = False, there: bool = False) -> None:
        self._path, self._overwrite, self._there = Path(path), overwrite, there

    def __call__(self, run: Run) -> None:
        """Write what has changed. `RunError` if that is not possible."""
        if not self._there:
            save_run(run, self._path, self._overwrite)
            self._there = True
            return
        with told(self._path, "written"):
            for name, content in _changing(run):
                temporary = self._path / f".{name}"
                _write(temporary, content)
                os.replace(temporary, self._path / name)


def _changing(run: Run) -> Iterator[tuple[str, bytes]]:
    """The files that a training changes, `last` last: what others hold of later moments, going on replaces."""
    config = {
        "format": FORMAT,
        "spellout": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": run.family,
        "settings": run.model.settings(),
        **run.facts,
    }
    yield LOG, b"".join(_json(event, indent=None) for event in run.events)
    yield _WEIGHTS, save(run.model.arrays())
    yield CONFIG, _json(config, indent=2)
    if run.last is not None:
        yield LAST, run.last.to_bytes()


def load_run(path: str | Path) -> Run:
    """Read a run folder. `RunError` says what is missing or damaged; nothing in the folder is executed."""
    path = Path(path)
    config = read_config(path)
    try:
        vocabulary = vocabulary_from_json(_read_json(path, _VOCABULARY))
        arrays = load((path / _WEIGHTS).read_bytes())
        model = MODELS[config["model"]].model.restore(config["settings"], arrays)
        if model.vocabulary_size != vocabulary.size:
            raise ValueError("the vocabulary and the weights differ in size")
        for name in ("usual_length", "longest"):
            length = config.get(name, 1 if name == "longest" else None)  # runs of 0.1 do not say the longest
            if type(length) is not int or not 0 < length <= LONGEST_LINE:
                raise ValueError(f"{name} is not the length of a line")
        lines = _read_lines(path / _LINES, config) if (path / _LINES).exists() else None
    except FileNotFoundError as error:
        raise RunError(f"{path} is damaged: {Path(error.filename).name} is missing; train again") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    except DAMAGE as error:
        raise RunError(f"{path} is damaged: its files do not fit together ({said(error)}); train again") from None
    skip = {"format", "spellout", "python", "numpy", "created", "model", "settings"}
    facts = {key: value for key, value in config.items() if key not in skip}
    return Run(config["model"], model, vocabulary, lines, facts)


def _read_lines(path: Path, config: dict[str, Any]) -> list[str]:
    """The training lines. ValueError if some are missing, as a line could then be called new that is not."""
    *lines, rest = path.read_text("utf-8").split("\n")
    if rest or not lines or len(lines) != config.get("split", {}).get("train", len(lines)):
        raise ValueError(f"{path.name} does not hold the lines it was trained on")
    return lines


def read_config(path: Path) -> dict[str, Any]:
    """Read `config.json`. `RunError` if it is not there, damaged, or of a newer version."""
    config = _read_json(path, CONFIG)
    written = config.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise RunError(
            f"{path} was written by spellout {config.get('spellout')} in format {written}; "
            f"this is spellout {__version__}, which reads formats up to {FORMAT}: upgrade spellout"
        )
    model = config.get("model")
    if type(written) is not int or not isinstance(model, str) or model not in MODELS:
        raise RunError(f"{path / CONFIG} is damaged or not of a run: it names no known model; train again")
    return config


def check_place(path: Path, overwrite: bool = False) -> None:
    """`RunError` if a run cannot be written there: to be asked before a training, not after it."""
    with told(path, "written", remedy="choose another -o"):
        if path.is_file():
            raise RunError(f"{path} is a file; choose a folder for the run with -o")
        if path.exists() and any(path.iterdir()):
            if not (path / CONFIG).exists():
                raise RunError(f"{path} holds other files and is not a run; choose another folder with -o")
            if not overwrite:
                raise RunError(f"{path} already holds a run; choose another folder with -o, or add --overwrite")
    check_folder(path)


def newest_run() -> Path:
    """The run under `./runs` that was written last. `RunError` if there is none."""
    return newest(CONFIG)


def _put(temporary: Path, path: Path) -> None:
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


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _json(content: Any, indent: int | None) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=indent) + "\n").encode()


def _read_json(path: Path, name: str) -> dict[str, Any]:
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
