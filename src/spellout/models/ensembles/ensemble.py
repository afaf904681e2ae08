"""Several models of one vocabulary as one. What they say is combined by a kind of mean, each with its weight.

N members · B lines · T tokens · V tokens of the vocabulary
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np

from ..contract import LanguageModel, Reader
from ..family import Family
from ..weights import under

_PRIOR = "prior."
"""Under this name a network's arrays are those of the n-gram it starts from (see `neural`)."""


class Ensemble(ABC):
    """Members and their weights. Obeys `contract.LanguageModel`. A member of weight 0 is kept and never asked.

    Attributes:
        kind: the kind of mean, as settings name it.
        table, kinds: the families by name, by which members are kept and restored, and the kinds. The table of
            models sets both, as it stands above this file.
    """

    kind: ClassVar[str]
    table: ClassVar[Mapping[str, Family]] = {}
    kinds: ClassVar[Mapping[str, type[Ensemble]]] = {}

    def __init__(self, members: Sequence[LanguageModel], weights: Iterable[float]) -> None:
        self.members, self.weights = tuple(members), tuple(float(weight) for weight in weights)
        if not members or len(self.weights) != len(self.members):
            raise ValueError("an ensemble has members, and a weight for each")
        if len({member.vocabulary_size for member in members}) > 1:
            raise ValueError("the members differ in vocabulary")
        if not all(math.isfinite(weight) and weight >= 0.0 for weight in self.weights) or not any(self.weights):
            raise ValueError("the weights are not numbers of which none is below 0 and one is above")
        self.vocabulary_size = members[0].vocabulary_size
        self._asked = [pair for pair in zip(self.members, self.weights, strict=True) if pair[1]]
        reaches = [member.context for member, _ in self._asked]
        known = [reach for reach in reaches if reach is not None]
        # One member that sees the whole line is enough for the ensemble to see it.
        self.context = max(known) if len(known) == len(reaches) else None
        self.parameters = sum(member.parameters for member in members) + len(members)

    @staticmethod
    @abstractmethod
    def mean(logs: Iterable[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """Turn log-probabilities (..., V) of each member into those of the ensemble, in an array of its own."""

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Turn (B, T) token ids into (B, T, V) log-probabilities."""
        logs = (member.log_probabilities(tokens) for member, _ in self._asked)
        return self.mean(logs, [weight for _, weight in self._asked])

    @abstractmethod
    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens."""

    def reader(self, lines: int) -> Reader:
        """Give a reader that reads with every member."""
        return EnsembleReader(self, [(member.reader(lines), weight) for member, weight in self._asked])

    def settings(self) -> dict[str, Any]:
        """Give the kind, the weights and the members' families and settings.

        What members that start from the same n-gram know of it is kept once; `shared` says with which one.
        """
        names = {family.model: name for name, family in self.table.items()}
        members = [{"model": names[type(one)], "settings": one.settings()} for one in self.members]
        return {
            "kind": self.kind,
            "vocabulary_size": self.vocabulary_size,
            "weights": list(self.weights),
            "members": members,
            "shared": self._kept[1],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the members' arrays, each under its member's number, from 1, and a dot."""
        return dict(self._kept[0])

    @cached_property
    def _kept(self) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """Give the arrays to keep, and by the number of a member that of another that starts from the same
        n-gram."""
        kept: dict[str, np.ndarray] = {}
        shared: dict[str, int] = {}
        priors: dict[int, dict[str, np.ndarray]] = {}
        for number, member in enumerate(self.members, 1):
            arrays = member.arrays()
            prior = {name: array for name, array in arrays.items() if name.startswith(_PRIOR)}
            same = next((other for other, one in priors.items() if _equal(one, prior)), None)
            if prior and same is not None:
                shared[str(number)] = same
                arrays = {name: array for name, array in arrays.items() if name not in prior}
            elif prior:
                priors[number] = prior
            kept |= {f"{number}.{name}": array for name, array in arrays.items()}
        return kept, shared

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Invert `settings` and `arrays`, of any kind; ValueError or KeyError if they cannot be one."""
        kind = Ensemble.kinds[settings["kind"]]
        shared = settings["shared"]
        members = []
        for number, member in enumerate(settings["members"], 1):
            family = cls.table[member["model"]]
            if issubclass(family.model, Ensemble):
                raise ValueError("a member is an ensemble")
            own = under(f"{number}.", arrays)
            if str(number) in shared:
                prior = under(f"{int(shared[str(number)])}.{_PRIOR}", arrays)
                own |= {_PRIOR + name: array for name, array in prior.items()}
            members.append(family.model.restore(member["settings"], own))
        if members and settings["vocabulary_size"] != members[0].vocabulary_size:
            raise ValueError("the ensemble and its members differ in vocabulary")
        return cast(Self, kind(members, settings["weights"]))


class EnsembleReader:
    """The readers of the members that are asked (see `contract.Reader`)."""

    def __init__(self, ensemble: Ensemble, readers: Sequence[tuple[Reader, float]]) -> None:
        self._ensemble = ensemble
        self._readers = [reader for reader, _ in readers]
        self._weights = [weight for _, weight in readers]

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        return self._ensemble.mean((reader.read(tokens) for reader in self._readers), self._weights)

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        for reader in self._readers:
            reader.keep(rows)


def _equal(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        array.dtype == other[name].dtype and np.array_equal(array, other[name]) for name, array in one.items()
    )
