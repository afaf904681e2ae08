"""The lines of a source: every distinct one once, and the order in which they stood.

Lists of names repeat themselves (the course's list has 32,033 lines, 29,494 of them distinct), and a repeated line
in both training and test lines makes a model look better than it is. So repetition is counted when a file is
read, and the splits decide by distinct line.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np

from ..errors import DataError
from .labels import parted, without_label
from .sources.config import SourceConfig
from .sources.files import Paths, source_name
from .sources.reading import Reading, read_blocks

BUNDLED = "the bundled names"
GIVEN = "the given lines"


@dataclass(frozen=True)
class Lines:
    """The clean lines of one source.

    `distinct` holds each different line once, in order of first appearance; `order` (int32, one entry per line
    of the file) says which distinct line stood there. `fingerprint` is the SHA-256 of the clean text.
    """

    distinct: list[str]
    order: np.ndarray
    name: str
    fingerprint: str
    between: str | None = None
    """What stands between two things where these have several lines, as in the file; None where lines are lines."""
    begin: str = ""
    """The text that the first file begins with, as it is."""

    @classmethod
    def read(
        cls,
        paths: Paths,
        encoding: str | None = None,
        advance: Callable[[int], None] = lambda read: None,
        config: SourceConfig = SourceConfig(),
    ) -> Lines:
        """Read a file with one thing per line, or several, or folders of them; `-` is standard input.

        `config` says what of them is a line, if that is not every line. `DataError` if they hold none. `advance` is
        told the number of bytes of each block read.
        """
        reading = Reading(paths, encoding, config, advance=advance)
        lines = cls._collect(reading, source_name(paths))
        return replace(lines, between=reading.between, begin=reading.begin)

    @classmethod
    def bundled(cls) -> Lines:
        """The 29,910 different first names given in the United States in 2017 (see `data/names.md`)."""
        with resources.as_file(resources.files(__package__) / "names.txt") as path:
            return cls._collect(read_blocks(path), BUNDLED)

    @classmethod
    def of(cls, texts: Iterable[str], name: str = GIVEN) -> Lines:
        """Lines from strings in memory, taken as they are: not trimmed, not normalised.

        `DataError` for one string, whose letters would each be a line.
        """
        if isinstance(texts, str):
            raise DataError(f"{texts[:40]!r} is one string; give a list of lines, such as text.splitlines()")
        return cls._collect((_one_line(text) + "\n" for text in texts), name)

    @classmethod
    def _collect(cls, blocks: Iterable[str], name: str) -> Lines:
        known: dict[str, int] = {}
        order = array("i")
        digest = hashlib.sha256()
        for block in blocks:
            # of the clean text: the same lines in another encoding are the same data
            digest.update(block.encode())
            # a dictionary keeps the order in which its keys came, so the number of a line is its place in it
            order.extend(known.setdefault(line, len(known)) for line in block[:-1].split("\n"))
        if not known:
            hold = "hold" if name == GIVEN else "holds"
            raise DataError(f"{name} {hold} no lines; give a text file with one thing per line")
        return cls(list(known), np.frombuffer(order, np.int32), name, digest.hexdigest())

    def __len__(self) -> int:
        return len(self.order)

    @property
    def counts(self) -> np.ndarray:
        """How often each distinct line stands in the file, int64, aligned with `distinct`."""
        return np.bincount(self.order, minlength=len(self.distinct))

    def repeated(self, most: int = 10) -> list[tuple[str, int]]:
        """The most repeated lines and how often each stands in the file, only those that stand twice or more."""
        counts = self.counts
        leaders = np.argsort(-counts, kind="stable")[:most]
        return [(self.distinct[i], int(counts[i])) for i in leaders if counts[i] > 1]

    def in_file_order(self) -> list[str]:
        """Every line of the file, repeated ones as often as they stand there."""
        return [self.distinct[i] for i in self.order]


def without_labels(lines: Lines) -> tuple[Lines, dict[str, int]]:
    """Give the same lines without their labels, and how often each label stands there, the most frequent first."""
    known: dict[str, int] = {}
    places = [known.setdefault(without_label(line), len(known)) for line in lines.distinct]
    times: Counter[str] = Counter()
    for line, count in zip(lines.distinct, lines.counts.tolist(), strict=True):
        times[parted(line)[0]] += count
    order = np.array(places, np.int32)[lines.order]
    labels = dict(sorted(times.items(), key=lambda one: (-one[1], one[0])))
    return replace(lines, distinct=list(known), order=order), labels


def _one_line(text: str) -> str:
    if not text or "\n" in text:
        raise DataError(f"{text!r} is not one line: it must hold at least one character and no line end")
    return text
