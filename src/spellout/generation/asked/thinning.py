"""Lines of a network that is guided by an n-gram, thinned out until they come as the network has them.

A line that is guided comes with the chance Q, and should come in proportion to the network's own P. So lines are
kept with the chance P / (m Q), at most 1: rejection sampling, where m Q is nowhere below P. There is no such m that
is known, so one is taken above which little is: what lines with P > m Q lack together, as a share of what they
should have, is estimated on lines that are made beforehand, and told (Liu, Chen & Wong 1998, "Rejection control and
sequential importance sampling").

The mean of P / Q over guided lines is the network's probability of all lines that will do. Where it is not small,
nothing need be guided: any line is made, others thrown away, and that is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ...data.vocabulary.protocol import Vocabulary
from ...uniform import uniform
from ..config import SamplingConfig
from ..sampling import Sample, sample
from ..scoring import at_once, batches
from .making import Made

PILOT = 512
"""So many lines are made beforehand."""
OFTEN = 0.02
"""Where the network makes such lines so often by itself, it is not guided."""
LACKING = 0.01
"""What lines that should come more often may lack together."""
SELDOM = 1 / 200
"""Of guided lines so many are kept at least, whatever the others lack then."""
_FIRST, _MOST = 32, 1024


@dataclass(frozen=True)
class Plan:
    """Says how the lines of a network are drawn.

    Attributes:
        share: what the network gives to all lines that will do, as estimated.
        log_m: the logarithm of m.
        kept: which share of guided lines is kept.
        lacking: what lines that should come more often lack together.
    """

    share: float
    log_m: float
    kept: float
    lacking: float

    @property
    def is_often(self) -> bool:
        """Say whether nothing need be guided."""
        return self.share >= OFTEN


def plan(
    made: Made, vocabulary: Vocabulary, sampling: SamplingConfig, tick: Callable[[], None] = lambda: None
) -> Plan:
    """Make some lines, and see how their chances differ. The seed is always the same one: so is the plan."""
    config = SamplingConfig(prefix=sampling.prefix, max_length=sampling.max_length)
    tried = 0

    def cut(one: Sample) -> bool:
        nonlocal tried
        tried += 1  # it is one of those made, with no weight
        return False

    proposals = sample(made.model, vocabulary, config, cut=cut, patience=PILOT, tick=tick)
    lines = list(islice(proposals, PILOT))
    if not lines:
        return Plan(0.0, 0.0, 0.0, 0.0)
    weights = log_weights(made, vocabulary, [one.text for one in lines], sampling.prefix)
    most = float(weights.max())
    shares = np.exp(weights - most)
    # The chance of the prefix is in no weight: the share is among lines that begin so.
    share = float(np.exp(most) * shares.sum() / (len(lines) + tried))
    m = _bound(shares)
    # On the lines that it was chosen by it looks better than on others: each half judges what the other one chose.
    halves = shares[::2], shares[1::2]
    lacking = (
        sum(_lacking(one, _bound(other)) for one, other in (halves, halves[::-1])) / 2 if len(lines) > 1 else 0.0
    )
    return Plan(share, most + float(np.log(m)), float(np.minimum(shares, m).mean() / m), lacking)


def _bound(shares: np.ndarray) -> float:
    """Choose m for weights (L,)."""
    for m in np.sort(shares):
        if _lacking(shares, m) <= LACKING or np.minimum(shares, m).mean() <= SELDOM * m:
            break
    return float(m)


def _lacking(shares: np.ndarray, m: float) -> float:
    """Say what is cut off weights (L,) above m, as a share of all of them."""
    return float(1 - np.minimum(shares, m).sum() / shares.sum())


def log_weights(made: Made, vocabulary: Vocabulary, lines: list[str], prefix: str = "") -> np.ndarray:
    """Give the logarithm (L,) of P / Q of lines that begin with a prefix, of what comes after it."""
    begun = len(vocabulary.encode([prefix])) - 2 if prefix else 0
    weights = np.empty(len(lines))
    for numbers, tokens, targets, lengths in batches(vocabulary.encode(lines), at_once(vocabulary.size)):
        places = np.arange(targets.shape[1])
        inside = (places < lengths[:, None]) & (places >= begun)
        with np.errstate(invalid="ignore"):  # behind the end of a line, and only there, both are infinite
            apart = made.free.score(tokens, targets) - made.model.score(tokens, targets)
        weights[numbers] = np.where(inside, apart, 0.0).sum(axis=1)
    return weights


def thinned(
    proposals: Iterator[Sample], made: Made, vocabulary: Vocabulary, log_m: float, seed: int, prefix: str
) -> Iterator[Sample | None]:
    """Keep of guided lines those that come as they should; give None for each other one.

    Whether a line is kept depends on its number and the seed alone, so it is the same whatever else is made.
    """
    some = _FIRST
    while block := list(islice(proposals, some)):
        chances = np.exp(log_weights(made, vocabulary, [one.text for one in block], prefix) - log_m)
        for one, chance in zip(block, chances.tolist(), strict=True):
            yield one if _uniform(seed, one.candidate) < chance else None
        some = min(_MOST, 2 * some)


def _uniform(seed: int, candidate: int) -> float:
    """Give a number in [0, 1) that belongs to a candidate, and is none of those that made it (see `sampling`)."""
    source = np.random.Philox(key=seed, counter=[candidate, 0, 1, 0])
    return float(uniform(source.random_raw(1))[0])


def drawn(
    made: Made,
    vocabulary: Vocabulary,
    sampling: SamplingConfig,
    plan: Plan,
    *,
    accept: Callable[[str], bool],
    cut: Callable[[Sample], bool],
    patience: int,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Sample]:
    """Yield lines as `sample` does, thinned out as planned."""
    proposals = sample(made.model, vocabulary, sampling, cut=cut, patience=patience, tick=tick)
    refused = 0
    for one in thinned(proposals, made, vocabulary, plan.log_m, sampling.seed, sampling.prefix):
        if one is not None and accept(one.text):
            refused = 0
            yield one
        else:
            refused += 1
            if refused >= patience:
                return
