"""Training lines that the members of an ensemble do not learn from, and by which their weights are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..data.prepared import Prepared
from ..generation.evaluation import first_of
from ..generation.judge import Judge
from ..generation.scoring import batches
from ..models.contract import LanguageModel
from ..models.counts.priors import Prior
from ..models.counts.training import prior_counted_anew
from ..models.ensembles.fitting import Fit, fit
from ..models.neural import NeuralModel

PART, LARGEST_PART = 0.04, 0.1
"""The part of the training lines that is held out, and the largest part that may be, where lines are few."""
FEWEST, ENOUGH, MOST = 25, 100, 1000
"""Weights fitted to fewer lines are no better than equal ones, to `ENOUGH` nearly as good as they get, and to more
than `MOST` hardly better (bench/ensembles.py)."""
NUMBERS_FITTED = 1 << 22
"""A weight is one number: it needs no more probabilities than these, and they are in memory together."""


def held_out(prepared: Prepared) -> tuple[Prepared, list[str]]:
    """Take some lines out, evenly spread, of those to train on: what is left, and these.

    Of a short list none are: they would cost the members more than weights fitted to so few can win.
    """
    lines = prepared.split.train
    count = min(MOST, max(int(PART * len(lines)), min(ENOUGH, int(LARGEST_PART * len(lines)))))
    if count < FEWEST:
        return prepared, []
    every = len(lines) // count
    places = range(every // 2, every * count, every)
    out = set(places)
    kept = [line for place, line in enumerate(lines) if place not in out]
    split = replace(prepared.split, train=kept)
    return replace(prepared, split=split, stream=prepared.vocabulary.encode(kept)), [lines[one] for one in places]


def counted_anew(members: Sequence[LanguageModel], stream: np.ndarray) -> list[LanguageModel]:
    """Let the counts among members, and those that networks start from, count all training lines in the end.

    So holding lines out costs the counts nothing, nor what is built on them.
    """
    known: dict[int, Prior] = {}

    def anew(prior: Prior) -> Prior:
        if id(prior) not in known:
            known[id(prior)] = prior_counted_anew(prior, stream)
        return known[id(prior)]

    found: list[LanguageModel] = []
    for member in members:
        if isinstance(member, Prior):
            member = anew(member)
        elif isinstance(member, NeuralModel) and member.prior is not None:
            member = member.with_prior(anew(member.prior))
        found.append(member)
    return found


def fit_on(prepared: Prepared, members: Sequence[LanguageModel], lines: Sequence[str]) -> Fit:
    """Fit an ensemble to the first of these lines, as many as fit into `NUMBERS_FITTED`.

    `prepared` has the lines that the members learned from: the better ensemble is the better model of lines that
    are not among them (see `generation.judge`). A product is bolder than a mixture, which is of use there.
    """
    lines = first_of(lines, NUMBERS_FITTED // prepared.vocabulary.size) if lines else []
    stream = prepared.vocabulary.read(lines).stream
    found = (
        (tokens, targets, np.arange(targets.shape[1]) < sizes[:, None])
        for _, tokens, targets, sizes in batches(stream)
    )
    judge = Judge(replace(prepared, split=replace(prepared.split, dev=list(lines))))
    held = judge.held_out(lines)
    return fit(members, found, lambda ensemble: judge.meanwhile(ensemble, held).loss)
