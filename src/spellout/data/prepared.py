"""What models are trained on: lines with their split, their vocabulary and the stream of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import DataError
from .classes import classes_of
from .config import DataConfig
from .labels import labelled, parted
from .lines import Lines
from .splits import Split, given_split, split_lines
from .token_file import encoded
from .vocabulary.building import build_vocabulary
from .vocabulary.protocol import Vocabulary


@dataclass(frozen=True)
class Prepared:
    """Holds lines with their split, vocabulary and training stream: several models can be trained on them."""

    lines: Lines
    config: DataConfig
    split: Split
    vocabulary: Vocabulary
    stream: np.ndarray
    given: Mapping[str, Lines] = field(default_factory=dict)
    """The lines of `dev` and `test`, if they have files of their own."""

    @classmethod
    def of(
        cls, lines: Lines, config: DataConfig, *, dev: Lines | None = None, test: Lines | None = None
    ) -> Prepared:
        """Split lines, and encode those to train on.

        `dev` and `test` lines that are given are not cut from the others; where `config` names a file of theirs,
        that is read unless they are given.
        """
        config = replace(
            config,
            dev=dev.name if dev is not None and config.dev is None else config.dev,
            test=test.name if test is not None and config.test is None else config.test,
        )
        dev = Lines.read(config.dev, config=config) if dev is None and config.dev is not None else dev
        test = Lines.read(config.test, config=config) if test is None and config.test is not None else test
        if config.given:
            split = given_split(lines, dev, test, config.split_seed)
        else:
            split = split_lines(lines, config.split or "distinct", config.split_seed, config.label is not None)
        # A model knows nothing of the lines that judge it, not even their letters.
        vocabulary = _vocabulary(split.train, config)
        if config.label is not None:
            _check_labels(split)
        given = {part: there for part, there in (("dev", dev), ("test", test)) if there is not None}
        return cls(lines, config, split, vocabulary, encoded(vocabulary, split.train), given)

    @cached_property
    def classes(self) -> np.ndarray:
        """Number the class of every token, (V,): digits, letters, signs (see `classes.py`)."""
        return classes_of(map(self.vocabulary.symbol, range(self.vocabulary.size)))

    def encoded_by(self, vocabulary: Vocabulary) -> Prepared:
        """Give the same with the tokens of another vocabulary, as a training that goes on had it."""
        vocabulary = vocabulary.counted(self.split.train)
        return replace(self, vocabulary=vocabulary, stream=encoded(vocabulary, self.split.train))

    def within(self, tokens: int) -> Prepared:
        """Give the same with the first lines to train on, as many as have so many tokens together, at least two.

        A split has shuffled them, so they are like all.
        """
        if len(self.stream) <= tokens:
            return self
        return self.first(max(2, int(np.count_nonzero(self.stream[1 : tokens + 1] == 0))))

    def first(self, lines: int) -> Prepared:
        """Give the same with the first lines to train on."""
        train = self.split.train[:lines]
        end = int(np.flatnonzero(self.stream == 0)[len(train)])
        return replace(self, split=replace(self.split, train=train), stream=self.stream[: end + 1])


def _vocabulary(lines: Sequence[str], config: DataConfig) -> Vocabulary:
    if config.label is None:
        return build_vocabulary(lines, config.unit, config.min_count, config.tokens)
    texts = [parted(line)[1] for line in lines]
    return labelled(lines, build_vocabulary(texts, config.unit, config.min_count, config.tokens))


def _check_labels(split: Split) -> None:
    """Raise `DataError` if a dev line has a label that no training line has, as in parts that were given."""
    known = {parted(line)[0] for line in split.train}
    for line in split.dev:
        label, text = parted(line)
        if label not in known:
            raise DataError(
                f"the label {label[:40]!r} of {text[:40]!r} is only among the dev lines, so no model learns it; "
                "name another column with --label, or learn from all lines with --split none"
            )


def usual_length(stream: np.ndarray) -> int:
    """Find the 99th percentile of the lengths of a stream's lines, in tokens."""
    lengths = np.diff(np.flatnonzero(stream == 0)) - 1
    return int(np.quantile(lengths, 0.99, method="lower"))


def longest(stream: np.ndarray) -> int:
    """Measure a stream's longest line, in tokens."""
    return int(np.diff(np.flatnonzero(stream == 0)).max()) - 1
