"""The n-gram of a tiny list, pooled with what a longer list knows.

Twenty lines tell little of how words are built, and 30,000 names much. So three n-grams are one ensemble, that of
the list, that of other lines in the list's letters, and that of both together, in which a line of the list counts
as often as thirty others. Their weights make lines of the list likeliest that none has counted (see
`models/ensembles`). What tells nothing of the list is left out. So few lines cannot spare any: the order, the
discounts and the weights are found by cross-validation (Stone 1974, "Cross-Validatory Choice and Assessment of
Statistical Predictions"), in which every line is held out once.

    P places in all lines · V tokens of the list's vocabulary
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.config import DataConfig
from ..data.labels import Labelled, without_label
from ..data.lines import Lines
from ..data.prepared import Prepared
from ..data.vocabulary.characters import Characters
from ..data.vocabulary.codes import smallest_dtype
from ..data.vocabulary.protocol import Vocabulary
from ..errors import RunError, UsageError
from ..generation.scoring import batches
from ..models.contract import Callback, LanguageModel
from ..models.ensembles.fitting import Fit, fit_to, said
from ..models.family import Specification
from ..models.ngram.config import NgramConfig
from ..models.ngram.counts import Counts
from ..models.ngram.discounts import Discounts, closed_form, fit_together
from ..models.ngram.levels import build_levels
from ..models.ngram.model import NgramModel
from ..models.ngram.streams import folds
from ..models.ngram.training import train_ngram
from ..models.shape.ngrams import shaped
from .runs.run import Run

TINY = 300
"""A list of no more different lines is one that `make` pools."""
PARTS = 5
"""So many times the rest of a list predicts a part of it. Ten are no better."""
ORDERS = range(1, 9)
POOLED_ORDER = 5
GAIN = 1e-3
"""Nats per token by which a longer context, or another list, must be better, or it would be so by chance."""
OFTEN = 30
"""A line of the list counts as often as so many others where both are counted together."""
RARE = 1000
"""A letter that a pool has less often than once in so many lines is not foretold by it."""
MOST_POOLED = 100_000
"""Lines of a longer list that are pooled; more know hardly more of what a tiny list lacks."""
OTHERS = 30_000
"""Lines of a longer list that tell what is rare in lines."""
WAYS_TO_WRITE: tuple[Callable[[str], str], ...] = (str.title, str.capitalize, str.lower, str.upper)


@dataclass(frozen=True)
class Pool:
    """Lines to pool with, and the name of the list that they are of."""

    name: str
    lines: Sequence[str]

    @classmethod
    def bundled(cls) -> Pool:
        """Give the bundled names."""
        return cls("names", Lines.bundled().distinct)

    @classmethod
    def of_run(cls, run: Run, name: str) -> Pool:
        """Give the training lines of a run. `RunError` if it keeps none."""
        if run.lines is None:
            raise RunError(f"--from {name}: it keeps no training lines, as after --stream, so none can be pooled")
        lines = run.lines
        return cls(name, [without_label(one) for one in lines] if isinstance(run.vocabulary, Labelled) else lines)


def can_be_pooled(data: DataConfig) -> bool:
    """Say whether lines are of plain characters, which two lists share."""
    return data.unit == "char" and data.tokens is None and data.label is None


def check_pooling(specification: Specification, data: DataConfig) -> None:
    """Raise `UsageError` for a model that cannot be pooled, or for tokens that two lists do not share."""
    if specification.config != NgramConfig():
        raise UsageError(
            f"--from pools an n-gram as it is by itself; leave out --from or --model {specification.text}"
        )
    if not can_be_pooled(data):
        flag = "--label" if data.label is not None else "--tokens" if data.tokens is not None else "--unit"
        raise UsageError(f"--from pools lines of plain characters; leave out --from or {flag}")


def with_letters_of(pool: Pool, prepared: Prepared) -> Prepared:
    """Give lines a vocabulary that has the letters of a pool, too, if most of their own are among these.

    A tiny list lacks letters by chance.
    """
    vocabulary, own = prepared.vocabulary, prepared.split.train
    if not isinstance(vocabulary, Characters):
        return prepared
    lines = written_like(own, pool.lines)
    times = Counter("".join(lines))
    usual = {one for one, count in times.items() if one.isalpha() and count * RARE > len(lines)}
    mine = [one for line in own for one in line if one.isalpha()]
    if 2 * sum(one in usual for one in mine) <= len(mine) or usual <= set(vocabulary.characters):
        return prepared
    return prepared.encoded_by(Characters(sorted(usual.union(vocabulary.characters)), vocabulary.bytes))


def train_pooled(prepared: Prepared, pool: Pool, callback: Callback) -> tuple[LanguageModel, float | None]:
    """Train the n-gram of a list and mix it with that of a pool, if that makes the list's own lines likelier.

    Also returns the nats per token of the list's lines, each predicted by the others; None of a single line.
    """
    stream, size = prepared.stream, prepared.vocabulary.size
    parts = folds(stream, PARTS)
    if len(parts) < 2:
        return train_ngram(stream, size, NgramConfig(), callback, prepared.classes)
    order, discounts, nats = cross_validated(stream, size, callback)
    config = NgramConfig(order=order)

    def counted(some: np.ndarray) -> NgramModel:
        model = NgramModel.estimate(Counts.of(some, order, size), config, discounts)
        return shaped(model, some, prepared.classes, others)

    others = encoded_others(prepared.vocabulary, prepared.split.train, pool.lines)
    table = pooled_counts(prepared.vocabulary, prepared.split.train, pool.lines)
    if table is None:
        return counted(stream), nats
    other = NgramModel.estimate(table, NgramConfig())

    def members(some: np.ndarray) -> list[NgramModel]:
        both = Counts.of(some, POOLED_ORDER, size)
        both = Counts.merged([Counts(both.columns, OFTEN * both.counts, size), table])
        return [counted(some), other, NgramModel.estimate(both, NgramConfig())]

    all_counted = members(stream)
    own = all_counted[0]
    found = _weighed([(members(kept), held) for kept, held in parts], all_counted)
    alone = found.members[0]
    best = found.nats[found.ensemble.kind]
    callback({"event": "pooled", "with": pool.name, "held_out_nats_per_token": best, "alone": alone})
    return (found.ensemble, best) if best < alone - GAIN else (own, alone)


def cross_validated(stream: np.ndarray, size: int, callback: Callback) -> tuple[int, Discounts, float]:
    """Find the order and the discounts with which the parts of a stream are likeliest, each after the others.

    Also returns the nats per token.
    """
    parts, best = folds(stream, PARTS), None
    for order in ORDERS:
        counts = [[Counts.of(one, order, size) for one in both] for both in parts]
        tables = [(build_levels(kept), held) for kept, held in counts]
        discounts = fit_together(tables, closed_form(build_levels(Counts.of(stream, order, size))))
        models = [(NgramModel(levels, discounts), held) for levels, held in tables]
        total = sum(model.nats_per_token(held) * int(held.counts.sum()) for model, held in models)
        nats = total / (len(stream) - 1)
        callback({"event": "order", "order": order, "held_out_nats_per_token": nats})
        if best is None or nats < best[2] - GAIN:
            best = order, discounts, nats
    assert best is not None
    return best


def pooled_counts(vocabulary: Vocabulary, own: Sequence[str], lines: Sequence[str]) -> Counts | None:
    """Count lines in the letters of another list's vocabulary, and as that writes its `own` lines.

    A letter that the list has in one case only is taken in that. What holds one that it has in none is left out,
    n-gram by n-gram. None if nothing is left.
    """
    size = vocabulary.size
    stream = _in_letters_of(vocabulary, written_like(own, lines[:: -(-len(lines) // MOST_POOLED)]))
    table = Counts.of(stream, POOLED_ORDER, size + 1)
    known = np.all([column < size for column in table.columns], axis=0)
    if not table.counts[known].any():
        return None
    columns = [column[known] for column in table.columns]
    return Counts(columns, table.counts[known], size)


def encoded_others(vocabulary: Vocabulary, own: Sequence[str], lines: Sequence[str]) -> np.ndarray | None:
    """Encode those lines that have letters of a vocabulary only, written as its `own` are; None without any."""
    known = set(vocabulary.known)
    some = [line for line in written_like(own, lines[:: -(-len(lines) // OTHERS)]) if known.issuperset(line)]
    return vocabulary.encode(some) if some else None


def written_like(own: Sequence[str], lines: Sequence[str]) -> Sequence[str]:
    """Write lines with capitals where most of a list's `own` lines have them; as they are, if they do so too."""
    way = _way_to_write(own)
    return lines if way is None or way is _way_to_write(lines) else [way(line) for line in lines]


def _way_to_write(lines: Sequence[str]) -> Callable[[str], str] | None:
    """Find the way in which most lines are written; None if few are in any."""
    times = Counter({way: sum(way(line) == line for line in lines) for way in WAYS_TO_WRITE})
    ((way, count),) = times.most_common(1)
    return way if 2 * count > len(lines) else None


def _in_letters_of(vocabulary: Vocabulary, lines: Sequence[str]) -> np.ndarray:
    """Encode lines into a stream `0 line 0 line 0`, in which V stands for what has no token in either case."""
    text = "\n".join(["", *lines, ""])
    token_of = {"\n": 0} | {one: token for token, one in enumerate(vocabulary.known, 1)}
    codes, places = np.unique(np.frombuffer(text.encode("utf-32-le"), "<u4"), return_inverse=True)
    cases = [(one, one.lower(), one.upper()) for one in map(chr, codes)]
    tokens = [next((token_of[one] for one in each if one in token_of), vocabulary.size) for each in cases]
    return np.array(tokens, smallest_dtype(vocabulary.size + 1))[places]


def _weighed(parts: Sequence[tuple[list[NgramModel], np.ndarray]], members: list[NgramModel]) -> Fit:
    """Fit the weights of members to every part of a list, by the same members of the rest of it."""
    logs, chosen = [], []
    for models, stream in parts:
        cut = (
            (tokens, targets, np.arange(targets.shape[1]) < sizes[:, None])
            for _, tokens, targets, sizes in batches(stream)
        )
        found = said(models, cut)
        logs.append(found[0])
        chosen.append(found[1])
    return fit_to(members, np.concatenate(logs, axis=1), np.concatenate(chosen))


def facts_of_pool(model: LanguageModel, pool: Pool) -> dict[str, Any]:
    """Say with what a model was pooled, as a run's `config.json` holds it: weights, if the pool was of use."""
    weights: Any = getattr(model, "weights", None)
    told = None if weights is None else {"kind": model.settings()["kind"], "weights": list(weights)}
    return {"from": pool.name, "lines": len(pool.lines), "ensemble": told}
