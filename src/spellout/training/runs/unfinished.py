"""What a training that was interrupted left in its folder, and whether a command line asks for the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...data.config import DataConfig
from ...data.lines import Lines
from ...data.vocabulary.protocol import Vocabulary
from ...data.vocabulary.stored import vocabulary_from_json
from ...errors import RunError, UsageError
from ...models.contract import Event
from ...models.family import Family, Specification, parse
from ...models.stored import stored_config
from ..config import TrainingConfig
from .checkpoint import Checkpoint
from .folder import LAST, VOCABULARY, fitting, read_config, read_json
from .log import read_log


@dataclass(frozen=True)
class Unfinished:
    """Holds what was asked for of an unfinished training, and where it is."""

    path: Path
    specification: Specification
    data: DataConfig
    training: TrainingConfig
    fingerprint: str
    given: dict[str, dict[str, str]]
    """The name and the fingerprint of the lines of dev and test, if they had files of their own."""
    vocabulary: Vocabulary
    lines: int
    """How many lines it learns from, the first ones of those to train on."""
    checkpoint: Checkpoint
    events: list[Event]
    teacher: dict[str, Any] | None = None
    """What was written of its teacher, if it is a student."""

    @classmethod
    def read(cls, path: str | Path, models: Mapping[str, Family]) -> Unfinished:
        """Read it from a run folder, of one of these models. `RunError` if there is nothing to go on with."""
        path = Path(path)
        config = read_config(path, models)
        if not (path / LAST).exists():
            raise RunError(f"{path} holds no unfinished training: it has no {LAST}; choose another -o")
        checkpoint = Checkpoint.read(path / LAST)
        state = checkpoint.state
        if state.stopped not in (None, "interrupted"):
            raise RunError(
                f"{path} has finished after {state.step:,} steps ({ENDS[state.stopped]}); "
                "train anew, into another -o, with other settings"
            )
        with fitting(path, UsageError):
            data, split, text = config["data"], config["split"], config["specification"]
            if not isinstance(text, str):
                raise ValueError("specification is no text")
            given = _given(split.get("given", {}))
            read = {"split": None if given else split["name"], "split_seed": split["seed"]}
            read |= {name: data[name] for name in ("unit", "min_count")} | {"tokens": data.get("tokens")}
            read |= data.get("source", {})
            training = _training(config["training"], path)
            specification = parse(text, models, training.prior)
            events = [event for event in read_log(path) if event.get("step", 0) <= state.step]
            events.append({"event": "resumed", "step": state.step, "seconds": state.seconds})
            asked = stored_config(DataConfig, read)
            vocabulary = vocabulary_from_json(read_json(path, VOCABULARY))
            where = data["fingerprint"], given, vocabulary, int(split["train"])
            teacher = config.get("teacher")
            return cls(path, specification, asked, training, *where, checkpoint, events, teacher)

    def check(
        self, model: str | None, data: DataConfig, training: TrainingConfig, *others: tuple[Any, Any]
    ) -> None:
        """Raise `UsageError` if something else is asked for than the training does. Defaults ask for nothing.

        `others` are pairs of more settings: those asked for, and those that the training has.
        """
        settings: list[tuple[str, Any, Any, Any]] = [("model", model, self.specification.text, None)]
        for asked, kept in ((data, self.data), (training, self.training), *others):
            for one in fields(asked):
                settings.append((one.name, getattr(asked, one.name), getattr(kept, one.name), one.default))
        for part in ("dev", "test"):  # which file it is, its lines will tell
            there = self.given.get(part)
            if there and getattr(data, part) is None:
                raise UsageError(
                    f"{self.path} was begun with --{part} {there['name']} and goes on as it began; name it again"
                )
            if there:
                settings = [one for one in settings if one[0] != part]
        for name, value, there, default in settings:
            if value not in (default, there):
                flag, now = "--" + name.replace("_", "-"), "has none" if there is None else f"has {there}"
                raise UsageError(
                    f"{flag} {value}: {self.path} {now} and goes on as it began; leave the flag out, or train anew"
                )

    def check_lines(self, lines: Lines, given: Mapping[str, Lines] | None = None) -> None:
        """Raise `RunError` if these are not the lines that the training began with, and was judged by."""
        if lines.fingerprint != self.fingerprint:
            raise RunError(
                f"{lines.name} is not what {self.path} was trained on: its lines differ; give the same file"
            )
        for part, there in (given or {}).items():
            if there.fingerprint != self.given[part]["fingerprint"]:
                raise RunError(
                    f"--{part} {there.name} is not what judges {self.path}: its lines differ; give the same file"
                )


def _given(kept: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Read which files of dev and test lines a run names."""
    given = {part: {name: kept[part][name] for name in ("name", "fingerprint")} for part in kept}
    if not given.keys() <= {"dev", "test"}:
        raise ValueError("there are lines of another part than dev and test")
    return given


def _training(kept: dict[str, Any], path: Path) -> TrainingConfig:
    """Read the settings as a run keeps them. Earlier versions also named an engine, when the mlp had two."""
    settings = {name: value for name, value in kept.items() if name != "engine"}
    if kept.get("engine") == "torch":
        raise RunError(
            f"{path} was begun with --engine torch, which is no more: the mlp is now trained in NumPy; train anew, "
            "into another -o"
        )
    return stored_config(TrainingConfig, settings)


ENDS = {
    "steps": "its steps are done",
    "seconds": "its time is up",
    "patience": "the dev loss stopped falling",
    "diverged": "the loss stopped being finite",
}
"""What ends a training, in words."""
