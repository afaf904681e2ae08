"""The model that `make` makes lines with, and what people see meanwhile: some lines at once, and better ones later.

First lines come from the beginning of a large file before the rest is read, then from the n-gram of all of it; the
best network that starts from that is trained in the seconds that are left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

from ...data.config import DataConfig
from ...errors import SpelloutError, UsageError
from ...training.config import TrainingConfig
from .. import clock, terminal
from .. import progress as waiting
from ..workflows import compile_for, interruptible, train

if TYPE_CHECKING:
    from ...data.vocabulary import Vocabulary
    from ...models.contract import LanguageModel
    from ...training.prepared import Prepared
    from ...training.runs.run import Trained

LARGE = 1 << 20
"""Bytes of a file whose n-gram takes so long that lines from its beginning are shown before."""
EXAMPLES = 3
LONGEST_SHOWN = 40


def check_within(model: str, seconds: float) -> None:
    """An error if `train_within` could not train a model: to be asked before reading."""
    from ...models.table import parse_specification
    from ...training.best import AROUND
    from ...training.train import check_trainable

    specification = parse_specification(model)
    check_trainable(specification, TrainingConfig())
    if specification.family.in_steps and seconds <= AROUND:
        raise UsageError(f"--seconds {seconds:g}: too few to train {model}, which learns in steps; give at least 2")


def preview(file: str | None, encoding: str | None, data: DataConfig) -> None:
    """On a terminal, show lines like those that a large file begins with, before it is read whole."""
    if file is None or not sys.stderr.isatty() or (os.path.isfile(file) and os.path.getsize(file) < LARGE):
        return
    from ...data.lines import first_lines
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


def train_within(prepared: Prepared, model: str, seconds: float) -> Trained:
    """The model asked for, within some seconds of the command. Ctrl-C ends it early and keeps what was learned."""
    from ...models.table import parse_specification
    from ...training.best import AROUND, plan_for
    from ...training.train import Job

    specification = parse_specification(model)
    if not specification.family.in_steps:
        return train(Job(prepared, specification))
    clock.start(clock.began() + compile_for(specification))
    training = TrainingConfig(seconds=seconds - AROUND)
    with interruptible() as interrupted:
        plan = plan_for(len(prepared.stream), seconds)
        job = Job(prepared, specification, training, interrupted=interrupted, since=clock.began(), plan=plan)
        trained = train(job)
    if trained.run.last is not None and trained.run.last.state.step == 0:
        terminal.warn(f"there was no time for a step of {model}, so it has learned nothing; give more --seconds")
    return trained


def train_best(prepared: Prepared, seconds: float) -> Trained:
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
    text, training, plan = best_training(len(prepared.stream), prepared.vocabulary.size, seconds)
    prior, since = ngram.run.model, clock.began()
    assert isinstance(prior, NgramModel)
    job = Job(prepared, parse_specification(text), training, prior=prior, since=since, plan=plan)
    with interruptible() as interrupted:  # before the promise is made
        terminal.note(f"it makes lines like {some}; improving it now (Ctrl-C: enough)")
        with waiting.progress(waiting.WHOLE, "improving") as advance:
            trained = improve(replace(job, callback=waiting.Watch(advance), interrupted=interrupted))
    if trained is None:
        terminal.note("the network's loss stopped being finite, so the n-gram makes the lines")
        return ngram
    terminal.print_result(trained)
    if is_better(trained, ngram, prepared):
        return trained
    ended = "was stopped before it improved" if trained.stopped == "interrupted" else "did not improve"
    terminal.note(f"the network {ended} on the n-gram, so the n-gram makes the lines")
    return ngram


def _examples(model: LanguageModel, vocabulary: Vocabulary, longest: int, known: Sequence[str]) -> str:
    """Some new lines, one after the other; of long ones the beginning."""
    from ...generation.config import SamplingConfig
    from ...generation.novelty import only
    from ...generation.sampling import sample

    config, accept = SamplingConfig(max_length=longest), only(unlike=known, unique=True)
    made = sample(model, vocabulary, config, accept=accept, cut=lambda one: False, patience=100)
    return ", ".join(terminal.short(one.text, LONGEST_SHOWN) for one in islice(made, EXAMPLES)) or "those it knows"
