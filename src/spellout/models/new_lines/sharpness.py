"""How sure a model of new lines should be: a model, each of whose probabilities is taken to a power.

A model learns to give every line its probability, known ones too. Where those are taken away, it may be bolder than
it would have to be otherwise: a power above 1 makes likely lines likelier, known and new ones alike, and what the
known ones gain is given back. Measured on dev lines, a power of 1.1 to 1.15 takes 0.006 to 0.010 nats per character
from n-grams and networks of the course's names, and 1.05 takes 0.003 from those of passwords (bench/new_lines.py).
The best one is nearly the same for all models of a list, so an n-gram of nine tenths of its lines finds it on those
of the last tenth that are new to it (relative to the power that is best for them as they are).
"""

from __future__ import annotations

import numpy as np

from ..contract import LanguageModel
from ..ngram.quick import QUICK_TOKENS, quick_ngram
from ..ngram.streams import every_kth_apart, some_lines
from .known import asked
from .trie import NOWHERE, Trie

POWERS = np.arange(0.85, 1.41, 0.05)
HELD_OUT = 10
"""Every so-manieth line is held out."""
FEWEST = 100
"""With fewer held-out lines that are new, the power is 1."""
_NUMBERS = 1 << 26  # of probabilities that the fit may ask for
_MOST = 0.999


def fitted_sharpness(stream: np.ndarray, vocabulary_size: int) -> float:
    """Fit the sharpness on held-out lines that the others do not hold."""
    stream = some_lines(stream, min(QUICK_TOKENS, _NUMBERS // vocabulary_size))
    if (np.count_nonzero(stream == 0) - 1) // HELD_OUT < FEWEST:
        return 1.0
    rest, last = every_kth_apart(stream, HELD_OUT)
    trie, others = Trie(rest, vocabulary_size), Trie(last, vocabulary_size)
    new = others.find(last)[trie.find(last) == NOWHERE]
    if len(new) < FEWEST:
        return 1.0
    model = quick_ngram(rest, vocabulary_size)
    known, found = (_lines_to_powers(model, one, POWERS) for one in (trie, others))
    left = np.log1p(-np.minimum(_MOST, np.exp(known).sum(axis=1)))
    plain = -found[:, new].mean(axis=1)  # nats of a new line
    # The n-gram may itself be too bold or too shy: what counts is how much bolder it should be than otherwise.
    ratio = _lowest(plain + left) / _lowest(plain)
    return round(float(np.clip(ratio, 1.0, POWERS[-1])), 3)


def _lowest(losses: np.ndarray) -> float:
    """Find the power at the lowest point of the parabola through the three losses around the lowest one."""
    best = int(np.clip(losses.argmin(), 1, len(POWERS) - 2))
    below, here, above = losses[best - 1 : best + 2]
    bend = below - 2 * here + above
    moved = float(np.clip((below - above) / (2 * bend), -1.0, 1.0)) if bend > 0 else 0.0
    return float(POWERS[best]) + moved * float(POWERS[1] - POWERS[0])


def _lines_to_powers(model: LanguageModel, trie: Trie, powers: np.ndarray) -> np.ndarray:
    """Give the log-probability of every line of a trie if the model is as sharp as each of these, (powers, L)."""
    total = np.zeros((len(powers), len(trie)))
    for nodes, rows in asked(model, trie):
        parents, tokens, children = trie.edges_of(nodes)
        for number, power in enumerate(powers):
            sums = np.log(np.exp(power * rows).sum(axis=1))
            total[number, children] = power * rows[parents, tokens] - sums[parents]
    return trie.along_lines(total)
