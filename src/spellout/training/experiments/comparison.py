"""Several models on one split, one row each: the honest table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ...data.config import DataConfig
from ...data.lines import Lines
from ...data.splits import FEW_LINES
from ...errors import UsageError
from ...generation.evaluation import Evaluation, evaluate, first_of, unique_and_novel
from ...generation.scoring import batches
from ...models.contract import Callback, LanguageModel
from ...models.mixture import Mixture, fitted_weight
from ..config import TrainingConfig
from ..prepared import Prepared
from ..runs.run import Trained
from .at_once import train_each

SAMPLES = 1000
NO_TIE = 1e-5
"""A mixture is better than its members if it is by so many nats, or it would be shown for a rounding error."""
NUMBERS_FITTED = 1 << 22
"""A weight is one number: it needs no more probabilities than these, and they are in memory together."""


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
    part: Literal["dev", "test"] = "dev",
    seed: int = 0,
    *,
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    at_once: int = 1,
    mixture: bool = False,
) -> Iterator[Row]:
    """Train each model on the training lines and judge it on `dev` or `test`; rows come as they are ready.

    `training` is for the models that learn in steps: each has the whole budget. `at_once` of them train side by
    side and share the processor cores. Of several models, the mixture of the two that are best on dev lines is the
    last row, if it is better than both on the lines that judge, or if `mixture` asks for it. Its seconds are those
    of both, or of the longer one if all trained at once.
    """
    if not prepared.judging(part):
        raise UsageError(f"--split {prepared.split.name} keeps no {part} lines; compare with --split distinct")
    done: list[tuple[float, str, Trained, Row]] = []
    trainings = train_each(prepared, specifications, training, callback, at_once)
    for specification, trained in zip(specifications, trainings, strict=True):
        known = trained.dev if part == "dev" else None
        callback({"event": "judging", "of": specification})
        row = _row(prepared, specification, trained.run.model, part, trained.seconds, seed, known)
        if trained.dev is not None:
            done.append((trained.dev.nats_per_char, specification, trained, row))
        yield row
    best = sorted(done, key=lambda one: one[0])[:2]
    if len(best) == 2:
        together = max if at_once >= len(specifications) else sum
        seconds = together([trained.seconds for _, _, trained, _ in best])
        first, second = (trained.run.model for _, _, trained, _ in best)
        callback({"event": "judging", "of": "the mixture"})
        mixed, result = mix(prepared, first, second, part)
        if mixture or result.nats_per_char < min(row.nats_per_char for *_, row in best) - NO_TIE:
            name = " × ".join(specification for _, specification, _, _ in best)
            yield _row(prepared, name, mixed, part, seconds, seed, result)


def mix(
    prepared: Prepared, first: LanguageModel, second: LanguageModel, part: Literal["dev", "test"]
) -> tuple[Mixture, Evaluation]:
    """The mixture of two models, its weight fitted on dev lines, and how good it is on `dev` or `test` lines.

    No line is judged with a weight that it helped to fit, and every row of a table is judged on the same lines.
    Test lines are judged with the mixture that is returned. Dev lines are judged in two halves, every other line,
    each with the weight that was fitted on the other half (Stone 1974, "Cross-Validatory Choice and Assessment of
    Statistical Predictions"). Training lines held back for the fit would cost both models some, and a part of dev
    that only fits would make the losses of a table incomparable with those of other commands.
    """
    dev = prepared.judging("dev")
    mixture = Mixture(first, second, _weight(prepared, first, second, dev))
    if part == "test":
        return mixture, evaluate(mixture, prepared.vocabulary, prepared.judging("test"))
    halves = [dev[::2], dev[1::2]]
    results = [
        evaluate(Mixture(first, second, _weight(prepared, first, second, other)), prepared.vocabulary, half)
        for half, other in zip(halves, halves[::-1], strict=True)
        if half
    ]
    return mixture, sum(results, Evaluation(0.0, 0, 0, 0))


def _weight(prepared: Prepared, first: LanguageModel, second: LanguageModel, lines: Sequence[str]) -> float:
    """The first of these lines, as many as fit into `NUMBERS_FITTED`, say how much the first model counts."""
    stream = prepared.vocabulary.encode(first_of(lines, NUMBERS_FITTED // prepared.vocabulary.size))
    found = (
        (tokens, targets, np.arange(targets.shape[1]) < sizes[:, None])
        for _, tokens, targets, sizes in batches(stream)
    )
    return fitted_weight(first, second, found)


def _row(
    prepared: Prepared,
    name: str,
    model: LanguageModel,
    part: Literal["dev", "test"],
    seconds: float,
    seed: int,
    known: Evaluation | None = None,
) -> Row:
    """Judge one model, unless it is known how good it is."""
    result = known or evaluate(model, prepared.vocabulary, prepared.judging(part))
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
