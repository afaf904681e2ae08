"""Training, dev and test lines.

`distinct` (the default) shuffles the distinct lines and cuts 80/10/10, so no line is in two parts. `lecture` is
the split of "Neural Networks: Zero to Hero": all lines in file order, repeated ones included, shuffled by
Python's `random` seeded with 42, cut 80/10/10; its numbers compare with the lectures', but a repeated line can
be in training and in test. `none` trains on every line as it stands, repeated ones too, and holds nothing back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from ..errors import DataError
from .config import SplitName, check_split
from .labels import parted, without_label

FEW_LINES = 10


class Listed(Protocol):
    """What is split: `Lines`, or anything else with a name and lines, some of them perhaps repeated."""

    @property
    def name(self) -> str:
        """Name the source of the lines."""
        ...

    @property
    def distinct(self) -> list[str]:
        """List each different line once."""
        ...

    def in_file_order(self) -> list[str]:
        """List all lines, repeated ones as often as they stand there."""
        ...


@dataclass(frozen=True)
class Split:
    """Three lists of lines. Tune on `dev`; look at `test` once."""

    train: list[str]
    dev: list[str]
    test: list[str]
    name: str

    @property
    def known(self) -> list[str]:
        """All lines of the three parts: what a new line must not be."""
        return [*self.train, *self.dev, *self.test]


def split_lines(lines: Listed, how: SplitName = "distinct", seed: int = 42, labelled: bool = False) -> Split:
    """Split 80/10/10. Fewer than ten lines are all used for all three parts, and numbers on them mean little.

    If lines are `labelled`, those that differ by their labels only are in one part.

    Raises `DataError` for a single line, from which nothing can be learned, and `UsageError` for an unknown
    split or for another seed with `lecture`, whose seed is part of its definition.
    """
    check_split(how, seed)
    _check_lines(lines)
    texts = list(lines.distinct) if how == "distinct" else lines.in_file_order()
    if how == "none":
        return Split(texts, [], [], how)
    if len(texts) < FEW_LINES:
        return Split(texts, texts, texts, how)
    random.Random(seed).shuffle(texts)
    if labelled and how == "distinct":
        return _apart(texts, how)
    first, second = int(0.8 * len(texts)), int(0.9 * len(texts))
    return Split(texts[:first], texts[first:second], texts[second:], how)


def _apart(lines: list[str], how: str) -> Split:
    """Cut shuffled lines with labels so that no line is in two parts, whatever its label there.

    Lines with a label that would only be among those that judge are trained on, as nothing else is known of it.
    `DataError` if none are left to judge.
    """
    together: dict[str, list[str]] = {}
    for line in lines:
        together.setdefault(without_label(line), []).append(line)
    groups = list(together.values())
    first, second = int(0.8 * len(groups)), int(0.9 * len(groups))
    learned, *judging = groups[:first], groups[first:second], groups[second:]
    labels = {parted(line)[0] for line in chain.from_iterable(learned)}
    kept: list[list[list[str]]] = []
    for part in judging:
        kept.append([group for group in part if all(parted(line)[0] in labels for line in group)])
        # not last, as the n-gram is fitted on the last training lines
        learned = [group for group in part if not all(parted(line)[0] in labels for line in group)] + learned
    if not all(kept):
        raise DataError(
            "hardly any two lines share a label, so none are left to judge a model that has not seen them; name "
            "another column with --label, or learn from all lines with --split none"
        )
    train, dev, test = (list(chain.from_iterable(part)) for part in (learned, *kept))
    return Split(train, dev, test, how)


def given_split(lines: Listed, dev: Listed | None, test: Listed | None, seed: int = 42) -> Split:
    """Take the lines of several files as three parts, repeated lines as often as they stand there.

    Without `dev`, a tenth of `lines` is dev (of fewer than ten lines, all are). Each part is shuffled: the
    n-gram is fitted on the last training lines, which in a sorted list are like no others (that costs names 0.1
    nats), and the first lines of dev are to judge for all.
    """
    check_split("distinct", seed)
    _check_lines(lines)
    parts = [[] if one is None else one.in_file_order() for one in (lines, dev, test)]
    for part in parts:
        random.Random(seed).shuffle(part)
    train, judging, testing = parts
    if dev is None:
        cut = int(0.9 * len(train))
        train, judging = (train[:cut], train[cut:]) if len(train) >= FEW_LINES else (train, train)
    return Split(train, judging, testing, "given")


def _check_lines(lines: Listed) -> None:
    if len(lines.distinct) == 1:
        line = lines.distinct[0]
        short = line if len(line) <= 40 else line[:39] + "…"
        raise DataError(
            f"{lines.name} holds only one line ({short!r}); give at least two different ones, one thing per line"
        )
