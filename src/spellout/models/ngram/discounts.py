"""How much the n-gram model takes from what it has seen to give to what it has not.

`closed_form` computes the three discounts of a level from its counts of counts (Chen & Goodman 1998, eq. 26).
`fit` finds discounts and concentrations together, by maximum likelihood on n-grams of held-out training lines:
the model's recursion, its derivative by the chain rule, and BFGS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .counts import Counts
from .level import Level, walk

FEW_ROWS = 30_000
"""More distinct held-out n-grams than this cost time and win less than 0.0002 nats; every k-th is taken."""
LeftOut = tuple[np.ndarray, np.ndarray]
"""The entry of each row's own token (N,) at a level, and whether it is counted once less there, (N,) bool."""
Trail = list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
_TYPICAL = np.array([0.0, 0.5, 1.0, 1.5])
_LARGEST = np.array([1.0, 2.0, 3.0])  # a discount cannot exceed the count it applies to


@dataclass(frozen=True)
class Discounts:
    """`amounts` (order, 4): what is taken from counts of 0 (nothing), 1, 2, and 3 or more, at each level.
    `concentrations` (order,): pseudo-counts given to the shorter context at each level."""

    amounts: np.ndarray
    concentrations: np.ndarray


def checked_discounts(amounts: np.ndarray, concentrations: np.ndarray, order: int) -> Discounts:
    """Discounts that someone else wrote. Raises ValueError if they could make a probability zero or negative."""
    sound = (
        amounts.shape == (order, 4)
        and concentrations.shape == (order,)
        and bool((amounts >= 0).all() and (amounts <= [0, *_LARGEST]).all())
        and bool((concentrations >= 0).all() and np.isfinite(concentrations).all())
        and bool((amounts[:, 1:].min(axis=1) + concentrations > 0).all())
    )
    if not sound:
        raise ValueError("the discounts are not discounts of counts")
    return Discounts(amounts, concentrations)


def weights_of(
    level: Level, discounts: Discounts, depth: int, contexts: np.ndarray, left_out: LeftOut | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The denominator, and the weight of the shorter context (Chen & Goodman's γ), of some contexts, (N,) each."""
    amounts, concentration = discounts.amounts[depth], discounts.concentrations[depth]
    total = level.totals[contexts] + concentration
    mass = np.einsum("ij,j->i", level.kinds[contexts], amounts) + concentration
    if left_out:
        own, gone = left_out
        counts = level.counts_of(own)
        # The token goes over to the N_j of a count of one less, whose discount is another.
        change = amounts[np.clip(counts - 1, 0, 3)] - amounts[np.minimum(counts, 3)]
        total, mass = total - gone, mass + np.where(gone, change, 0.0)
        only = total <= 0  # the context was seen this once: without it, the shorter one decides
        total, mass = np.where(only, 1.0, total), np.where(only, 1.0, mass)
    return total, mass / total


def closed_form(levels: list[Level]) -> Discounts:
    """The textbook's modified Kneser–Ney discounts.

    Where the counts of a level are too few or too odd for the formula (it gives nothing, or more than the count),
    typical discounts stand in, so that something is always left for what was not seen.
    """
    amounts = np.tile(_TYPICAL, (len(levels), 1))
    for row, level in zip(amounts, levels, strict=True):
        of_count = np.bincount(np.minimum(level.counts, 5), minlength=6).astype(float)
        if of_count[1:4].all():
            # Y = n1 / (n1 + 2 n2), and D_j = j - (j + 1) Y n_(j+1) / n_j
            y = of_count[1] / (of_count[1] + 2 * of_count[2])
            formula = np.array([j - (j + 1) * y * of_count[j + 1] / of_count[j] for j in (1, 2, 3)])
            if (formula > 0).all():  # it is never above j
                row[1:] = formula
    return Discounts(amounts, np.zeros(len(levels)))


def fit(levels: list[Level], held_out: Counts, start: Discounts | None = None) -> Discounts:
    """The discounts and concentrations that give `held_out` the highest probability.

    `start` may come from a model of another order. A weak pull towards the start keeps a handful of lines from
    pushing them to extremes.
    """
    return fit_together([(levels, held_out)], start or closed_form(levels))


def fit_together(parts: Sequence[tuple[list[Level], Counts]], start: Discounts) -> Discounts:
    """The same of several models of one order, each with n-grams of its own that it has not counted."""
    objectives = [_Objective(levels, held_out) for levels, held_out in parts]
    first = _to_free(_resized(start, len(parts[0][0])))
    inverse = _inverse_of_blocks(np.sum([one.curvature(first) for one in objectives], axis=0))

    def pulled(free: np.ndarray) -> tuple[float, np.ndarray]:
        found, distance = [objective(free) for objective in objectives], free - first
        value, gradient = sum(one for one, _ in found), np.sum([one for _, one in found], axis=0)
        return value + 0.05 * float(distance @ distance), gradient + 0.1 * distance

    return _from_free(_minimise(pulled, first, inverse))


class _Objective:
    """Negative log-likelihood of held-out n-grams and its gradient, as a function of the free parameters.

    It sums with einsum, not with matrix products: those start BLAS threads for work of a microsecond, and on a
    busy machine the threads wait for each other ten times longer than they work.
    """

    def __init__(self, levels: list[Level], held_out: Counts) -> None:
        step = 1 + len(held_out.counts) // FEW_ROWS
        *contexts, targets = [column[::step] for column in held_out.columns]
        ids = np.stack(walk(levels, contexts or [targets]))
        # Rows whose longest contexts are known come first: then every level's rows are a slice, not a choice.
        order = np.argsort(-(ids >= 0).sum(axis=0), kind="stable")
        self.weight = held_out.counts[::step][order].astype(np.float64)
        self.base = 1.0 / levels[0].vocabulary_size
        self.rows = []
        for level, here in zip(levels, ids[:, order], strict=True):
            here = here[: int((here >= 0).sum())]
            counts = level.counts_of(level.find_entries(here, targets[order[: len(here)]]))
            # (4, rows): by how much the shorter context's weight grows with each discount and the concentration.
            growth = np.concatenate([level.kinds[here, 1:].T, np.ones((1, len(here)))])
            self.rows.append((counts, np.minimum(counts, 3), level.totals[here], growth))

    def __call__(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        discounts = _from_free(free)
        chance, trail = self._chances(discounts)
        gradient = np.zeros((len(self.rows), 4))
        for depth, lower, here, pulled in self._back(trail, -self.weight / chance):
            _, classes, _, growth = self.rows[depth]
            gradient[depth] = np.einsum("i,ji->j", pulled * lower, growth)
            gradient[depth, :3] -= np.bincount(classes, pulled, minlength=4)[1:]
            gradient[depth, 3] -= np.einsum("i,i->", pulled, here)
        loss = -float(np.einsum("i,i->", self.weight, np.log(chance)))
        return loss, (gradient * _slope_of_free(discounts)).ravel()

    def curvature(self, free: np.ndarray) -> np.ndarray:
        """The Fisher information of each level's four parameters, (order, 4, 4): the Hessian, nearly, less what
        the levels have to do with each other."""
        discounts = _from_free(free)
        chance, trail = self._chances(discounts)
        blocks = np.zeros((len(self.rows), 4, 4))
        for depth, lower, here, pulled in self._back(trail, np.sqrt(self.weight) / chance):
            _, classes, _, growth = self.rows[depth]
            scores = growth * lower  # (4, rows): how a row's loss moves with each parameter of this level
            scores[3] -= here
            for kind in (1, 2, 3):
                scores[kind - 1] -= classes == kind
            scores *= pulled
            blocks[depth] = np.einsum("in,jn->ij", scores, scores)
        slopes = _slope_of_free(discounts)
        return blocks * slopes[:, :, None] * slopes[:, None, :]

    def _back(self, trail: Trail, slope: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """The chain rule, from the longest contexts down: each level's depth, its rows' probabilities at the
        shorter context and at this one, and the slope of what is differentiated by one more count, (rows,) each.

        `slope` is that by the probability at the longest context, and is overwritten.
        """
        # p = (c - D_c) · share + weight · lower, with share = 1 / (total + θ), weight = (θ + Σ_j D_j N_j) · share.
        # So dp/dD_j = share · (N_j · lower - [c is j]), dp/dθ = share · (lower - p), and dp/dlower = weight.
        for depth in reversed(range(len(trail))):
            lower, share, weight, here = trail[depth]
            yield depth, lower, here, slope[: len(here)] * share
            slope[: len(here)] *= weight

    def _chances(self, discounts: Discounts) -> tuple[np.ndarray, Trail]:
        """The probability of every row, and for each level: the shorter context's probability, what one more
        count is worth, the weight of the shorter context, and the probability."""
        chance: np.ndarray = np.full(len(self.weight), self.base)
        trail = []
        for depth, (counts, classes, totals, growth) in enumerate(self.rows):
            amounts, concentration = discounts.amounts[depth], discounts.concentrations[depth]
            lower = chance[: len(counts)].copy()
            share = 1.0 / (totals + concentration)
            weight = np.einsum("j,ji->i", np.append(amounts[1:], concentration), growth) * share
            here = (counts - amounts[classes]) * share + weight * lower
            chance[: len(counts)] = here
            trail.append((lower, share, weight, here))
        return chance, trail


def _resized(discounts: Discounts, order: int) -> Discounts:
    """As many levels as wanted: the longest level's discounts repeated, or the longest levels dropped."""
    missing = max(order - len(discounts.amounts), 0)
    return Discounts(
        np.pad(discounts.amounts, ((0, missing), (0, 0)), mode="edge")[:order],
        np.pad(discounts.concentrations, (0, missing), mode="edge")[:order],
    )


def _to_free(discounts: Discounts) -> np.ndarray:
    """Unbounded parameters (order * 4,): logits of discounts as fractions of their largest, log concentrations."""
    fraction = np.clip(discounts.amounts[:, 1:] / _LARGEST, 0.02, 0.98)  # an infinite logit could never come back
    logits = np.log(fraction / (1 - fraction))
    return np.column_stack([logits, np.log(np.maximum(discounts.concentrations, 0.05))]).ravel()


def _from_free(free: np.ndarray) -> Discounts:
    table = np.clip(free.reshape(-1, 4), -30, 30)  # beyond, exponentials only round to 0 or overflow
    amounts = np.zeros((len(table), 4))
    amounts[:, 1:] = _LARGEST / (1 + np.exp(-table[:, :3]))
    return Discounts(amounts, np.exp(table[:, 3]))


def _slope_of_free(discounts: Discounts) -> np.ndarray:
    amounts = discounts.amounts[:, 1:]
    return np.column_stack([amounts * (1 - amounts / _LARGEST), discounts.concentrations])


def _inverse_of_blocks(blocks: np.ndarray) -> np.ndarray:
    """The inverse of a matrix with these (n, 4, 4) blocks on its diagonal and the pull's curvature."""
    inverse = np.zeros((4 * len(blocks), 4 * len(blocks)))
    for first, block in zip(range(0, len(inverse), 4), blocks, strict=True):
        inverse[first : first + 4, first : first + 4] = np.linalg.inv(block + 0.1 * np.eye(4))
    return inverse


def _minimise(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    inverse: np.ndarray,
    steps: int = 60,
) -> np.ndarray:
    """BFGS with backtracking (Nocedal & Wright 2006, ch. 6) from a first inverse Hessian; stops when a step gains
    under 1e-7 of the value."""
    value, gradient = function(x)
    for _ in range(steps):
        direction = -inverse @ gradient
        # By more than 4 a logit or a logarithm would leap to where nothing has a slope.
        direction *= min(1.0, 4.0 / max(float(np.abs(direction).max()), 1e-12))
        decline = float(direction @ gradient)
        length = 1.0
        while length > 1e-6:
            new_value, new_gradient = function(x + length * direction)
            if new_value <= value + 1e-4 * length * decline:  # Armijo's condition
                break
            length *= 0.5
        else:
            return x
        step, change = length * direction, new_gradient - gradient
        gain = value - new_value
        x, value, gradient = x + step, new_value, new_gradient
        if gain < 1e-7 * abs(value):
            return x
        curvature = float(step @ change)
        if curvature > 1e-12:  # or the inverse would not stay positive definite
            left = np.eye(len(x)) - np.outer(step, change) / curvature
            inverse = left @ inverse @ left.T + np.outer(step, step) / curvature
    return x
