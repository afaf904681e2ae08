"""`spellout make FILE`: read a list, train the best model of it that the seconds allow, and print new lines.

A terminal shows some lines meanwhile: first from the beginning of a large file, before the rest is read, then from
the n-gram of all of it. The best network that starts from that n-gram is trained in the seconds that are left.
`spellout sample RUN` prints new lines from a model that was trained before.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ...data.config import DataConfig
from ...errors import DataError, RunError, SpelloutError, UsageError
from ...generation.asked.config import Asked
from ...generation.config import SamplingConfig
from ...inference.wanted import Flags, Wanted, check_kept, check_prefix
from ...training.config import TrainingConfig
from ...training.plans.names import BEST
from .. import clock, terminal
from ..examples import examples
from ..options import (
    Count,
    Data,
    Encoding,
    File,
    Flag,
    From,
    Json,
    Novel,
    Only,
    Out,
    RunFolder,
    Sampling,
    Seconds,
    Valid,
    Wishes,
    newest,
)
from ..progress import OnTerminal, training_progress
from ..samples import print_samples
from ..workflows import (
    asked,
    compile_for,
    interruptible,
    load_run,
    name_of_model,
    pool_of,
    prepare,
    print_result,
    size,
    train,
)

if TYPE_CHECKING:
    from ...data.prepared import Prepared
    from ...data.vocabulary.protocol import Vocabulary
    from ...generation.asked.wish import Wish
    from ...models.family import Specification
    from ...training.pooled import Pool
    from ...training.runs.run import Run, Trained

LARGE = 1 << 20
"""Bytes of a file whose n-gram takes so long that lines from its beginning are shown before."""
TOKENS_A_SECOND, FEWEST_TOKENS = 3_000_000, 2_000_000
"""An n-gram can be counted of so many tokens for each second that there is; some are always learned from."""
READING = 7e-8
"""Seconds to read, split and encode each token of text."""


def make(
    *files: File,
    count: Count = 10,
    model: str | None = None,
    pool: From = None,
    seconds: Seconds = 10.0,
    data: Data = DataConfig(),
    sampling: Sampling = SamplingConfig(),
    wishes: Wishes = Asked(),
    novel: Novel = None,
    unique: bool = True,
    nearest: Flag = False,
    valid: Valid = None,
    only: Only = None,
    out: Out | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Make new lines like those of FILE (default: the bundled names).

    Parameters
    ----------
    model
        What to train, such as ngram or ngram:5. Without it, or as best, the n-gram says at once how good it is, and
        the network that suits FILE, the seconds and what is installed is trained in the rest of --seconds. Without
        it, a list of up to 300 lines is pooled with the bundled names where that helps, and trains no network.
    novel
        Only lines that FILE does not hold, which is the default; --as-it-is: all that the model makes.
    unique
        No line twice.
    nearest
        Show the most similar line of FILE and the edit distance.
    out
        Also keep the trained model in this run folder.
    data.label
        The column that holds each line's label, by name or number; COLUMN=LABEL: make lines with this label only.
    """
    from ...training.runs.folder import check_place

    specification = _wanted_model(model, seconds)
    if out is not None:
        check_place(out)
    flags = Flags(count, sampling, wishes, novel, unique, nearest, valid, only)
    data, label = _label(data)
    _preview(files, encoding, data)
    pooled = None if pool is None else pool_of(pool, model, data)
    prepared, pooled = _tiny(prepare(files, encoding, data), pooled, model)
    wanted, wish = _understood(flags, prepared, label)
    trained = _train(prepared, specification, seconds) if pooled is None else _train_pooled(prepared, pooled)
    # The place was good before the training: what was learned is not lost with it.
    failure = None if out is None else _keep(trained.run, out)
    try:
        print_samples(trained.run, sampling, wanted, wish, as_json=json)
    finally:
        if failure is not None:
            raise failure


def sample(
    run: RunFolder | None = None,
    /,
    *,
    count: Count = 10,
    sampling: Sampling = SamplingConfig(),
    wishes: Wishes = Asked(),
    novel: Novel = None,
    unique: Flag = False,
    nearest: Flag = False,
    valid: Valid = None,
    only: Only = None,
    label: str | None = None,
    json: Json = False,
) -> None:
    """Make lines with the model of a run folder (default: the newest under ./runs).

    Parameters
    ----------
    novel
        Only lines that are not training lines, which is the default; --as-it-is: all that the model makes.
    unique
        No line twice.
    nearest
        Show the most similar training line and the edit distance.
    label
        Only lines with this label, if the model was trained on lines with labels.
    """
    flags = Flags(count, sampling, wishes, novel, unique, nearest, valid, only)
    run = run or newest()
    loaded = load_run(run)
    lines = loaded.lines
    check_kept(loaded, run, novel, nearest)
    if lines is None and novel is None:
        terminal.note(f"{run} keeps no training lines, as after --stream, so lines that it has learned come too")
    known = lines, lines, loaded.usual_length
    wanted, wish = flags.understood(loaded.vocabulary, label, *known, listener=OnTerminal())
    print_samples(loaded, sampling, wanted, wish, as_json=json)


def _wanted_model(model: str | None, seconds: float) -> Specification | None:
    """Understand which model is asked for, None for the best one. `UsageError` if it cannot be trained so."""
    from ...training.plans.timing import AROUND

    if not math.isfinite(seconds):
        raise UsageError(f"--seconds {seconds:g}: give a number of seconds")
    specification = None if model in (None, BEST) else asked(model, TrainingConfig())
    if specification and specification.family.in_steps and seconds <= AROUND:
        raise UsageError(f"--seconds {seconds:g}: too few to train {model}, which learns in steps; give at least 2")
    return specification


def _label(data: DataConfig) -> tuple[DataConfig, str | None]:
    """Part --label COLUMN=LABEL, which also says which label the lines made have."""
    column, equals, label = (data.label or "").partition("=")
    return (replace(data, label=column), label) if equals else (data, None)


def _understood(flags: Flags, prepared: Prepared, label: str | None) -> tuple[Wanted, Wish | None]:
    """Understand the flags for lines that are to be learned from. An error if no line can be so."""
    from ...data.prepared import usual_length
    from ...training.judging import PASS_IN_A_PLAN

    split, usual = prepared.split, usual_length(prepared.stream)
    check = partial(_check_prefix, prepared)
    return flags.understood(
        *(prepared.vocabulary, label, split.known, split.train, usual),
        check=check,
        work=PASS_IN_A_PLAN,
        listener=OnTerminal(),
    )


def _check_prefix(prepared: Prepared, vocabulary: Vocabulary, sampling: SamplingConfig) -> None:
    """Refuse a prefix of which no line can begin, and say so if only lines that judge hold a letter of it."""
    from ...data.labels import without_label

    try:
        check_prefix(vocabulary, sampling)
    except DataError:
        split, text = prepared.split, str if prepared.config.label is None else without_label
        for piece in vocabulary.pieces(sampling.prefix):
            if any(piece in text(line) for line in [*split.dev, *split.test]) and not any(
                piece in text(line) for line in split.train
            ):
                cure = "" if prepared.config.given else "; --split none learns from all lines"
                raise DataError(
                    f"--prefix {sampling.prefix}: {piece!r} is only among the lines that judge, which the model "
                    f"does not learn from{cure}"
                ) from None
        raise


def _preview(files: Sequence[str], encoding: str | None, data: DataConfig) -> None:
    """On a terminal, show lines like those that a large file begins with, before it is read whole."""
    if (
        not files
        or data.label is not None
        or not sys.stderr.isatty()
        or ((known := size(files)) is not None and known < LARGE)
    ):
        return
    from ...data.sources.reading import first_lines
    from ...data.vocabulary.building import build_vocabulary
    from ...models.ngram.quick import quick_ngram

    try:
        lines = first_lines(files, encoding, config=data)
        if sum(map(len, lines)) < LARGE // 16:
            return
        vocabulary = build_vocabulary(lines, data.unit, data.min_count, data.tokens)
        stream = vocabulary.encode(lines)
    except SpelloutError:  # if the whole has this fault too, reading it will tell
        return
    model, longest = quick_ngram(stream, vocabulary.size), max(map(len, lines))
    some = examples(model, vocabulary, longest, lines)
    terminal.note(f"its beginning makes lines like {some}; reading all of it now")


def _tiny(prepared: Prepared, pool: Pool | None, model: str | None) -> tuple[Prepared, Pool | None]:
    """Say what a tiny list is pooled with; all its lines train then, unless a part is asked for.

    Others are pooled only if that is asked for.
    """
    from ...data.prepared import Prepared
    from ...training.pooled import TINY, Pool, can_be_pooled, with_letters_of

    config = prepared.config
    tiny = len(prepared.lines.distinct) <= TINY
    if pool is None and tiny and model is None and can_be_pooled(config):
        pool = Pool.bundled()
    if pool is not None and tiny and config.split is None and not config.given:
        prepared = Prepared.of(prepared.lines, replace(config, split="none"))
    return (prepared if pool is None else with_letters_of(pool, prepared)), pool


def _train_pooled(prepared: Prepared, pool: Pool) -> Trained:
    """Train the n-gram, mixed with that of a pool, and say of how much use the pool is."""
    from ...models.table import parse_specification
    from ...training.job import Job

    trained = train(Job(prepared, parse_specification("ngram"), pool=pool))
    if trained.run.facts["pooled"]["ensemble"] is None:
        terminal.note(f"{Path(pool.name).name} tells nothing of these lines, so they are on their own")
    return trained


def _keep(run: Run, out: Path) -> RunError | None:
    """Write a run folder, and say so; give the error if that was not possible."""
    from ...training.runs.run import save_run

    try:
        save_run(run, out)
    except RunError as error:
        return error
    terminal.note(f"kept in {out}")
    return None


def _train(prepared: Prepared, specification: Specification | None, seconds: float) -> Trained:
    """Train the model asked for, or the best one."""
    from ...training.job import Job

    if specification is None:
        return _train_best(prepared, seconds)
    if specification.family.in_steps:
        return _train_within(prepared, specification, seconds)
    return train(Job(prepared, specification))


def _train_within(prepared: Prepared, specification: Specification, seconds: float) -> Trained:
    """Train the model asked for, within some seconds of the command. Ctrl-C ends it and keeps what was learned."""
    from ...training.best import plan_for
    from ...training.job import Job
    from ...training.plans.timing import AROUND

    prepared, unread = _part(prepared, seconds)
    since, seconds = clock.began() + compile_for(specification) + unread, seconds - unread
    training = TrainingConfig(seconds=max(seconds - AROUND, seconds / 2))
    plan = plan_for(len(prepared.stream), seconds)
    with interruptible() as interrupted:
        trained = train(Job(prepared, specification, training, interrupted=interrupted, since=since, plan=plan))
    if trained.run.last is not None and trained.run.last.state.step == 0:
        terminal.warn(
            f"there was no time for a step of {specification.text}, so it has learned nothing; give more --seconds"
        )
    return trained


def _train_best(prepared: Prepared, seconds: float) -> Trained:
    """Train the n-gram, say how good it is, and train the best network that starts from it in the seconds left.

    Ctrl-C ends it early and keeps what was learned. The n-gram comes back if the network is no better.
    """
    from ...models.counts.model import CountsModel
    from ...models.ngram.model import NgramModel
    from ...models.table import parse_specification
    from ...training.best import best_counts, best_training, improve, is_better, is_time
    from ...training.job import Job
    from ...training.plans.machine import Machine
    from ...training.plans.plan import Plan
    from ...training.plans.traits import Traits

    known = prepared.split.known
    prepared, unread = _part(prepared, seconds)
    seconds, since = seconds - unread, clock.began() + unread
    ngram = train(Job(prepared, parse_specification("ngram"), plan=Plan(seconds)))
    if not prepared.split.dev or seconds == 0:
        return ngram
    prior = ngram.run.model
    if isinstance(prior, CountsModel):  # where lines have labels, the n-gram is mixed with others
        prior = prior.models[0]
    assert isinstance(prior, NgramModel)
    some = examples(ngram.run.model, ngram.run.vocabulary, ngram.run.length_limit, known)
    elapsed, traits, machine = perf_counter() - since, Traits.of(prepared), Machine.here()
    if not is_time(traits, machine, seconds, elapsed):
        text = best_counts(traits, seconds, elapsed)
        if text is not None:
            counts = improve(Job(prepared, parse_specification(text), prior=prior))
            if counts is not None and is_better(counts, ngram, prepared):
                print_result(counts)
                terminal.note(f"{name_of_model(counts.run)} makes the lines")
                return counts
        terminal.note(f"it makes lines like {some}; too little time is left to improve on it: give more --seconds")
        return ngram
    choice, training, plan = best_training(traits, machine, seconds)
    specification = parse_specification(choice.specification)
    with interruptible() as interrupted:  # before the promise is made
        terminal.note(f"it makes lines like {some}; improving it now (Ctrl-C: enough)")
        terminal.note(str(choice))
        job = Job(prepared, specification, training, interrupted=interrupted, prior=prior, since=since, plan=plan)
        job = replace(job, at_once=choice.at_once)
        with training_progress(label="improving") as watch:
            trained = improve(replace(job, callback=watch))
    if trained is None:
        terminal.note("the network's loss stopped being finite, so the n-gram makes the lines")
        return ngram
    print_result(trained)
    if is_better(trained, ngram, prepared):
        terminal.note(f"{name_of_model(trained.run)} makes the lines")
        return trained
    ended = "was stopped before it improved" if trained.stopped == "interrupted" else "did not improve"
    by = "" if trained.new is None else "by the loss on new lines, which decides, "
    terminal.note(f"{by}{name_of_model(trained.run)} {ended} on the n-gram, so the n-gram makes the lines")
    return ngram


def _part(prepared: Prepared, seconds: float) -> tuple[Prepared, float]:
    """Take as many of the lines to train on as so many seconds are enough for, and say so if that is a part.

    Also gives the seconds that reading the others usually took, which no plan knows of.
    """
    part = prepared.within(max(FEWEST_TOKENS, int(TOKENS_A_SECOND * seconds))) if prepared.split.dev else prepared
    if part is not prepared:
        some, all_lines = len(part.split.train), len(prepared.split.train)
        enough = len(prepared.stream) // TOKENS_A_SECOND + 1
        terminal.note(
            f"a part of the lines, {some:,} of {all_lines:,}, is what can be learned from in {seconds:g} seconds; "
            f"for all of them give --seconds {enough:,}"
        )
    return part, min(READING * (len(prepared.stream) - len(part.stream)), seconds / 2)
