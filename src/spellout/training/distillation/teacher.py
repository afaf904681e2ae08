"""The teacher of a student: a run, whatever its model is, and whether the student can learn from it.

One small network may learn most of what a large one knows, or many together (Kim et al. 2025, "Pre-training under
infinite compute": a student eight times smaller keeps most of what an ensemble gained). A teacher conditioned on
new lines teaches just these, so that the student needs no training line to be asked for new ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...data.labels import Labelled
from ...data.lines import Lines
from ...data.prepared import Prepared
from ...data.vocabulary.protocol import Vocabulary
from ...errors import DataError, RunError, UsageError
from ...models.family import Family, Specification
from ...models.stored import stored_config
from ..runs.folder import fitting
from ..runs.run import Run, read_run
from .config import DistillationConfig


@dataclass(frozen=True)
class Teacher:
    """Holds a run to learn from, and how. `path` is where it was read, None if it never was in a folder."""

    run: Run
    config: DistillationConfig = DistillationConfig()
    path: Path | None = None

    @classmethod
    def read(cls, path: str | Path, models: Mapping[str, Family], config: DistillationConfig) -> Teacher:
        """Read a run folder. `RunError` says what is missing or damaged."""
        return cls(read_run(path, models), config, Path(path))

    @classmethod
    def again(
        cls, facts: Any, path: Path, models: Mapping[str, Family], elsewhere: str | Path | None = None
    ) -> Teacher:
        """Find the teacher of an unfinished training at `path`, by what `facts` wrote of it.

        It may stand `elsewhere` now. `RunError` if it is not there, or is no longer the same.
        """
        with fitting(path):
            where, fingerprint = elsewhere or facts["run"], facts["fingerprint"]
            config = stored_config(DistillationConfig, {name: facts[name] for name in ("made", "new_lines")})
        if where is None:
            raise RunError(f"the teacher of {path} was in no folder; write it to one, and name it with --teacher")
        try:
            found = cls.read(where, models, config)
        except RunError as error:
            if elsewhere is not None:
                raise
            raise RunError(f"the teacher of {path} is not to be read: {error}; or name it with --teacher") from None
        if found.fingerprint != fingerprint:
            raise RunError(f"{where} is not the teacher that {path} began with; name that one with --teacher")
        return found

    @cached_property
    def fingerprint(self) -> str:
        """Tell the model from all others, wherever it stands."""
        model, digest = self.run.model, hashlib.sha256()
        said = {"model": self.run.family, "settings": model.settings(), "vocabulary": self.run.vocabulary.to_json()}
        digest.update(json.dumps(said, sort_keys=True).encode())
        for name, array in sorted(model.arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """Write what `config.json` says of it, and `again` needs."""
        return {
            "run": None if self.path is None else str(self.path),
            "fingerprint": self.fingerprint,
            "specification": self.run.facts.get("specification", self.run.family),
            "parameters": self.run.model.parameters,
            **asdict(self.config),
        }

    @staticmethod
    def check_student(specification: Specification) -> None:
        """Raise `UsageError` if such a model cannot learn from a teacher."""
        if not specification.family.student:
            name = specification.family.name
            raise UsageError(
                f"--model {specification.text}: {name} cannot learn from a teacher; take mlp, or a network in "
                "PyTorch such as gru"
            )
        if specification.prior is not None:
            raise UsageError(
                f"--model {specification.text}: a student starts from nothing, as its teacher knows the n-gram; "
                "leave out the n-gram"
            )

    def fitted(self, prepared: Prepared) -> Prepared:
        """Give the lines the teacher's tokens.

        `UsageError` or `DataError` if the teacher cannot read them, or has seen those that are to judge.
        """
        vocabulary = self.run.vocabulary
        if vocabulary.flag != prepared.vocabulary.flag:
            raise UsageError(f"the teacher's tokens are of {vocabulary.flag}; train its student with that, too")
        if isinstance(vocabulary, Labelled) != isinstance(prepared.vocabulary, Labelled):
            how = "with" if isinstance(vocabulary, Labelled) else "without"
            raise UsageError(f"the teacher learned from lines {how} labels; train its student on such lines, too")
        self._check_lines(prepared)
        try:
            return prepared.encoded_by(vocabulary)
        except DataError as error:
            error = _of_one_line(prepared.lines, vocabulary) or error
            raise DataError(f"{prepared.lines.name} does not fit the teacher: {error}") from None

    def _check_lines(self, prepared: Prepared) -> None:
        """Raise `UsageError` if the teacher has learned from lines that are to judge the student.

        Of these, lines that the student learns from itself are its own affair: some splits have such.
        """
        split, there = prepared.split, self.run.facts.get("split", {})
        judges = {*split.dev, *split.test}.difference(split.train)
        if not judges:
            return
        trained = f"the teacher was trained with --split {there.get('name')} --split-seed {there.get('seed')}"
        same = "train the teacher on the same file with the same split as the student, or name another teacher"
        if self.run.lines is not None:
            if known := len(judges.intersection(self.run.lines)):
                raise UsageError(
                    f"{trained} and has learned from {known:,} of the {len(judges):,} lines that are to judge the "
                    f"student; {same}"
                )
            return
        given = {part: lines.fingerprint for part, lines in prepared.given.items()}
        mine = prepared.lines.fingerprint, split.name, prepared.config.split_seed, given
        its_given = {part: facts.get("fingerprint") for part, facts in there.get("given", {}).items()}
        its = self.run.facts.get("data", {}).get("fingerprint"), there.get("name"), there.get("seed"), its_given
        if mine != its:
            raise UsageError(
                f"{trained}, keeps no lines, and was trained on others or split otherwise, so it may know lines "
                f"that are to judge the student; {same}"
            )


def _of_one_line(lines: Lines, vocabulary: Vocabulary) -> DataError | None:
    """Say of the first line of a file that has no such tokens what is wrong, without a number.

    Its number among the training lines is of a shuffled order, and the file's blank lines are not counted.
    """
    for line in lines.distinct:
        try:
            vocabulary.encode([line])
        except DataError as error:
            return error
    return None
