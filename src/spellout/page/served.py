"""A run that is served, with what every request would work out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GenerationError
from ..inference.new_lines import new_lines

if TYPE_CHECKING:
    from ..models.new_lines.model import Weighted
    from ..training.runs.run import Run


@dataclass(frozen=True)
class Served:
    """A run, and what it is called."""

    run: Run
    name: str

    @classmethod
    def read(cls, path: str) -> Served:
        """Read a run folder. `RunError` says what is missing or damaged."""
        from ..models.table import MODELS
        from ..training.runs.run import read_run

        served = cls(read_run(path, MODELS), Path(path).resolve().name)
        _ = served._new  # once, and not while somebody waits
        return served

    @cached_property
    def _new(self) -> Weighted | GenerationError | None:
        try:
            return new_lines(self.run)
        except GenerationError as error:
            return error

    def new(self) -> Weighted | None:
        """Give the model of new lines (see `new_lines`). `GenerationError` if it makes none."""
        if isinstance(self._new, GenerationError):
            raise GenerationError(str(self._new))
        return self._new

    @property
    def facts(self) -> Mapping[str, Any]:
        """What `config.json` says for people to read."""
        return self.run.facts
