"""Tables of counts with less in them: levels that are gone, and entries that were seen once.

What is kept keeps its counts, so the probabilities of a context still sum to 1 by the table's own formula; what was
said of the entries that are gone, shorter contexts say (Seymore & Rosenfeld 1996, "Scalable Backoff Language
Models", for cutoffs; Stolcke 1998, "Entropy-based Pruning of Backoff Language Models", for judging by the loss).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.ngram.discounts import Discounts
from ...models.ngram.level import Level
from ...models.ngram.model import NgramModel

_HALVINGS = 40


class Cut(NamedTuple):
    """What is kept: `depth` levels, and from contexts of two tokens on only what is worth so many nats."""

    depth: int
    worth: float


WORTHS = (0.0, 0.15, 0.3, 0.5, 0.8, 1.3, 2.0, 3.0, 5.0)
_FIRST = 2
"""Contexts of so many tokens and more lose what is worth little."""


def further(model: NgramModel, now: Cut) -> list[Cut]:
    """List the cuts that are tried next of a model that is cut so: a level less, or a higher bar."""
    if not model.interpolated:  # only its longest context counts
        return []
    place = WORTHS.index(now.worth)
    higher = [Cut(now.depth, worth) for worth in WORTHS[place + 1 : place + 3] if now.depth > _FIRST]
    return higher + [Cut(now.depth - 1, now.worth)] * (now.depth > 1)


def worths_of(model: NgramModel) -> list[np.ndarray]:
    """Say of each entry of each level, (E,), how many nats it wins on the training text, roughly.

    It is what is left of its count after the discount, times the logarithm of the chance that its context gives it
    over the one that the shorter context does.
    """
    found, chances, below = [], np.full(1, 1.0 / model.vocabulary_size), None
    for depth, level in enumerate(model.levels):
        of, amounts = _contexts(level), model.discounts.amounts[depth]
        concentration = model.discounts.concentrations[depth]
        if below is None:
            shorter = np.repeat(chances, len(of))
        else:
            shorter = chances[below.find_entries(_suffixes(level)[of], level.tokens)]
        left = level.counts - amounts[np.minimum(level.counts, 3)]
        mass, total = level.kinds @ amounts + concentration, level.totals + concentration
        chances, below = (left + mass[of] * shorter) / total[of], level
        found.append(left * np.log(chances / shorter))
    return found


def cut(model: NgramModel, how: Cut, worths: list[np.ndarray]) -> NgramModel:
    """Give an n-gram model with less in it, by the `worths_of` it; the shape of lines stays what it is.

    Whatever follows a context that is kept also follows the shorter one.
    """
    if not how.worth:
        return _of_levels(model, model.levels[: how.depth], model.discounts.concentrations)
    size, levels = model.vocabulary_size, model.levels[:1]
    concentrations = model.discounts.concentrations.copy()
    places = np.zeros(1, np.int64)  # where each context of the level below went, -1 if it is gone
    for depth, kept in enumerate(_kept(model.levels[: how.depth], worths, how.worth)[1:], 1):
        if not kept.any():
            break
        level = model.levels[depth]
        suffixes, of = _suffixes(level), _contexts(level)
        entries = np.bincount(of[kept], minlength=len(level.keys))
        there = entries > 0
        keys = places[suffixes[there]].astype(np.uint64) * np.uint64(size) + level.keys[there] % np.uint64(size)
        offsets = np.concatenate([[0], np.cumsum(entries[there])])
        levels = [*levels, Level(keys, offsets, level.tokens[kept], level.counts[kept], size)]
        if depth >= _FIRST:
            concentrations[depth] = _concentration(level.totals[there], levels[-1].totals, concentrations[depth])
        places = np.where(there, np.cumsum(there) - 1, -1)
    return _of_levels(model, levels, concentrations)


def entries_of(model: NgramModel, how: Cut, worths: list[np.ndarray]) -> int:
    """Count the entries that a cut leaves."""
    levels = model.levels[: how.depth]
    if not how.worth:
        return sum(len(level.counts) for level in levels)
    return sum(int(kept.sum()) for kept in _kept(levels, worths, how.worth))


def _of_levels(model: NgramModel, levels: list[Level], concentrations: np.ndarray) -> NgramModel:
    number = len(levels)
    return NgramModel(
        levels,
        Discounts(model.discounts.amounts[:number], concentrations[:number]),
        interpolated=model.interpolated,
        continuation=model.continuation,
        shape=model.shape,
    )


def _kept(levels: list[Level], worths: list[np.ndarray], least: float) -> list[np.ndarray]:
    """Say which entries of each level are kept, (E,) bool."""
    kept = [
        worth >= least if least and depth >= _FIRST else np.ones(len(worth), bool)
        for depth, worth in enumerate(worths[: len(levels)])
    ]
    for depth in range(len(levels) - 1, 0, -1):
        level = levels[depth]
        shorter = _suffixes(level)[_contexts(level)[kept[depth]]]
        kept[depth - 1][levels[depth - 1].find_entries(shorter, level.tokens[kept[depth]])] = True
    return kept


def _suffixes(level: Level) -> np.ndarray:
    """Give the context one shorter of each context, (C,)."""
    return (level.keys // np.uint64(level.vocabulary_size)).astype(np.int64)


def _contexts(level: Level) -> np.ndarray:
    """Give the context of each entry, (E,)."""
    return (level.entry_keys // np.uint64(level.vocabulary_size)).astype(np.int64)


def _concentration(totals: np.ndarray, left: np.ndarray, before: float) -> float:
    """Find the θ with which what is kept is as likely as before, on the whole; the rest goes to shorter contexts.

    That is Σ T log(left + θ) = Σ T log(T + before), over contexts of totals T of which `left` is left.
    """
    wanted = float((totals * np.log(totals + before)).sum())
    low, high = before, before + float((totals - left).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if float((totals * np.log(left + middle)).sum()) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
