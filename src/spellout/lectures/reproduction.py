"""Every result of the course on one split: what the lecture recorded, what its loop takes here, and what we take.

The lecture's seconds are those of its own loop, some of whose steps are timed here, times all its steps. Ours are
those until the dev loss is the recorded one, everything included: the data is encoded before both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import log
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from ..data.config import DataConfig
from ..data.lines import Lines
from ..data.prepared import Prepared
from ..errors import UsageError
from ..generation.evaluation import evaluate
from ..models.contract import Callback, Event
from ..models.table import parse_specification
from ..training.config import TrainingConfig
from ..training.job import Job
from ..training.train import train
from . import by_hand, loops, words
from .counted import counted_in_python
from .results import RESULTS
from .smoothing import compare_smoothing

_SEED = 2147483647  # the lectures' own


@dataclass(frozen=True, kw_only=True)
class LectureResult:
    """One result. Losses are nats per character; `recorded` is the lecture's, None where it is no loss."""

    lecture: int
    result: str
    recorded: float | None = None
    lecture_seconds: float | None = None
    model: str = ""
    loss: float | None = None
    seconds: float | None = None
    remark: str = ""

    @property
    def times(self) -> float | None:
        """How many times as fast as the lecture's loop."""
        return self.lecture_seconds / self.seconds if self.lecture_seconds and self.seconds else None

    def to_json(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {**asdict(self), "times": self.times}


@dataclass(frozen=True)
class _Network:
    """A network of the lectures: its loop and steps, its recorded dev loss, and ours with a budget of steps."""

    lecture: int
    result: str
    recorded: float
    loop: Callable[..., loops.TrainingStep]
    loop_steps: int
    model: str
    steps: int


NETWORKS = {
    "bigram-network": _Network(1, "bigram network", 2.46, loops.bigram_network, 200, "bigram", 200),
    "mlp": _Network(2, "MLP", 2.1529, loops.mlp, loops.STEPS, "mlp", 1000),
    "batchnorm": _Network(3, "MLP with BatchNorm", 2.1057, loops.mlp_bn, loops.STEPS, "mlp-bn:128", 1000),
    "wavenet": _Network(5, "WaveNet", 1.9937, loops.wavenet, loops.STEPS, "wavenet", 5000),
}
FLOOR = "ngram:5:smoothing=closed-form"
"""The best of any kind where time is short."""


def reproduce(
    lines: Lines,
    only: Sequence[str] = RESULTS,
    timed: int = 300,
    training: TrainingConfig = TrainingConfig(),
    callback: Callback = lambda event: None,
    brown: Path | None = None,
) -> Iterator[LectureResult]:
    """The rows of some `RESULTS`, as they are ready. `timed` steps of each lecture's loop are timed.

    `brown` is the folder of the Brown corpus (see `words.py`), without which the paper's row stays empty.
    `training` may say where our networks run, and a budget of `steps` in place of each result's own.
    `UsageError` names a result that is none.
    """
    check_results(only)
    prepared = Prepared.of(lines, DataConfig(split="lecture"))
    for name in only:
        if name in NETWORKS:
            yield from _network(prepared, NETWORKS[name], timed, training, callback)
        elif name == "words":
            yield from _words(brown, training, callback)
        else:
            yield from _OTHERS[name](prepared)


def check_results(only: Sequence[str]) -> None:
    """`UsageError` names a result that is none."""
    for name in only:
        if name not in RESULTS:
            raise UsageError(f"--only {name}: no such result; results: {', '.join(RESULTS)}")


def _counts(prepared: Prepared) -> Iterator[LectureResult]:
    everything = Prepared.of(prepared.lines, DataConfig(split="none"))
    start = perf_counter()
    theirs = counted_in_python(everything.split.train, everything.split.train)
    middle = perf_counter()
    run = train(Job(everything, parse_specification("ngram:2:smoothing=add-k"))).run
    ours = evaluate(run.model, run.vocabulary, everything.split.train).nats_per_char
    yield LectureResult(
        lecture=1,
        result="bigram counts, add one",
        recorded=2.4544,
        lecture_seconds=middle - start,
        model="ngram:2:smoothing=add-k",
        loss=ours,
        seconds=perf_counter() - middle,
        remark=f"all lines; the lecture's loop gives {theirs:.4f}",
    )


def _network(
    prepared: Prepared, network: _Network, timed: int, training: TrainingConfig, callback: Callback
) -> Iterator[LectureResult]:
    random = torch.Generator().manual_seed(_SEED)
    step = network.loop(prepared.stream, prepared.vocabulary.size, random)
    timed = max(1, min(timed, network.loop_steps // 10))
    # the first one is no measure: PyTorch sets itself up in it
    step(0)
    start = perf_counter()
    for number in range(timed):
        step(number)
    lecture_seconds = (perf_counter() - start) / timed * network.loop_steps
    settings = TrainingConfig(
        steps=training.steps or network.steps, patience=0, device=training.device, threads=training.threads
    )
    for model in (network.model, FLOOR):
        loss, seconds = reach(prepared, model, network.recorded, settings, callback)
        missed = "" if loss <= network.recorded else "not reached; more --steps may"
        remark = missed or (f"{timed} of its {network.loop_steps:,} steps timed" if model != FLOOR else "any kind")
        yield LectureResult(
            lecture=network.lecture,
            result=network.result,
            recorded=network.recorded,
            lecture_seconds=lecture_seconds,
            model=model,
            loss=loss,
            seconds=seconds,
            remark=remark,
        )


def reach(
    prepared: Prepared, model: str, target: float, training: TrainingConfig, callback: Callback
) -> tuple[float, float]:
    """Train until the dev loss is at most the target, or the budget is spent: the best loss and the seconds."""
    start = perf_counter()
    reached: list[tuple[float, float]] = []

    def listen(event: Event) -> None:
        callback(event)
        if event["event"] == "evaluation" and event["nats_per_char"] <= target and not reached:
            reached.append((event["nats_per_char"], perf_counter() - start))

    trained = train(Job(prepared, parse_specification(model), training, listen, interrupted=lambda: bool(reached)))
    assert trained.dev is not None
    return reached[0] if reached else (trained.dev.nats_per_char, perf_counter() - start)


def _words(brown: Path | None, training: TrainingConfig, callback: Callback) -> Iterator[LectureResult]:
    if brown is None:
        remark = "a perplexity; needs the Brown corpus: --brown FOLDER, with train.txt and valid.txt in it"
        yield LectureResult(lecture=2, result="the paper's words", recorded=words.PAPER_NETWORK, remark=remark)
        return
    prepared = words.brown(brown)
    start = perf_counter()
    counted, ngram = words.best_ngram(words.ngrams(prepared))
    yield LectureResult(
        lecture=2,
        result="the paper's words, n-gram",
        recorded=words.PAPER_NGRAM,
        model=f"ngram:{ngram.order}",
        loss=counted.words,
        seconds=perf_counter() - start,
        remark="perplexities of words, without line ends; ours on valid.txt",
    )
    limited = training.seconds is not None or training.steps is not None
    budget = replace(training, patience=0) if limited else replace(training, patience=0, seconds=words.SECONDS)
    start = perf_counter()
    found = words.mixture(prepared, ngram, parse_specification(words.NETWORK), budget, callback)
    stream = prepared.vocabulary.encode(prepared.split.dev)
    alone, both = (words.Perplexity.of(nats, stream).words for nats in found.nats(stream))
    yield LectureResult(
        lecture=2,
        result="the paper's words, mixed",
        recorded=words.PAPER_NETWORK,
        model="mlp, ngram",
        loss=both,
        seconds=perf_counter() - start,
        remark=f"{both / counted.words:.3f} times the n-gram's (in the paper 0.81); the network alone {alone:.1f}, "
        f"of weight {found.weight:.2f}",
    )


def _initialisation(prepared: Prepared) -> Iterator[LectureResult]:
    x, y = loops.examples_of(prepared.stream, 3)
    for careful, recorded in ((False, 27.0), (True, 3.29)):
        random = torch.Generator().manual_seed(_SEED)
        loss, saturated = by_hand.first_loss(x[:10_000], y[:10_000], prepared.vocabulary.size, random, careful)
        yield LectureResult(
            lecture=3,
            result=f"first loss, {'weights scaled' if careful else 'as in lecture 2'}",
            recorded=recorded,
            loss=loss,
            remark=f"ln V is {log(prepared.vocabulary.size):.4f}; {saturated:.1%} of the tanh units saturated",
        )


def _smoothing(prepared: Prepared) -> Iterator[LectureResult]:
    found = compare_smoothing(prepared.lines)
    yield LectureResult(
        lecture=1,
        result="bigram network, its limit",
        recorded=2.454,
        loss=found.limit,
        remark=f"{found.penalty} · mean square smooths as adding {found.k:.3g} to counts: {found.nats:.4f} nats "
        f"both, no pair's chance differs by over {found.difference:.1e} (without either, {found.unsmoothed:.1e})",
    )


def _by_hand(prepared: Prepared) -> Iterator[LectureResult]:
    x, y = loops.examples_of(prepared.stream, 3)
    random = torch.Generator().manual_seed(_SEED)
    difference = by_hand.largest_difference(x[:320], y[:320], prepared.vocabulary.size, random)
    remark = f"differs from autograd by at most {difference:.1e}, in float64"
    yield LectureResult(lecture=4, result="backward pass by hand", remark=remark)


_OTHERS = {"counts": _counts, "smoothing": _smoothing, "initialisation": _initialisation, "by-hand": _by_hand}
