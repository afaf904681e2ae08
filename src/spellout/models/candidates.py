"""Some tokens that stand for all of them: a softmax over a large vocabulary, estimated in training.

A step would need the logits of all V tokens at each of N positions, only to know their sum of exponentials. Instead
each step draws some tokens, the same for all its positions: token w with the chance π(w), independently of the
others. A drawn token then counts 1/π(w) times (Horvitz & Thompson 1952, "A Generalization of Sampling Without
Replacement From a Finite Universe"), so that on average the sum is that of all: the logit of a candidate is
corrected by -log π(w). The token that came is always there, and counts once.

Bengio & Senécal 2003, "Quick Training of Probabilistic Neural Nets by Importance Sampling"; Jean et al. 2015, "On
Using Very Large Target Vocabulary for Neural Machine Translation". Chances that grow with the root of a token's
count make the most frequent tokens certain, which have most of the sum, and let the rare ones take turns. A trained
network is never estimated: evaluation, scores and samples use all V.
"""

from __future__ import annotations

import numpy as np

from ..uniform import uniform

MANY_TOKENS = 4096
"""A larger vocabulary is worth it: for fewer tokens all of them are as quick."""
CANDIDATES = 1024
"""How many are drawn on average."""
_DRAWS = 1
"""The counter of Philox under which they are drawn; 0 is the order of the examples."""


class Candidates:
    """Draws tokens for the steps of a training.

    `chances` (V,): how likely each token is to be drawn.
    """

    def __init__(self, stream: np.ndarray, vocabulary_size: int, seed: int, many: int = CANDIDATES) -> None:
        counts = np.bincount(stream[1:], minlength=vocabulary_size)
        self.chances = inclusion(np.sqrt(counts + 0.5), many)
        self._seed = seed

    def draw(self, step: int, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the tokens of a step, counted from 0: T of them, ascending, with the targets (N,) among them.

        Gives the tokens (T,), what is added to their logits (T,) float32 (minus infinity for those that are there
        as targets only), and the place of each target among them (N,).
        """
        # Raw numbers, since NumPy does not promise that its own draws stay the same.
        raw = np.random.Philox(key=self._seed, counter=[0, step, _DRAWS, 0]).random_raw(len(self.chances))
        drawn = uniform(raw) < self.chances
        there = drawn.copy()
        there[targets] = True
        tokens = np.flatnonzero(there)
        correction = np.where(drawn[tokens], -np.log(self.chances[tokens]), -np.inf).astype(np.float32)
        places = np.cumsum(there) - 1
        return tokens, correction, places[targets]


def inclusion(sizes: np.ndarray, many: int) -> np.ndarray:
    """Chances (V,) that grow with positive sizes (V,), none above 1, and `many` or V in all."""
    if many >= len(sizes):
        return np.ones(len(sizes))
    falling = np.sort(sizes)[::-1].astype(np.float64)
    # With the k largest certain, the others share what is left; k is the first for which none of these is above 1.
    left, certain = np.cumsum(falling[::-1])[::-1], np.arange(many)
    factors = (many - certain) / left[:many]
    k = int(np.argmax(factors * falling[:many] <= 1.0))
    return np.minimum(1.0, factors[k] * sizes)
