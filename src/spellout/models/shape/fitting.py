"""Factors with which a model expects each class of token as often as it came, at every place and in every state.

The model's chances of the classes are those at positions of its training text, each without its own occurrence.
With O the times that a class came in a state, and E those that the model expects there, its factor g is the one for
which O - E = κ (g - 1): the likeliest one, if factors are spread around 1 as the gamma distribution of κ is (that
of Poisson counts). It is found by iterative scaling (Darroch & Ratcliff 1972): g ← (O + κ) / (E / g + κ).

A class that never came in a state has a κ of its own. How likely such are to come at all, the classes say that came
once (Good 1953): as much, all such classes are expected together. In a list of one format nothing came once, and
what breaks the format is expected in one line of all, or less. Other lines can tell more: what neither a tiny list
nor thousands of names ever do, as a capital inside a word, is as rare as in all of these together.

First the places are fitted, from all lines, then, beginning with these, the states.

    N positions · G groups of states · K classes
"""

from __future__ import annotations

import numpy as np

from .automaton import Shape, states_along
from .patterns import automaton_of

STRENGTH = 8.0
"""κ: a factor needs so many expected tokens to be as much the list's as it is 1."""
ITERATIONS = 8
WORTH = 1e-3
"""So many nats must be won at each position of the training text, judged without its own occurrence."""
UNMOVED, WORTH_OF_NOTHING = 1e12, 1e-4
"""Where less can be won, all factors stay 1 but those of classes that never came, if these alone win so many: names
come no better for a smaller gain (as new ones they were worse), but lines of one format do."""
OFTEN = 100
"""What never came in so many positions of other lines in a state is rare there."""
FEWEST_NATS = 3.0
"""And so many in all."""
_LEAST = 1e-12
_HALVINGS = 40


def fitted_shape(
    stream: np.ndarray, classes: np.ndarray, chances: np.ndarray, others: np.ndarray | None = None
) -> Shape | None:
    """Fit a shape to a model. None if it would not be better with it.

    Args:
        stream: (N + 1,) the model's training text, or some lines of it, `0 line 0 line 0`.
        classes: (V,) the class of every token.
        chances: (N, K) what the model says of the classes at all of its positions, each left out.
        others: (M + 1,) other lines, of which is known only what they never do.
    """
    automaton, targets = automaton_of(stream, classes), classes[stream[1:]].astype(np.int64)
    states = states_along(stream[:-1], classes, automaton.following)
    told = None if others is None else _Others(others, classes, automaton.following)
    for strength, gain in (STRENGTH, WORTH), (UNMOVED, WORTH_OF_NOTHING):
        places, won = _fitted(automaton.place, states, chances, targets, strength, told)
        shaped = chances * places[automaton.place[states]]
        shaped /= shaped.sum(axis=1, keepdims=True)
        groups, more = _fitted(automaton.group, states, shaped, targets, strength, told)
        least = max(FEWEST_NATS, gain * len(targets))
        factors = places[automaton.place]
        if more > least:
            factors, won = factors * groups[automaton.group], won + more
        elif told is not None:
            rare, _ = _fitted(automaton.group, states, shaped, targets, UNMOVED, told, nothing_is_rare=False)
            factors = factors * rare[automaton.group]
        if won > least:
            return Shape(classes, automaton.following, np.log(factors))
    if told is None:
        return None
    rare, _ = _fitted(automaton.group, states, chances, targets, UNMOVED, told, nothing_is_rare=False)
    return Shape(classes, automaton.following, np.log(rare[automaton.group]))


class _Others:
    """Other lines, a stream (M + 1,), and what never comes in their states."""

    def __init__(self, stream: np.ndarray, classes: np.ndarray, following: np.ndarray) -> None:
        self._states = states_along(stream[:-1], classes, following)
        self._targets = classes[stream[1:]].astype(np.int64)
        self.positions = len(self._states)

    def never(self, group: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Say which classes never came in which groups of states (G, K), if these were often enough.

        `own` (G, K) is how often they came in the list: of a class that it has where others never do, these tell
        nothing.
        """
        came = np.bincount(group[self._states] * own.shape[1] + self._targets, minlength=own.size)
        came = came.reshape(own.shape)
        never = (came == 0) & (came.sum(axis=1, keepdims=True) >= OFTEN)
        never[:, (own * never).any(axis=0)] = False
        return never


def _fitted(
    group: np.ndarray,
    states: np.ndarray,
    chances: np.ndarray,
    targets: np.ndarray,
    kappa: float = STRENGTH,
    others: _Others | None = None,
    nothing_is_rare: bool = True,
) -> tuple[np.ndarray, float]:
    """Fit the factors (G, K) of groups of states (S,) to chances (N, K) of classes, and those that came, in states
    (N,).

    Also gives how many nats they win, if the factor at each position does not know what came there. What never came
    is as rare as said above, or only what never comes in other lines either.
    """
    kinds, number, states = chances.shape[1], int(group.max()) + 1, group[states]
    cells = (states[:, None] * kinds + np.arange(kinds)).ravel()
    came = np.bincount(states * kinds + targets, minlength=number * kinds).reshape(number, kinds).astype(np.float64)
    factors = np.ones((number, kinds))
    strength, least = np.full((number, kinds), kappa), kappa
    for iteration in range(ITERATIONS):
        usual = np.einsum("nk,nk->n", chances, factors[states])  # (N,)
        weights = chances / usual[:, None]
        base = np.bincount(cells, weights.ravel(), minlength=number * kinds).reshape(number, kinds)  # E / g
        if iteration == 0:
            nothing, once = came == 0, int(np.count_nonzero(came == 1))
            if nothing_is_rare:
                strength[nothing] = _strength_of_nothing(base[nothing], once + 0.5)
            least = float(strength.min())
            if others is not None:
                nothing &= others.never(group, came)
                share = len(targets) / (len(targets) + others.positions)
                strength[nothing] = np.minimum(strength[nothing], _strength_of_nothing(base[nothing], 0.5 * share))
        factors = np.maximum((came + strength) / np.maximum(base + strength, _LEAST), _LEAST)
    return factors, _won(states, chances, targets, came, base, factors, np.where(came == 0, least, strength))


def _strength_of_nothing(expected: np.ndarray, times: float) -> float:
    """Find κ of the classes that never came: with it, so many of them are expected together."""
    low, high = np.log(1e-6), np.log(STRENGTH)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        kappa = np.exp(middle)
        more = float((expected * kappa / (expected + kappa)).sum()) > times
        low, high = (low, middle) if more else (middle, high)
    return float(np.exp(low))


def _won(
    states: np.ndarray,
    chances: np.ndarray,
    targets: np.ndarray,
    came: np.ndarray,
    base: np.ndarray,
    factors: np.ndarray,
    strength: np.ndarray,
) -> float:
    """Count the nats won at the positions, each with the factor of its class made without it."""
    own = chances[np.arange(len(targets)), targets]
    factor = factors[states, targets]
    usual = np.einsum("nk,nk->n", chances, factors[states])
    others, left = came[states, targets] - 1, base[states, targets] - own / usual
    kappa = np.where(others > 0, strength[states, targets], strength.min())
    without = (others + kappa) / (np.maximum(left, 0.0) + kappa)
    return float(np.log(without / (usual + own * (without - factor))).sum())
