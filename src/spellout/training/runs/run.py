"""A trained model with all that is needed to use it, written to a run folder and read back (see `folder`)."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ...data.escape import Escape
from ...data.sources.text import LONGEST_LINE
from ...data.vocabulary.protocol import Vocabulary
from ...data.vocabulary.stored import vocabulary_from_json
from ...errors import GenerationError, RunError
from ...files import told
from ...generation.config import LONGEST_MADE
from ...generation.losses import Conditional, Evaluation
from ...generation.new_lines import without_known
from ...models.contract import LanguageModel
from ...models.family import Family
from ...models.new_lines.model import Weighted
from ...models.new_lines.sharpness import fitted_sharpness
from ...version import __version__
from ..loop import Reason
from . import folder
from .checkpoint import Checkpoint
from .kept_lines import as_text, fingerprint_of, new_as_bytes, read_lines, read_new
from .log import LOG
from .places import writing


@dataclass(frozen=True)
class Run:
    """Holds a model with everything needed to use it.

    `facts` is the part of `config.json` that people read: data, split, results. `lines` are the training lines,
    None if they were not kept. `last` says where a training in steps is; it is None for other models and for a run
    that was read only to be used. `ratios` and `sharpness` are those of the model of new lines, if they
    were worked out.
    """

    family: str
    model: LanguageModel
    vocabulary: Vocabulary
    lines: Sequence[str] | None
    facts: dict[str, Any]
    events: Sequence[dict[str, Any]] = field(default_factory=list)
    last: Checkpoint | None = None
    ratios: np.ndarray | None = None
    sharpness: float | None = None

    @property
    def usual_length(self) -> int:
        """Say how many tokens 99 % of the training lines have at most."""
        return int(self.facts["usual_length"])

    @property
    def length_limit(self) -> int:
        """Say how many tokens a line made has at most, unless another limit is set.

        They are far more than is usual, and as many as the longest training line has, so that a list of short lines
        with a few long ones can be continued too.
        """
        longest = int(self.facts.get("longest", 0))
        return min(max(2 * self.usual_length + 10, longest), LONGEST_MADE)

    @cached_property
    def stream(self) -> np.ndarray:
        """Give the training lines in tokens, none if they were not kept."""
        return self.vocabulary.encode(self.lines or [])

    @cached_property
    def known(self) -> frozenset[str]:
        """Give the training lines as a set, which is empty if they were not kept."""
        return frozenset(self.lines or ())

    @cached_property
    def power(self) -> float:
        """Say to which power its chances are taken for new lines (see `models/new_lines/sharpness.py`)."""
        found = self.sharpness
        return fitted_sharpness(self.stream, self.vocabulary.size) if found is None else found

    def new_lines(self, progress: Callable[[float], None] = lambda share: None) -> Weighted | None:
        """Give the model of lines that are not among the training lines; None if those were not kept.

        `progress` hears which share of the lines the model has been asked about. `GenerationError` if it makes no
        other lines.
        """
        if self.lines is None:
            return None
        try:
            ratios = None if self.sharpness is None else self.ratios
            return without_known(self.model, self.vocabulary, self.stream, self.power, progress, ratios)
        except ValueError:
            raise GenerationError(
                "the model makes no line that it has not learned from; train on more lines, or another model"
            ) from None


@dataclass(frozen=True)
class Trained:
    """Holds a run, what it took, and how good it is.

    `stopped` says what ended a training in steps, None for models that count. `dev` is the loss of the model as it
    is, and `new` that of the model of new lines, where there is one.
    """

    run: Run
    seconds: float
    dev: Evaluation | None
    stopped: Reason | None = None
    new: Conditional | None = None

    @property
    def loss(self) -> float:
        """Give the nats per character that decide which model is better. There must be dev lines."""
        decides = self.new.result if self.new else self.dev
        assert decides is not None
        return decides.nats_per_char


def save_run(run: Run, path: str | Path, overwrite: bool = False) -> None:
    """Write a run folder. `RunError` if something else is in the way; with `overwrite`, only another run is."""
    path = Path(path)
    folder.check_place(path, overwrite)
    real = Path(os.path.realpath(path))  # a link stays, and what it leads to is replaced
    with writing(path):
        temporary = folder.beside(real)
        try:
            temporary.chmod(0o755)
            folder.write(temporary / folder.VOCABULARY, folder.as_json(run.vocabulary.to_json()))
            if run.lines is not None:
                folder.write(temporary / folder.LINES, as_text(run.lines))
            for name, content in _changing(run):
                folder.write(temporary / name, content)
            folder.put(temporary, real)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


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
            (self._path / folder.NEW).unlink(missing_ok=True)  # of other weights
            for name, content in _changing(run):
                temporary = self._path / f".{name}"
                folder.write(temporary, content)
                os.replace(temporary, self._path / name)


def _changing(run: Run) -> Iterator[tuple[str, bytes]]:
    """Give the files that a training changes, `last` last: going on replaces what others hold of later moments."""
    config = {
        "format": folder.FORMAT,
        "spellout": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": run.family,
        "settings": run.model.settings(),
        **run.facts,
    }
    if run.lines is not None:
        config["lines_fingerprint"] = fingerprint_of(as_text(run.lines))
    weights = save(run.model.arrays())
    yield LOG, b"".join(folder.as_json(event) for event in run.events)
    yield folder.WEIGHTS, weights
    yield folder.CONFIG, folder.as_json(config, indent=2)
    if run.ratios is not None:
        new = new_as_bytes(run.ratios, run.sharpness, weights, config["settings"], run.lines or [])
        yield folder.NEW, new
    if run.last is not None:
        yield folder.LAST, run.last.to_bytes()


def read_run(path: str | Path, models: Mapping[str, Family]) -> Run:
    """Read a run folder, of one of these models. Nothing in the folder is executed.

    `RunError` says what is missing or damaged.
    """
    path = Path(path)
    config = folder.read_config(path, models)
    try:
        with folder.fitting(path):
            tokens = folder.read_json(path, folder.VOCABULARY)
            vocabulary = vocabulary_from_json(tokens)
            weights = (path / folder.WEIGHTS).read_bytes()
            model = models[config["model"]].model.restore(config["settings"], load(weights))
            if model.vocabulary_size != vocabulary.size:
                raise ValueError("the vocabulary and the weights differ in size")
            for name in ("usual_length", "longest"):
                length = config.get(name, 1 if name == "longest" else None)  # runs of 0.1 do not say the longest
                if type(length) is not int or not 0 < length <= LONGEST_LINE:
                    raise ValueError(f"{name} is not the length of a line")
            kept = path / folder.LINES
            lines = read_lines(kept, config, vocabulary) if kept.exists() else None
            if "seen" not in tokens:  # earlier versions did not count
                if lines is not None:
                    vocabulary = vocabulary.counted(lines)
                else:  # a line has one token and its end, at least
                    vocabulary.escape = Escape(2 * int(config["split"]["train"]), 0)
            new = read_new(path / folder.NEW, weights, config["settings"], lines) if lines else {}
    except FileNotFoundError as error:
        raise RunError(f"{path} is damaged: {Path(error.filename).name} is missing; train again") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    skip = {"format", "spellout", "python", "numpy", "created", "model", "settings", "lines_fingerprint"}
    facts = {key: value for key, value in config.items() if key not in skip}
    return Run(config["model"], model, vocabulary, lines, facts, **new)
