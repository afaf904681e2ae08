"""Training lines that the members of an ensemble do not learn from, and by which their weights are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..data.prepared import Prepared
from ..generation.evaluation import first_of
from ..generation.scoring import batches
from ..models.contract import LanguageModel
from ..models.ensembles.fitting import Fit, fit

PART = 0.04
"""The part of the training lines that is held out."""
MOST, FEWEST = 1000, 40
"""No more lines than that, as some weights need no more; and none at all where there would be fewer."""
NUMBERS_FITTED = 1 << 22
"""A weight is one number: it needs no more probabilities than these, and they are in memory together."""


def held_out(prepared: Prepared) -> tuple[Prepared, list[str]]:
    """Take some lines out, evenly spread, of those to train on: what is left, and these.

    Of a short list none are: so few would cost the members more than their weights can win.
    """
    lines = prepared.split.train
    count = min(MOST, int(PART * len(lines)))
    if count < FEWEST:
        return prepared, []
    every = len(lines) // count
    places = range(every // 2, every * count, every)
    out = set(places)
    kept = [line for place, line in enumerate(lines) if place not in out]
    split = replace(prepared.split, train=kept)
    return replace(prepared, split=split, stream=prepared.vocabulary.encode(kept)), [lines[one] for one in places]


def fit_on(prepared: Prepared, members: Sequence[LanguageModel], lines: Sequence[str]) -> Fit:
    """Fit an ensemble to the first of these lines, as many as fit into `NUMBERS_FITTED`."""
    most = NUMBERS_FITTED // prepared.vocabulary.size
    stream = prepared.vocabulary.encode(first_of(lines, most) if lines else [])
    found = (
        (tokens, targets, np.arange(targets.shape[1]) < sizes[:, None])
        for _, tokens, targets, sizes in batches(stream)
    )
    return fit(members, found)
