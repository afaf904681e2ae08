"""Judges lines by any model of the table that has not seen them.

As many models are trained as there are folds, each on all lines but those of its fold (cross-validation, Stone
1974).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ...data.config import DataConfig
from ...data.lines import Lines
from ...data.prepared import Prepared
from ...errors import DataError, UsageError
from ...generation.scoring import score_lines
from ...models.family import Specification
from ..config import TrainingConfig
from ..ensembles import train_any
from ..job import Job


class Folds:
    """Gives what models that were trained on other lines say of each line."""

    def __init__(
        self,
        specification: Specification,
        training: TrainingConfig,
        folds: int,
        trained: Callable[[float], None] = lambda one: None,
    ) -> None:
        """`training` says how long one of the models may take; `trained` is told of each that is done.

        `UsageError` if fewer than two folds are asked for.
        """
        if folds < 2:
            raise UsageError(f"--folds {folds}: at least 2, as each model judges the lines that it has not seen")
        self._specification, self._training, self._folds = specification, training, folds
        self._trained = trained

    def __call__(self, lines: Sequence[str]) -> np.ndarray:
        """Give minus the log-probability of every character and line end, (P,), in the order of the lines.

        `DataError` if there are fewer lines than folds.
        """
        if len(lines) < 2 * self._folds:
            raise DataError(
                f"{len(lines)} lines are too few for {self._folds} folds, of which each leaves some out; "
                "leave out --model, or take fewer --folds"
            )
        # Lines of like kinds often stand together: a fold takes from everywhere.
        fold = np.random.default_rng(0).permutation(len(lines)) % self._folds
        nats: list[np.ndarray] = [np.zeros(0)] * len(lines)
        for number in range(self._folds):
            here = np.flatnonzero(fold == number).tolist()
            others = Lines.of(lines[place] for place in np.flatnonzero(fold != number).tolist())
            seed = replace(self._training, train_seed=self._training.train_seed + number)
            run = train_any(Job(Prepared.of(others, DataConfig()), self._specification, seed)).run
            for place, score in zip(
                here, score_lines(run.model, run.vocabulary, [lines[place] for place in here]), strict=True
            ):
                nats[place] = _by_character(score.nats, len(score.line) + 1)
            self._trained(1.0)
        return np.concatenate(nats)


def _by_character(nats: np.ndarray, characters: int) -> np.ndarray:
    """Give one surprise a character; where tokens are others (bytes of rare ones), each has the mean."""
    return nats if len(nats) == characters else np.full(characters, nats.sum() / characters)
