"""Makes a model of the lines that were asked for: exactly of an n-gram, nearly of any other.

An n-gram with the automaton of what was asked is an automaton again, of which the sums are known (see `backward`).
A network remembers more than an automaton can; there the sums of an n-gram of the same lines guide it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from ...data.vocabulary.protocol import Vocabulary
from ...errors import UsageError
from ...models.contract import LanguageModel
from ...models.new_lines.known import Known
from ...models.new_lines.model import Weighted
from ...models.new_lines.sharper import Sharper, sharper
from ...models.new_lines.trie import NOWHERE
from ...models.ngram.config import NgramConfig
from ...models.ngram.counts import Counts
from ...models.ngram.model import NgramModel
from ..new_lines import trie_of
from .automaton import Automaton
from .backward import Backward
from .conditioned import Conditioned
from .states import States, with_shape
from .wish import Wish

GUIDING_ORDER = 6
"""Of the n-gram that guides a network."""
PLENTY = 1 << 14
"""Of less text than that, an n-gram is so sure of its contexts that what a network thinks likely elsewhere is
seldom tried; then it has half the order."""
_MOST_SUMS = 1 << 25


@dataclass(frozen=True)
class Made:
    """A model that makes what was asked for.

    Attributes:
        model: which makes nothing else.
        free: which makes anything, and of whose lines these are the ones.
        exact: whether they are as likely to each other as in `free`.
        guided: the n-gram of what was asked, known lines or not.
        weighted: the part of the model that leaves known lines out, if there are some.
    """

    model: LanguageModel
    free: LanguageModel
    exact: bool
    guided: Conditioned
    weighted: Weighted | None = None

    def share(self, tokens: np.ndarray) -> float:
        """Say which part of the n-gram's lines that begin with these tokens (T,) will do; known ones do not."""
        new = 0.0
        if self.weighted is not None:
            node = self.weighted.trie.walk(np.concatenate([[0], tokens])[None])[0, -1]
            new = 0.0 if node == NOWHERE else float(self.weighted.ratios[node])
        return float(np.exp(self.guided.log_share(tokens) + new))

    def can_begin(self, tokens: np.ndarray) -> bool:
        """Say whether any line that begins with these tokens (T,) is left."""
        return self.weighted is None or self.weighted.can_begin(tokens)


def is_automaton(model: LanguageModel) -> TypeGuard[NgramModel]:
    """Say whether what a model knows of a line is a context that was seen, and perhaps the line's shape."""
    if type(model) is not NgramModel or not model.interpolated:
        return False
    return model.context == model.order - 1 or model.shape is not None


def make_model(
    model: LanguageModel,
    vocabulary: Vocabulary,
    stream: np.ndarray,
    wish: Wish,
    known: Collection[str],
    power: float,
    tick: Callable[[], None] = lambda: None,
) -> Made:
    """Condition a model, to a power, on what was asked and on lines that are not known.

    The stream of its training lines is what guides a network. `tick` is called now and then, and may raise to end
    the work. ValueError if all such lines are known.
    """
    assert wish.automaton is not None
    guide, backward = model, _sums_of(model, wish.automaton, power, tick) if is_automaton(model) else None
    exact = backward is not None
    if backward is None:
        guide, backward = _guide(model, stream, vocabulary.size, wish, power, tick)
    free = sharper(model, power)
    conditioned, guided = Conditioned(free, backward), Conditioned(sharper(guide, power), backward)
    trie = trie_of(vocabulary, _stream_of(vocabulary, wish, known))
    if not len(trie.leaves):
        return Made(conditioned, free, exact and backward.exact, guided)
    new = Weighted.of_new_lines(guided, Known.of(guided, trie, lambda share: tick()))
    if exact:
        return Made(new, free, backward.exact, guided, new)
    # What is known, and so is dead, the n-gram knows; but of the network's chances nothing says that they add up.
    weighted = Weighted(conditioned, trie, new.ratios)
    return Made(Sharper(weighted, 1.0), free, False, guided, weighted)


def _sums_of(model: NgramModel, automaton: Automaton, power: float, tick: Callable[[], None]) -> Backward | None:
    """Give the sums of an n-gram; None if they are too many."""
    gains = None
    if model.shape is not None:
        try:
            automaton, gains = with_shape(automaton, model.shape, power)
        except OverflowError:
            return None
    contexts, entries = (sum(len(getattr(level, name)) for level in model.levels) for name in ("keys", "counts"))
    tied = max(map(len, automaton.tied()))
    if max(contexts * len(automaton), entries * tied) > _MOST_SUMS:
        return None
    return Backward.of(States(model, power), automaton, gains, tick=tick)


def _guide(
    model: LanguageModel,
    stream: np.ndarray,
    vocabulary_size: int,
    wish: Wish,
    power: float,
    tick: Callable[[], None],
) -> tuple[NgramModel, Backward]:
    """Count an n-gram that is in doubt rather than too sure of where lines lead, with the shape that the model has
    if there is one."""
    assert wish.automaton is not None
    for shape in dict.fromkeys((getattr(model, "shape", None), None)):
        for order in range(GUIDING_ORDER if len(stream) >= PLENTY else GUIDING_ORDER // 2, 0, -1):
            config = NgramConfig(order=order, smoothing="closed-form")
            guide = NgramModel.estimate(Counts.of(stream, order, vocabulary_size), config).with_shape(shape)
            if (backward := _sums_of(guide, wish.automaton, power, tick)) is not None:
                return guide, backward
    raise UsageError(f"{wish.asked.said}: takes too many sums; ask for less")


def _stream_of(vocabulary: Vocabulary, wish: Wish, known: Collection[str]) -> np.ndarray:
    """Encode those of some lines that will do, and that can be made at all."""
    lines = [line for line in known if wish.is_so(wish.written(line))]
    if wish.writing is None:
        lines += [line for line in wish.avoided if wish.is_so(line)]
    strange = set(vocabulary.read(lines).lines.tolist())
    return vocabulary.encode([line for number, line in enumerate(lines) if number not in strange])
