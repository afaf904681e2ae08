"""Several models on the same lines and one split, one row each: the honest table.

They are trained one after the other or side by side, each in a process of its own with its part of the processor
cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...data.config import DataConfig
from ...data.labels import texts
from ...data.lines import Lines
from ...data.prepared import Prepared
from ...data.sources.config import line_ends_close
from ...data.splits import FEW_LINES
from ...data.vocabulary.protocol import Vocabulary
from ...generation.evaluation import enough
from ...generation.judge import Judge, Judged
from ...generation.losses import Evaluation
from ...generation.novelty import fractions, some_lines
from ...generation.validity.shares import Training, shares_of
from ...generation.validity.validator import Validator
from ...models.contract import Callback, Event, LanguageModel
from ...models.ensembles.ensemble import Ensemble
from ...models.family import Specification
from ..config import TrainingConfig
from ..ensembles import train_any
from ..held_out import fit_on
from ..job import Job
from ..judging import JUDGING, judging
from ..runs.events import BEGINNING
from ..runs.run import Trained
from ..side_by_side import train_side_by_side
from .results import ModelResult

SAMPLES = 1000
NO_TIE = 1e-5
"""An ensemble is better than its members if it is by so many nats, or it would be shown for a rounding error."""
FLOOR = 1 << 20
"""Tokens of text from which the floor is learned: in a second or two."""


def compare(
    prepared: Prepared,
    specifications: Sequence[Specification],
    part: Literal["dev", "test"] = "dev",
    seed: int = 0,
    *,
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    at_once: int = 1,
    mixture: bool = False,
    validator: Validator | None = None,
) -> Iterator[ModelResult]:
    """Train each model on the training lines and judge it on `dev` or `test`; rows come as they are ready.

    `training` is for the models that learn in steps: each has the whole budget. `at_once` of them train side by
    side and share the processor cores. Of several models, the ensemble of the two that are best on dev lines is the
    last row, if it is better than both on the lines that judge (where these are not too many to try it), or if
    `mixture` asks for it. Its seconds are those of both, or of the longer one if all trained at once. Ensembles are
    not made of ensembles. A `validator` judges the lines that each makes.
    """
    prepared.config.check_keeps(part)
    known = texts(prepared.vocabulary, prepared.split.train)
    judge = None
    if validator is not None:
        judge = (
            validator,
            Training(validator, [line_ends_close(line, prepared.vocabulary.between) for line in known]),
        )
    sampled = Sampled(set(known), seed, judge)
    done: list[tuple[float, str, Trained, ModelResult]] = []
    trainings = train_each(prepared, specifications, training, callback, at_once)
    for name, trained in zip([one.text for one in specifications], trainings, strict=True):
        callback({"event": "judging", "of": name})
        row = _row(prepared, name, trained.run.model, part, trained.seconds, sampled, known=trained)
        if trained.dev is not None and not isinstance(trained.run.model, Ensemble):
            done.append((trained.loss, name, trained, row))
        yield row
    best = sorted(done, key=lambda one: one[0])[:2]
    lines = judging(prepared, part)
    # On many given lines a mixture of words takes minutes: all that its members say of every place.
    if len(best) == 2 and (mixture or len(lines) == len(enough(lines, prepared.vocabulary, JUDGING))):
        together = max if at_once >= len(specifications) else sum
        seconds = together([trained.seconds for _, _, trained, _ in best])
        callback({"event": "judging", "of": "the two best together"})
        ensemble, parts = mix(prepared, [trained.run.model for _, _, trained, _ in best], part)
        row = _row(prepared, " & ".join(name for _, name, _, _ in best), ensemble, part, seconds, sampled, parts)
        if mixture or row.loss < min(row.loss for *_, row in best) - NO_TIE:
            yield row


def mix(
    prepared: Prepared, members: Sequence[LanguageModel], part: Literal["dev", "test"]
) -> tuple[Ensemble, tuple[Evaluation, Evaluation]]:
    """Make an ensemble of trained models with weights fitted on dev lines, and judge it as it is on a part.

    The losses are those of `Judge.parts`. No line is judged with weights that it helped to fit, and every row of a
    table is judged on the same lines. Test lines are judged with the ensemble that is returned, dev lines in two
    halves, every other line, each with the weights that were fitted on the other half (Stone 1974,
    "Cross-Validatory Choice and Assessment of Statistical Predictions"). The models have learned from all training
    lines, so none of these can fit; one that is trained as an ensemble holds some out (`held_out`), and uses no dev
    line.
    """
    dev, judge = judging(prepared, "dev"), Judge(prepared)
    ensemble = fit_on(prepared, members, dev).ensemble
    if part == "test":
        return ensemble, judge.parts(ensemble, judge.held_out(judging(prepared, "test")))
    halves = [dev[::2], dev[1::2]]
    new, seen = Evaluation(0.0, 0, 0, 0), Evaluation(0.0, 0, 0, 0)
    for half, other in zip(halves, halves[::-1], strict=True):
        on_new, on_seen = judge.parts(fit_on(prepared, members, other).ensemble, judge.held_out(half))
        new, seen = new + on_new, seen + on_seen
    return ensemble, (new, seen)


@dataclass(frozen=True)
class Sampled:
    """How the lines that models make are counted: what is known, the seed, and what judges, if anything does."""

    known: set[str]
    seed: int
    judge: tuple[Validator, Training] | None

    def __call__(self, model: LanguageModel, vocabulary: Vocabulary) -> tuple[float, float, dict[str, Any] | None]:
        """Make `SAMPLES` lines, and give the fractions that are unique and novel, and the judge's shares."""
        lines = some_lines(model, vocabulary, self.known, SAMPLES, self.seed)
        shares = None
        if self.judge is not None:
            close = [line_ends_close(line, vocabulary.between) for line in lines]
            shares = shares_of(close, *self.judge).to_json()
        return *fractions(lines, self.known), shares


def _row(
    prepared: Prepared,
    name: str,
    model: LanguageModel,
    part: Literal["dev", "test"],
    seconds: float,
    sampled: Sampled,
    parts: tuple[Evaluation, Evaluation] | None = None,
    known: Trained | None = None,
) -> ModelResult:
    """Judge one model, unless its losses are known: as it is, or of its training on dev lines."""
    result, new = (known.dev, known.new) if known and part == "dev" else (None, None)
    if result is None:
        judge = Judge(prepared)
        judged = judge(model, judge.held_out(judging(prepared, part)), parts and Judged(parts))
        result, new = judged.as_it_is, judged.new
    unique, novel, validity = sampled(model, prepared.vocabulary)
    return ModelResult(
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
        result.tokens,
        result.new,
        result.perplexity_without_ends,
        None if new is None else new.to_json(),
        validity,
    )


def floor(lines: Lines, ngram: Specification, config: DataConfig = DataConfig()) -> ModelResult | None:
    """Say what the best n-gram reaches on dev lines: less is no use. None if there are too few lines for that.

    Of many lines, it learns from as many as have `FLOOR` tokens together.
    """
    if len(lines.distinct) < FEW_LINES:
        return None
    return next(compare(Prepared.of(lines, config).within(FLOOR), [ngram]))


def train_each(
    prepared: Prepared,
    specifications: Sequence[Specification],
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    at_once: int = 1,
) -> Iterator[Trained]:
    """Train models on the same lines, `at_once` of them at a time, and give them in their order.

    Each has the threads that `training` says. `callback` hears the first one that is not
    yet done, and of the others how they began; each event says which model it is `of`. With more than one at once,
    a script needs `if __name__ == "__main__":` (see `train_side_by_side`).
    """
    names = [specification.text for specification in specifications]
    if at_once == 1 or len(specifications) == 1:
        for specification in specifications:
            callback({"event": "begins", "of": specification.text})
            yield train_any(Job(prepared, specification, training, _naming(specification.text, callback)))
        return
    done: dict[int, Trained] = {}
    following = 0

    def hearing(number: int) -> Callback:
        def hear(event: Event) -> None:
            if number == following or event["event"] in BEGINNING:
                callback(event | {"of": names[number]})

        return hear

    callback({"event": "begins", "of": names[0]})
    jobs = [Job(prepared, one, training, hearing(number)) for number, one in enumerate(specifications)]
    for number, trained in train_side_by_side(jobs, at_once, train_any):
        done[number] = trained
        while following in done:
            yield done.pop(following)
            following += 1
            if following < len(names):
                callback({"event": "begins", "of": names[following]})


def _naming(name: str, callback: Callback) -> Callback:
    return lambda event: callback(event | {"of": name})
