"""`spellout make FILE`: read a list, train the best model of it that the seconds allow, and print new lines.

A terminal shows some lines meanwhile: first from the beginning of a large file, before the rest is read, then from
the n-gram of all of it. The best network that starts from that n-gram is trained in the seconds that are left.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

from ...data.config import DataConfig
from ...errors import RunError, SpelloutError, UsageError
from ...generation.config import SamplingConfig
from ...training.config import TrainingConfig
from .. import clock, terminal
from ..options import Count, Data, Encoding, File, Flag, Json, Out, Sampling, Seconds, check_count
from ..progress import training_progress
from ..workflows import asked, compile_for, interruptible, prepare, print_result, train
from .sample import check_prefix, print_samples

if TYPE_CHECKING:
    from ...data.vocabulary import Vocabulary
    from ...models.contract import LanguageModel
    from ...models.family import Specification
    from ...training.prepared import Prepared
    from ...training.runs.run import Trained

LARGE = 1 << 20
"""Bytes of a file whose n-gram takes so long that lines from its beginning are shown before."""
EXAMPLES = 3
LONGEST_SHOWN = 40


def make(
    file: File | None = None,
    /,
    *,
    count: Count = 10,
    model: str | None = None,
    seconds: Seconds = 10.0,
    data: Data = DataConfig(),
    sampling: Sampling = SamplingConfig(),
    novel: bool = True,
    unique: bool = True,
    nearest: Flag = False,
    out: Out | None = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Make new lines like those of FILE (default: the bundled names).

    Parameters
    ----------
    model
        What to train, such as ngram or ngram:5. Without it, the n-gram says at once how good it is, and the best
        network that starts from it is trained in the rest of --seconds.
    novel
        Only lines that FILE does not hold.
    unique
        No line twice.
    nearest
        Show the most similar line of FILE and the edit distance.
    out
        Also keep the trained model in this run folder.
    """
    from ...training.best import AROUND
    from ...training.runs.folder import check_place
    from ...training.runs.run import save_run

    check_count(count)
    if not math.isfinite(seconds):
        raise UsageError(f"--seconds {seconds:g}: give a number of seconds")
    specification = None if model is None else asked(model, TrainingConfig())
    if specification and specification.family.in_steps and seconds <= AROUND:
        raise UsageError(f"--seconds {seconds:g}: too few to train {model}, which learns in steps; give at least 2")
    if out is not None:
        check_place(out)
    _preview(file, encoding, data)
    prepared = prepare(file, encoding, data)
    check_prefix(prepared.vocabulary, sampling)
    trained = _train_within(prepared, specification, seconds) if specification else _train_best(prepared, seconds)
    run, failure = trained.run, None
    if out is not None:
        try:
            save_run(run, out)
            terminal.note(f"kept in {out}")
        except RunError as error:  # the place was good before the training: what was learned is not lost with it
            failure = error
    known = prepared.split.known
    try:
        print_samples(run, sampling, count, known if novel else None, unique, known if nearest else None, json)
    finally:
        if failure is not None:
            raise failure


def _preview(file: str | None, encoding: str | None, data: DataConfig) -> None:
    """On a terminal, show lines like those that a large file begins with, before it is read whole."""
    if file is None or not sys.stderr.isatty() or (os.path.isfile(file) and os.path.getsize(file) < LARGE):
        return
    from ...data.reading import first_lines
    from ...data.vocabulary import build_vocabulary
    from ...models.ngram.training import quick_ngram

    try:
        lines = first_lines(file, encoding)
        if sum(map(len, lines)) < LARGE // 16:
            return
        vocabulary = build_vocabulary(lines, data.unit, data.min_count)
        stream = vocabulary.encode(lines)
    except SpelloutError:  # if the whole has this fault too, reading it will tell
        return
    model, longest = quick_ngram(stream, vocabulary.size), max(map(len, lines))
    some = _examples(model, vocabulary, longest, lines)
    terminal.note(f"its beginning makes lines like {some}; reading all of it now")


def _train_within(prepared: Prepared, specification: Specification, seconds: float) -> Trained:
    """The model asked for, within some seconds of the command. Ctrl-C ends it early and keeps what was learned."""
    from ...training.best import AROUND, plan_for
    from ...training.train import Job

    if not specification.family.in_steps:
        return train(Job(prepared, specification))
    since, training = clock.began() + compile_for(specification), TrainingConfig(seconds=seconds - AROUND)
    plan = plan_for(len(prepared.stream), seconds)
    with interruptible() as interrupted:
        trained = train(Job(prepared, specification, training, interrupted=interrupted, since=since, plan=plan))
    if trained.run.last is not None and trained.run.last.state.step == 0:
        terminal.warn(
            f"there was no time for a step of {specification.text}, so it has learned nothing; give more --seconds"
        )
    return trained


def _train_best(prepared: Prepared, seconds: float) -> Trained:
    """The n-gram, said at once, and then the best network that starts from it, within some seconds of the command.

    Ctrl-C ends it early and keeps what was learned. The n-gram comes back if the network is no better.
    """
    from ...models.ngram.model import NgramModel
    from ...models.table import parse_specification
    from ...training.best import best_training, improve, is_better, is_time
    from ...training.train import Job

    ngram = train(Job(prepared, parse_specification("ngram")))
    if not prepared.split.dev or seconds == 0:
        return ngram
    some = _examples(ngram.run.model, ngram.run.vocabulary, ngram.run.length_limit, prepared.split.known)
    if not is_time(len(prepared.stream), seconds, perf_counter() - clock.began()):
        terminal.note(f"it makes lines like {some}; too little time is left to improve on it: give more --seconds")
        return ngram
    with interruptible() as interrupted:  # before the promise is made
        terminal.note(f"it makes lines like {some}; improving it now (Ctrl-C: enough)")
        with training_progress(label="improving") as watch:
            text, training, plan = best_training(len(prepared.stream), prepared.vocabulary.size, seconds)
            specification, prior, since = parse_specification(text), ngram.run.model, clock.began()
            assert isinstance(prior, NgramModel)
            job = Job(
                prepared,
                specification,
                training,
                watch,
                interrupted=interrupted,
                prior=prior,
                since=since,
                plan=plan,
            )
            trained = improve(job)
    if trained is None:
        terminal.note("the network's loss stopped being finite, so the n-gram makes the lines")
        return ngram
    print_result(trained)
    if is_better(trained, ngram, prepared):
        return trained
    ended = "was stopped before it improved" if trained.stopped == "interrupted" else "did not improve"
    terminal.note(f"the network {ended} on the n-gram, so the n-gram makes the lines")
    return ngram


def _examples(model: LanguageModel, vocabulary: Vocabulary, longest: int, known: Sequence[str]) -> str:
    """Some new lines, one after the other; of long ones the beginning."""
    from ...generation.novelty import only
    from ...generation.sampling import sample

    config, accept = SamplingConfig(max_length=longest), only(unlike=known, unique=True)
    made = sample(model, vocabulary, config, accept=accept, cut=lambda one: False, patience=100)
    return ", ".join(terminal.short(one.text, LONGEST_SHOWN) for one in islice(made, EXAMPLES)) or "those it knows"
