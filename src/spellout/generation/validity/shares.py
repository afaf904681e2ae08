"""Valid, unique and novel: which shares of the lines made are what is wanted, as MOSES defines them.

Valid is a share of all lines made, unique one of the valid lines (also of the first 1,000 and 10,000 of them), and
novel one of the different valid lines: those that are not training lines (Polykovskiy et al. 2020, "Molecular Sets
(MOSES): A Benchmarking Platform for Molecular Generation Models"). What is the same is told by the canonical forms
that a judge gives, if it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .validator import Validator

AT = 1000, 10_000
"""Unique is also told of the first so many valid lines, as the share falls with their number."""


@dataclass(frozen=True)
class Shares:
    """How many lines were `made`, how many of these are `valid`, of these `unique`, and of these `novel`.

    `novel` is None where the training lines are not known. `unique_at` has, for each number of valid lines in `AT`
    that was reached, how many of the first so many are different.
    """

    made: int
    valid: int
    unique: int
    novel: int | None
    unique_at: dict[int, int] = field(default_factory=dict)

    @property
    def shares(self) -> tuple[float | None, float | None, float | None]:
        """Give the shares that are valid, unique and novel, each of those before; None where that is no number."""
        novel = None if self.novel is None else _share(self.novel, self.unique)
        return _share(self.valid, self.made), _share(self.unique, self.valid), novel

    def to_json(self) -> dict[str, Any]:
        """Give the number of lines and the shares as JSON holds them; null is no number."""
        valid, unique, novel = self.shares
        at = {f"unique@{count}": found / count for count, found in self.unique_at.items()}
        return {"made": self.made, "valid": valid, "unique": unique, **at, "novel": novel}

    def __str__(self) -> str:
        """Say it in a sentence."""
        valid, unique, novel = self.shares
        if valid is None:
            return "no line was made"
        said = f"of {self.made:,} lines made {valid:.1%} are valid"
        if unique is not None:
            said += f", of these {unique:.1%} unique"
        if novel is not None:
            said += f", of these {novel:.1%} novel"
        return said


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


SOME = 1_000
"""If of the list's first lines none has a form of its own, nor any line made, the judge is one that gives none."""


class Training:
    """The training lines, as they are and as their judge writes them."""

    def __init__(self, validator: Validator, lines: Sequence[str]) -> None:
        self._validator, self._lines = validator, lines

    @cached_property
    def written(self) -> set[str]:
        """Give the lines as they stand."""
        return set(self._lines)

    @cached_property
    def canonical(self) -> set[str]:
        """Give the canonical forms of those that are valid, and all as they stand."""
        return self._formed(self._lines)

    @cached_property
    def looked_into(self) -> set[str]:
        """Give the same, but judge no more than the first lines if all valid ones of these stand as they should."""
        forms = self._formed(self._lines[:SOME])
        return forms if forms <= self.written else self.canonical

    def _formed(self, lines: Sequence[str]) -> set[str]:
        return self.written.union(filter(None, self._validator.judge(list(dict.fromkeys(lines)))))


class Tally:
    """Counts verdicts (see `Validator.judge`) as they come. `training` is None where nobody knows the lines.

    Attributes:
        made: how many lines were judged.
        valid: how many of these are valid.
        in_vain: how many of the last ones, in a row, are not.
    """

    def __init__(self, training: Training | None) -> None:
        self.made = self.valid = self.in_vain = 0
        self._training = training
        self._forms: set[str] = set()
        self._rewritten = False  # whether the judge gave any line another form
        self._unique_at: dict[int, int] = {}

    def add(self, line: str, verdict: str | None) -> None:
        """Count one line."""
        self.made += 1
        if verdict is None:
            self.in_vain += 1
            return
        self.valid += 1
        self.in_vain = 0
        self._forms.add(verdict)
        self._rewritten |= verdict != line
        if self.valid in AT:
            self._unique_at[self.valid] = len(self._forms)

    @property
    def shares(self) -> Shares:
        """Give the shares so far. Training lines are judged too where they may be written otherwise."""
        novel = None
        if self._training is not None:
            known = self._training.canonical if self._rewritten else self._training.looked_into
            novel = len(self._forms - known)
        return Shares(self.made, self.valid, len(self._forms), novel, dict(self._unique_at))


def shares_of(lines: Sequence[str], validator: Validator, training: Training | None) -> Shares:
    """Judge lines, and give their shares."""
    tally = Tally(training)
    for line, verdict in zip(lines, validator.judge(lines), strict=True):
        tally.add(line, verdict)
    return tally.shares
