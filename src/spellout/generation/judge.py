"""Judges models on held-out lines both ways: as they are, and as models of new lines (see `models/new_lines`).

Where no held-out line can be a training line, the model is asked for new lines only: every line's probability is
divided by what the training lines leave, which costs no second look at the held-out lines. Where lines may recur,
it is in two parts: with the chance that the training lines suggest one of them, else a new line. What of its
probability a model gives to the training lines, its mass on them, is a measure of how much it knows by heart. A
model of new lines is bolder than the model as it is (see `sharpness`).

A held-out line of words with an unknown one is new, as is one that has the words of a training line but other
space between them: the model cannot tell them apart, but they are other lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import isfinite, log, log1p, sqrt

import numpy as np

from ..data.labels import Labelled, first_tokens
from ..data.prepared import Prepared, longest, usual_length
from ..models.contract import LanguageModel
from ..models.new_lines.known import Known
from ..models.new_lines.recurring import Recurrence
from ..models.new_lines.sharper import sharper
from ..models.new_lines.sharpness import fitted_sharpness
from ..models.new_lines.trie import NOWHERE, Trie
from ..models.ngram.model import NgramModel
from .config import SamplingConfig
from .evaluation import HIDDEN, evaluate
from .losses import Conditional, Evaluation
from .new_lines import trie_of
from .sampling import sample

PASS = 1 << 28
"""The work (see `evaluation.enough`) of a pass along the training lines that is still made: as of a million and a
half letters."""
COUNTED = 64
"""A model that counts does so much more of it in the same time, as it asks for each context once."""
MOST_IN_HASTE = 1 << 27
"""Where less than `PASS` is made, it does no more than that: long lines have few contexts that come again."""
MEANWHILE = 1 << 23
"""The work of an evaluation while a model is trained, a tenth of a second or so, and of such a pass then; for more
than that, some of the training lines stand for all."""
DRAWS = 1000, 10_000
"""Where there is no pass, at least and at most so many lines are drawn to see how many of them are known."""
MOST = 0.999
"""Where some lines stand for all, a mass is at most that."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out lines: new ones, and ones that are also training lines, with which of these they are (S,)."""

    new: Sequence[str]
    seen: Sequence[str]
    which: np.ndarray


@dataclass(frozen=True)
class Judged:
    """A model judged both ways.

    Attributes:
        parts: the losses of the model as it is, on new lines and on lines that were seen before.
        new: as a model of new lines; None where there is no such loss, as where training lines judge.
        bold: the loss of the sharper model on new lines, before it is asked for these only.
        ratios: what a model of new lines has along the training lines (see `Known.ratios`), if it was asked about
            all of them; and below, how sharp it is.
    """

    parts: tuple[Evaluation, Evaluation]
    new: Conditional | None = None
    bold: Evaluation | None = None
    ratios: np.ndarray | None = None
    sharpness: float = 1.0

    @property
    def as_it_is(self) -> Evaluation:
        """Give the loss of the model as it is."""
        return self.parts[0] + self.parts[1]

    def to_json(self) -> dict[str, float]:
        """Give the losses, in nats per character, as the events of a training hold them."""
        new = {} if self.new is None else {"new_lines": self.new.result.nats_per_char, "mass": self.new.mass}
        return {"nats_per_char": self.as_it_is.nats_per_char, **new}

    @property
    def loss(self) -> float:
        """Give the nats per character that decide which model is better."""
        return (self.new.result if self.new else self.as_it_is).nats_per_char


class Together:
    """Held-out lines and some training lines in one trie.

    Attributes:
        new, seen: which of the trie's lines the held-out lines are.
        few: which are the training lines, or every k-th of them, in the order of their own trie.
        every: that k.
        beside: the losses on the held-out lines without what models say, once they are known.
    """

    def __init__(self, prepared: Prepared, held: HeldOut, known: Callable[[], Trie]) -> None:
        self.held = held
        vocabulary = prepared.vocabulary
        self.every = -(-len(prepared.stream) * (vocabulary.size + HIDDEN) // MEANWHILE)
        some = prepared.split.train
        if self.every > 1:
            some = list(dict.fromkeys(some))[:: self.every]
        training = prepared.stream if self.every == 1 else vocabulary.encode(some)
        new, seen = vocabulary.read(held.new).stream, vocabulary.read(held.seen).stream
        self.trie = Trie(np.concatenate([new, seen[1:], training[1:]]), vocabulary.size)
        self.new, self.seen = self.trie.find(new), self.trie.find(seen)
        # Where some stand for all, that of all is not needed, which of a long text is large.
        own = known() if self.every == 1 else trie_of(vocabulary, training)
        which, here = own.find(training), self.trie.find(training)
        clear = which != NOWHERE  # of the others, the tokens do not say everything
        _, first = np.unique(which[clear], return_index=True)
        self.few = here[clear][first]
        self.beside: tuple[Evaluation, Evaluation] | None = None


class Judge:
    """Judges models of the same training lines."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        split = prepared.split
        # With a handful of lines, the same ones train and judge: none of them is new.
        self.both_ways = split.train != split.dev
        self.recurring = split.name != "distinct"
        self._labelled = isinstance(prepared.vocabulary, Labelled)
        self._together: Together | None = None

    def held_out(self, lines: Sequence[str]) -> HeldOut:
        """Divide lines into those that are new, and those that are not."""
        if not (self.both_ways and self.recurring):
            return HeldOut(lines, [], np.zeros(0, np.int64))
        known = set(self._prepared.split.train)
        seen = [line for line in lines if line in known]
        which = self._trie.find(self._prepared.vocabulary.encode(seen))
        vague = {line for line, one in zip(seen, which.tolist(), strict=True) if one == NOWHERE}
        new = [line for line in lines if line not in known or line in vague]
        return HeldOut(new, [line for line in seen if line not in vague], which[which != NOWHERE])

    def __call__(
        self,
        model: LanguageModel,
        held: HeldOut,
        before: Judged | None = None,
        most: int = PASS,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Judged:
        """Judge a model, exactly if the pass along the training lines is not more work than `most`.

        `before` is what `meanwhile` said of it on these lines. `progress` hears which share of the pass is done.
        """
        parts = before.parts if before else self.parts(model, held)
        if not self.both_ways:
            return Judged(parts)
        bold = sharper(model, self._sharpness)
        of_bold = before.bold if before else None
        if of_bold is None:
            of_bold = self.parts(bold, replace(held, seen=[]))[0] if bold is not model else parts[0]
        if not can_be_asked(model, self._prepared.stream, most):
            mass, error = self._drawn(model, most)
            left = log1p(-(mass if bold is model else self._drawn(bold, most)[0]))
            return self._judged(of_bold, held, parts, left, mass, error)
        known = Known.of(model, self._trie, progress, self._sharpness)
        ratios, logs = known.ratios_of_new_lines(), known.lines(as_it_is=True)
        # A sum of what leads off the trie: of lines that are known by heart, 1 less their sum would be noise.
        left = self._left(known.trie, ratios, held)
        judged = self._judged(of_bold, held, parts, left, float(np.exp(logs).sum()), logs=logs)
        return replace(judged, ratios=ratios, sharpness=self._sharpness)

    def meanwhile(self, model: LanguageModel, held: HeldOut) -> Judged:
        """Judge a model in a training. The same lines always stand for all: differences are sharper than losses.

        Held-out and training lines are in one trie, along which the model is asked once.
        """
        if not self.both_ways:
            return Judged(self.parts(model, held))
        if self._together is None or self._together.held is not held:
            self._together = Together(self._prepared, held, lambda: self._trie)
        together = self._together
        known = Known.of(model, together.trie, sharpness=self._sharpness)
        logs, of_bold = known.lines(as_it_is=True), known.lines(given_first=self._labelled)
        given = known.lines(as_it_is=True, given_first=True) if self._labelled else logs
        ends, ends_of_bold = known.ends(as_it_is=True), known.ends()
        if self._prepared.vocabulary.noun != "word":  # they are told for words only
            ends, ends_of_bold = np.zeros_like(ends), np.zeros_like(ends)
        if together.beside is None:  # what no model says, such as of letters that are new: always the same
            new, seen = (
                _with(part, given[which], ends[which], -1)
                for part, which in zip(self.parts(model, held), (together.new, together.seen), strict=True)
            )
            # Rounded, so that a training that goes on judges to the last digit as one that was not interrupted.
            together.beside = _rounded(new), _rounded(seen)
        new, seen = together.beside
        bold = _with(new, of_bold[together.new], ends_of_bold[together.new])
        new = _with(new, given[together.new], ends[together.new])
        seen = _with(seen, given[together.seen], ends[together.seen])
        few, every = together.few, together.every
        mass = min(MOST, float(np.exp(logs[few]).sum()) * every)
        if every > 1:
            all_of_bold = known.lines() if self._labelled else of_bold
            left = log1p(-min(MOST, float(np.exp(all_of_bold[few]).sum()) * every))
            return self._judged(bold, held, (new, seen), left, mass)
        weights = np.zeros(len(together.trie.leaves))
        weights[few] = -np.inf
        left = self._left(together.trie, known.ratios(weights, 0.0), held)
        return self._judged(bold, held, (new, seen), left, mass, logs=logs[few])

    def _left(self, trie: Trie, ratios: np.ndarray, held: HeldOut) -> float:
        """Give the logarithm of what known lines leave to others; where lines have labels, to others with the same
        label, the mean over the new held-out lines."""
        if not (self._labelled and held.new):
            return float(ratios[0])
        labels = first_tokens(self._prepared.vocabulary.read(held.new).stream).astype(np.int64)
        nodes = trie.child(np.zeros(len(labels), np.int64), labels)
        return float(np.where(nodes == NOWHERE, 0.0, ratios[nodes]).mean())

    def _judged(
        self,
        bold: Evaluation,
        held: HeldOut,
        parts: tuple[Evaluation, Evaluation],
        left: float,
        mass: float,
        error: float = 0.0,
        logs: np.ndarray | None = None,
    ) -> Judged:
        """`bold` is the loss of the sharper model on new lines, and `left` the logarithm of what it leaves to them.
        `mass` is what the training lines have in the model as it is, and `logs` (L,) what each has, if known."""
        seen = parts[1]
        if not isfinite(left):  # all that the model makes it has learned
            return Judged(parts)
        if not self.recurring:
            # Its part for line ends is not known: a model of new lines ends them elsewhere than the sharper one.
            result = replace(bold, nats=bold.nats + bold.lines * left, ends=0.0)
            return Judged(parts, Conditional(result, mass, error, None, self._sharpness), bold)
        again = self._recurrence
        shares = self._shares(logs)[held.which] if seen.lines else np.zeros(0)
        nats = bold.nats + bold.lines * (left - log1p(-again.chance)) - float((log(again.chance) + shares).sum())
        result = replace(bold + seen, nats=nats, ends=0.0)
        return Judged(parts, Conditional(result, mass, error, again.chance, self._sharpness), bold)

    def _shares(self, logs: np.ndarray | None) -> np.ndarray:
        """Divide the chance of a line that was seen among them, or among those of one label: logarithms (L,)."""
        shares = self._recurrence.log_shares(self._trie.times, logs)
        if self._labelled:
            first = np.zeros(len(self._trie))
            first[1 : self._trie.levels[2]] = self._trie.tokens[1 : self._trie.levels[2]]
            labels = self._trie.along_lines(first).astype(np.int64)
            shares -= np.log(np.bincount(labels, np.exp(shares))[labels])
        return shares

    def parts(self, model: LanguageModel, held: HeldOut) -> tuple[Evaluation, Evaluation]:
        """Find the losses of a model as it is, on the new lines and on those that were seen before."""
        nothing = Evaluation(0.0, 0, 0, 0)
        new, seen = (
            evaluate(model, self._prepared.vocabulary, part) if part else nothing for part in (held.new, held.seen)
        )
        return new, seen

    def _drawn(self, model: LanguageModel, work: int) -> tuple[float, float]:
        """Estimate the mass, and its standard error, from lines that are drawn from the model."""
        prepared = self._prepared
        most, known = longest(prepared.stream), set(prepared.split.train)
        usual = (usual_length(prepared.stream) + 1) * (model.vocabulary_size + HIDDEN)
        draws = min(max(DRAWS[0], work // usual // (1 if work >= PASS else 2)), DRAWS[1])
        # One that does not end by then is longer than all training lines.
        made = sample(model, prepared.vocabulary, SamplingConfig(max_length=most + 1))
        found = [one.complete and one.line in known for one in islice(made, draws)]
        # Half a line more of each kind: with none of one kind, the other would be certain.
        mass = (sum(found) + 0.5) / (len(found) + 1)
        return mass, sqrt(mass * (1 - mass) / (len(found) + 1))

    @cached_property
    def _trie(self) -> Trie:
        return trie_of(self._prepared.vocabulary, self._prepared.stream)

    @cached_property
    def _sharpness(self) -> float:
        return fitted_sharpness(self._prepared.stream, self._prepared.vocabulary.size)

    @cached_property
    def _recurrence(self) -> Recurrence:
        return Recurrence.of(self._trie, self._prepared.stream)


def _with(part: Evaluation, logs: np.ndarray, ends: np.ndarray, sign: int = 1) -> Evaluation:
    """Add what a model says of the lines of a part, and of their ends; with a `sign` of -1, take it away."""
    return replace(part, nats=part.nats - sign * float(logs.sum()), ends=part.ends - sign * float(ends.sum()))


def _rounded(part: Evaluation) -> Evaluation:
    return replace(part, nats=round(part.nats, 6), ends=round(part.ends, 6))


def can_be_asked(model: LanguageModel, stream: np.ndarray, most: int = PASS) -> bool:
    """Say whether asking a model along all lines of a stream is not more work than `most`."""
    if isinstance(model, NgramModel):
        most = COUNTED * most if most >= PASS else min(COUNTED * most, MOST_IN_HASTE)
    return len(stream) * (model.vocabulary_size + HIDDEN) <= most
