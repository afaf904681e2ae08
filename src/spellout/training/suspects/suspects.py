"""Which lines of a list look wrong, the likeliest wrong ones first, and why.

Several signs are looked for: letters and patterns of letters that a model which has not seen the line explains
worse than noise does, values of conventions and lengths that few lines have, words that stand for nothing, and
lines that are almost another line. Each is measured as what it is in this list: the surprise of seeing it as strong
in a line (see `rarity`). The strongest sign counts whole; others add what they have beyond a sign that a line here
and there must have.

    L different lines
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import rarity
from .alike import Alike, alike
from .conventions import CONVENTIONS, usual, values_of
from .damage import Damage, damage, excess
from .lengths import odd_lengths
from .patterns import patterns_of
from .slips import Slips, slips
from .stand_ins import HEADERS, PLACEHOLDERS, stand_in
from .unseen import encoded

SELDOM = 2.0
"""In nats: letters are wrong as often as everything else together, and each other sign has to make up for that.

Found with nine lists, among them those of bench/suspects.py: of their 177 wrong lines 145 come first at 0,
152 at 2, 148 at 3."""
LONGEST_QUOTED = 60
"""Characters of a line that a reason quotes."""
NATS_PER_BIT = float(np.log(2.0))
Judge = Callable[[Sequence[str]], np.ndarray]
"""Gives minus the log-probability of every character and end of lines (P,), by models that have not seen them."""


@dataclass(frozen=True)
class Reason:
    """One sign that a line is wrong: what kind, how it is told, and how rare it is in the list, in nats."""

    kind: str
    phrase: str
    nats: float

    def to_json(self) -> dict[str, Any]:
        """Give it as one JSON object, with the score in bits."""
        return {"reason": self.kind, "says": self.phrase, "score": round(self.nats / NATS_PER_BIT, 3)}


@dataclass(frozen=True)
class Suspect:
    """A line, and what is odd about it.

    Attributes:
        line: the line.
        place: the place of its first copy among the lines of the file, from 0.
        times: how often it stands in the file.
        nats: the score: one line in e^nats is as odd, as far as the list tells.
        start, stop: which of its letters are the odd ones; none if both are equal.
        reasons: the signs, the strongest first.
    """

    line: str
    place: int
    times: int
    nats: float
    start: int
    stop: int
    reasons: tuple[Reason, ...]

    @property
    def bits(self) -> float:
        """The score in bits."""
        return self.nats / NATS_PER_BIT

    @property
    def letters(self) -> str:
        """The odd letters."""
        return self.line[self.start : self.stop]

    def to_json(self, number: int) -> dict[str, Any]:
        """Give all of it as one JSON object, with the line's number in its file, and scores in bits."""
        return {
            "line": self.line,
            "number": number,
            "times": self.times,
            "score": round(self.bits, 3),
            "letters": self.letters,
            "start": self.start,
            "why": [one.to_json() for one in self.reasons],
        }


@dataclass
class Signs:
    """The signs that were found in a list: of each kind a surprise (L,), and how it is told of a line."""

    nats: list[np.ndarray] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    phrases: list[Callable[[int], str]] = field(default_factory=list)

    def add(self, kind: str, nats: np.ndarray, phrase: Callable[[int], str]) -> None:
        """Add a kind of sign."""
        self.nats.append(nats)
        self.kinds.append(kind)
        self.phrases.append(phrase)


@dataclass(frozen=True)
class Listed:
    """Different lines, and where and how often each stands in its file.

    Attributes:
        lines: the lines.
        places: the place of the first copy of each among the lines of the file, from 0.
        times: how often each stands there.
    """

    lines: Sequence[str]
    places: Sequence[int]
    times: Sequence[int]


def find_suspects(
    listed: Listed, most: int, letters_by: Judge, patterns_by: Judge
) -> tuple[list[Suspect], np.ndarray]:
    """Judge lines, each by the others: the `most` suspicious ones, those first, and the scores of all (L,)."""
    lines, signs = listed.lines, Signs()
    surprises = letters_by(lines)
    letters, nats = _letters(lines, signs, surprises)
    slipped = _slips(lines, signs, surprises)
    patterns = patterns_of(lines)
    shapes = _patterns(patterns, signs, patterns_by(patterns))
    _conventions(lines, patterns, signs)
    _words(listed, nats, signs)
    _likeness(listed, nats, signs)
    table = np.array(signs.nats)  # (signs, L)
    table[1:] = np.maximum(table[1:] - SELDOM, 0.0)
    usual_sign = 0.5 * np.log(len(lines))
    more = np.maximum(table - usual_sign, 0.0)
    scores = table.max(axis=0) + more.sum(axis=0) - more.max(axis=0)
    found = []
    for number in np.argsort(-scores, kind="stable")[:most].tolist():
        reasons = _reasons(signs, table[:, number], number, usual_sign)
        start, stop = (min(end, len(lines[number])) for end in _stretch(letters, slipped, shapes, reasons, number))
        place, many = int(listed.places[number]), int(listed.times[number])
        found.append(Suspect(lines[number], place, many, float(scores[number]), start, stop, reasons))
    return found, scores


def _reasons(signs: Signs, strengths: np.ndarray, number: int, usual_sign: float) -> tuple[Reason, ...]:
    """Tell the signs of one line that are more than usual, or the strongest one."""
    found: list[Reason] = []
    for kind in np.argsort(-strengths, kind="stable").tolist():
        if found and strengths[kind] <= usual_sign:
            break
        phrase = signs.phrases[kind](number) if strengths[kind] > 0 else ""
        if phrase and all(phrase != other.phrase for other in found):
            found.append(Reason(signs.kinds[kind], phrase, float(strengths[kind])))
    return tuple(found)


def _stretch(
    letters: Damage, slipped: Slips, shapes: Damage, reasons: Sequence[Reason], number: int
) -> tuple[int, int]:
    """Give the letters to mark: those that are odd, else those of a slip, else those of an odd pattern."""
    kinds = {reason.kind for reason in reasons}
    for kind, start, stop in (
        ("letters", letters.starts[number], letters.stops[number]),
        ("slip", *slipped.places[number]),
        ("pattern", shapes.starts[number], shapes.stops[number]),
    ):
        if kind in kinds:
            return int(start), int(stop)
    return 0, 0


def _damage(lines: Sequence[str], surprises: np.ndarray) -> tuple[Damage, np.ndarray]:
    """Find the odd stretch of each line, and the surprise of each whole line (L,), from that of its characters."""
    stream, size = encoded(lines)
    ends = np.flatnonzero(stream == 0)
    found = damage(stream, surprises, np.bincount(stream[1:], minlength=size))
    return found, np.add.reduceat(surprises, ends[:-1])


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST_QUOTED else text[: LONGEST_QUOTED - 1] + "…")


def _letters(lines: Sequence[str], signs: Signs, surprises: np.ndarray) -> tuple[Damage, np.ndarray]:
    found, nats = _damage(lines, surprises)
    holders: dict[str, int] = {}
    for line in lines:
        for letter in set(line):
            holders[letter] = holders.get(letter, 0) + 1

    def phrase(number: int) -> str:
        line = lines[number]
        start, stop = found.starts[number], found.stops[number]
        alone = [letter for letter in dict.fromkeys(line[start:stop]) if holders[letter] == 1]
        if alone:
            return f"no other line has {' '.join(map(repr, alone[:3]))}"
        if start >= len(line):
            return "ends where no other would"
        return f"{_quoted(line[start:stop])} is unlike the other lines"

    everywhere = excess(nats, np.array([len(line) + 1 for line in lines]))
    signs.add("letters", np.maximum(rarity.of_ratios(found.nats), rarity.of_tail(everywhere)), phrase)
    return found, nats


def _slips(lines: Sequence[str], signs: Signs, surprises: np.ndarray) -> Slips:
    found, there = slips(lines, surprises), set(lines)

    def phrase(number: int) -> str:
        meant = found.meant[number]
        return f"{'almost' if meant in there else 'likelier as'} {_quoted(meant)}, {found.told[number]}"

    signs.add("slip", np.maximum(found.nats, 0.0), phrase)
    return found


def _patterns(patterns: Sequence[str], signs: Signs, surprises: np.ndarray) -> Damage:
    found, _ = _damage(patterns, surprises)

    def phrase(number: int) -> str:
        pattern = patterns[number]
        return f"an unusual pattern, {pattern if len(pattern) <= 24 else pattern[:23] + '…'}"

    signs.add("pattern", rarity.of_ratios(found.nats), phrase)
    return found


def _conventions(lines: Sequence[str], patterns: Sequence[str], signs: Signs) -> None:
    for convention in CONVENTIONS:
        values = values_of(convention, lines, patterns)
        common = usual(values)

        def phrase(number: int, convention: Any = convention, values: Any = values, common: Any = common) -> str:
            return "" if values[number] == common else str(convention.phrase(values[number], common))

        signs.add(convention.name, rarity.of_values(values), phrase)
    lengths = np.array([len(line) for line in lines])
    shortest, longest = np.quantile(lengths, [0.05, 0.95], method="inverted_cdf").tolist()
    most = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"

    def length_phrase(number: int) -> str:
        many = int(lengths[number])
        return f"{many:,} character{'s' * (many != 1)}, most have {most}"

    signs.add("length", rarity.of_ratios(odd_lengths(lengths)), length_phrase)


def _words(listed: Listed, nats: np.ndarray, signs: Signs) -> None:
    lines = listed.lines
    told = [stand_in(line, place == 0) for line, place in zip(lines, listed.places, strict=True)]
    strengths = np.zeros(len(lines))
    for number in (number for number, one in enumerate(told) if one):
        header = "header" in told[number]
        words = len(HEADERS if header else PLACEHOLDERS)
        # One of these words by chance, and of a header, that it stands first by chance.
        chance = nats[number] + header * np.log(len(lines)) - np.log(words)
        strengths[number] = max(chance, 0.0)
    rate = max(sum(map(bool, told)), 1) / len(lines)
    signs.add(
        "stand-in", np.where(strengths > 0, np.minimum(strengths, -np.log(rate) + 3.0), 0.0), told.__getitem__
    )


def _likeness(listed: Listed, nats: np.ndarray, signs: Signs) -> None:
    lines, times = listed.lines, listed.times
    pairs: dict[int, Alike] = {}
    strengths = np.zeros(len(lines))
    for one in alike(lines, np.asarray(times) * 1e6 - nats):
        # Written by chance, or the other line with one of so many changes.
        strengths[one.line] = max(nats[one.line] - np.log(len(lines)) - np.log(one.ways), 0.0)
        pairs[one.line] = one
    rare = -np.log(max(int(np.count_nonzero(strengths)), 1) / len(lines))
    signs.add(
        "almost",
        np.minimum(strengths, rare),
        lambda number: (
            f"almost {_quoted(lines[pairs[number].other])}, {pairs[number].what}" if number in pairs else ""
        ),
    )
    repeated = [many > 1 for many in times]
    often = rarity.of_values(repeated)
    signs.add(
        "repeated",
        np.where(repeated, often, 0.0),
        lambda number: f"stands {times[number]:,} times" if repeated[number] else "",
    )
