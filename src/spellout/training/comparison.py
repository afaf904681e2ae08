"""Several models on one split, one row each: the honest table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.splits import FEW_LINES
from ..errors import UsageError
from ..generation.evaluation import Evaluation, evaluate, unique_and_novel
from ..models.contract import LanguageModel, Listener
from ..models.mixture import Mixture
from .at_once import train_each
from .config import TrainingConfig
from .prepared import Prepared
from .run import Trained

SAMPLES = 1000


@dataclass(frozen=True)
class Row:
    """One model of a comparison.

    `split` is dev or test, `split_by` how the lines were divided; `unique` and `novel` are fractions of 1,000
    lines made; `seconds` is the training time.
    """

    model: str
    settings: dict[str, Any]
    split: str
    split_by: str
    parameters: int
    nats_per_char: float
    bits_per_char: float
    perplexity: float
    unique: float
    novel: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The row as one JSON object."""
        return asdict(self)


def compare(
    prepared: Prepared,
    specifications: Sequence[str],
    part: str = "dev",
    seed: int = 0,
    *,
    training: TrainingConfig = TrainingConfig(),
    tell: Listener = lambda event: None,
    at_once: int = 1,
) -> Iterator[Row]:
    """Train each model on the training lines and judge it on `dev` or `test`; rows come as they are ready.

    `training` is for the models that learn in steps: each has the whole budget. `at_once` of them train side by
    side and share the processor cores. Of several models, the mixture of the two best on dev lines is the last
    row: its seconds are those of both, or of the longer one if all trained at once.
    """
    lines = {"dev": prepared.split.dev, "test": prepared.split.test}[part]
    if not lines:
        raise UsageError(f"--split {prepared.split.name} keeps no {part} lines; compare with --split distinct")
    done: list[tuple[float, str, Trained]] = []
    trainings = train_each(prepared, specifications, training, tell, at_once)
    for specification, trained in zip(specifications, trainings, strict=True):
        known = trained.dev if part == "dev" else None
        if trained.dev is not None:
            done.append((trained.dev.nats_per_char, specification, trained))
        yield _row(prepared, specification, trained.run.model, part, trained.seconds, seed, known)
    best = sorted(done, key=lambda one: one[0])[:2]
    if len(best) == 2:
        name = " × ".join(specification for _, specification, _ in best)
        together = max if at_once >= len(specifications) else sum
        seconds = together([trained.seconds for _, _, trained in best])
        yield _row(prepared, name, Mixture([trained.run.model for _, _, trained in best]), part, seconds, seed)


def _row(
    prepared: Prepared,
    name: str,
    model: LanguageModel,
    part: str,
    seconds: float,
    seed: int,
    known: Evaluation | None = None,
) -> Row:
    """Judge one model, unless it is known how good it is."""
    lines = {"dev": prepared.split.dev, "test": prepared.split.test}[part]
    result = known or evaluate(model, prepared.vocabulary, lines)
    unique, novel = unique_and_novel(model, prepared.vocabulary, prepared.split.train, SAMPLES, seed)
    return Row(
        name,
        model.settings(),
        part,
        prepared.split.name,
        model.parameters,
        result.nats_per_char,
        result.bits_per_char,
        result.perplexity,
        unique,
        novel,
        seconds,
    )


def floor(lines: Lines) -> Row | None:
    """What the best n-gram reaches on dev lines: less is no use. None for lists too short to hold any back."""
    if len(lines.distinct) < FEW_LINES:
        return None
    return next(compare(Prepared.of(lines, DataConfig()), ["ngram"]))
