"""The weights of an ensemble: those with which lines that its members have not seen are likeliest.

Both fits are convex and exact, by Newton's method with the projection of Bertsekas 1982, "Projected Newton
Methods for Optimization Problems with Simple Constraints", as no weight can fall below 0. Expectation maximisation
finds the same weights of a mixture, but needs thousands of rounds where members are much alike. The sum of a
product's weights is left free (bench/ensembles.py): members that are each as sure as they should be are not sure
enough together where they err apart.

    N members · P places in a text · V tokens of the vocabulary
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..contract import LanguageModel
from ..softmax import picked
from .ensemble import Ensemble
from .mixture import Mixture
from .product import Product

CAUTION = 10.0
"""Nats on all lines together that a weight costs, times half its square. It makes weights that were fitted to few
lines more equal, which wins, and leaves those of many as they are."""
LEAST_CAUTION = 1e-7
"""It costs no less a token: so members that say the same have the same weights, and one that says nothing none."""
TRACE = 1e-5
"""A smaller weight is none."""
ENOUGH = 1e-9
"""A weight is found when a step down its slope would move it less."""
NO_TIE = 1e-7
"""A product must be better by so many nats per token, or the mixture is taken, which is the simpler."""
IMPOSSIBLE = -1e4
"""The logarithm of what a member thinks impossible, and another does not, while a product is fitted."""
_ROUNDS = 100
_NEAR_ZERO = 1e-3
_DESCENT, _LEAST_PART = 1e-4, 1e-9

Batches = Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Tokens (B, T), targets (B, T), and which of these count, a mask (B, T)."""


@dataclass(frozen=True)
class Fit:
    """Holds the better of both kinds of ensemble.

    Attributes:
        nats: nats per token on the lines that fitted the weights: by kind, and of every member alone.
        places: how many tokens they have.
    """

    ensemble: Ensemble
    nats: dict[str, float]
    members: list[float]
    places: int


def fit(members: Sequence[LanguageModel], batches: Batches, loss: Callable[[Ensemble], float] | None = None) -> Fit:
    """Fit both kinds of ensemble to lines, and take the better one. Without lines, all count the same.

    `loss` says which one is better, if it is not to be the one that finds these lines likelier.
    """
    return fit_to(members, *said(members, batches), loss)


def fit_to(
    members: Sequence[LanguageModel],
    logs: np.ndarray,
    chosen: np.ndarray,
    loss: Callable[[Ensemble], float] | None = None,
) -> Fit:
    """Fit them to what members have said of lines, (N, P, V) log-probabilities, and the tokens that came (P,)."""
    if not len(chosen):
        return Fit(even(members), {}, [], 0)
    own = picked(logs, np.broadcast_to(chosen, logs.shape[:2]))
    alone = (-own.mean(axis=1)).tolist()
    weights = mixture_weights(own)
    mixture = Mixture(members, weights)
    nats = {"mixture": -float(Mixture.mean(own[weights > 0], weights[weights > 0].tolist()).mean())}
    best: Ensemble = mixture
    powers = product_weights(logs, chosen)
    if powers.any():
        asked = powers > 0
        rows = Product.mean(logs[asked], powers[asked].tolist())
        nats["product"] = -float(picked(rows, chosen).mean())
        product = Product(members, powers)
        won = loss(mixture) - loss(product) if loss else nats["mixture"] - nats["product"]
        if won > NO_TIE:
            best = product
    return Fit(best, nats, alone, len(chosen))


def even(members: Sequence[LanguageModel]) -> Ensemble:
    """Give the mixture in which all count the same."""
    return Mixture(members, [1.0 / len(members)] * len(members))


def mixture_weights(own: np.ndarray, caution: float = CAUTION) -> np.ndarray:
    """Fit the weights (N,) of a mixture to the log-probabilities (N, P) that each member gives what came.

    Σ weights is added to the loss in place of the condition that it is 1: where the loss is lowest, it then is.
    """
    with np.errstate(invalid="ignore"):
        chances = np.exp(own - own.max(axis=0))
    chances = chances[:, np.isfinite(chances).all(axis=0)]  # what all think impossible fits nothing
    if not chances.size:
        return np.full(len(own), 1.0 / len(own))

    def loss(weights: np.ndarray) -> float:
        with np.errstate(divide="ignore"):
            return float(weights.sum() - np.log(weights @ chances).mean())

    def derivatives(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares = chances / (weights @ chances)
        return 1.0 - shares.mean(axis=1), shares @ shares.T / shares.shape[1]

    weights = _newton(len(own), loss, derivatives, caution / chances.shape[1])
    return weights / weights.sum()


def product_weights(logs: np.ndarray, chosen: np.ndarray, caution: float = CAUTION) -> np.ndarray:
    """Fit the weights (N,) of a product to log-probabilities (N, P, V) and the tokens that came (P,).

    A member that thinks impossible what came gets 0. All do if every one is worse than knowing nothing.
    """
    weights = np.zeros(len(logs))
    able = np.isfinite(picked(logs, np.broadcast_to(chosen, logs.shape[:2]))).all(axis=1)
    while able.any():
        found = _powers(np.maximum(logs[able], IMPOSSIBLE), chosen, caution)
        weights[:] = 0.0
        weights[able] = found
        # One that excluded tokens while it was fitted does so no more at weight 0: fit the others without it.
        excluding = able & (weights == 0.0) & np.isneginf(logs).any(axis=(1, 2))
        if not excluding.any():
            break
        able &= ~excluding
    return weights


def _powers(logs: np.ndarray, chosen: np.ndarray, caution: float) -> np.ndarray:
    """Fit the weights (N,) of a product whose members think nothing impossible."""
    came = picked(logs, np.broadcast_to(chosen, logs.shape[:2])).mean(axis=1)

    def loss(weights: np.ndarray) -> float:
        total = np.einsum("n,npv->pv", weights, logs)
        largest = total.max(axis=1)
        total -= largest[:, None]
        return float((np.log(np.exp(total).sum(axis=1)) + largest).mean() - weights @ came)

    def derivatives(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give what is expected of log p less what came of it, and the covariance of log p."""
        chances = np.exp(Product.mean(logs, weights.tolist()))
        expected = np.einsum("npv,pv->np", logs, chances)
        curvature = np.empty((len(logs), len(logs)))
        for one in range(len(logs)):
            weighted = chances * (logs[one] - expected[one][:, None])
            for other in range(one + 1):
                curvature[one, other] = curvature[other, one] = np.vdot(weighted, logs[other]) / len(chosen)
        return expected.mean(axis=1) - came, curvature

    return _newton(len(logs), loss, derivatives, caution / len(chosen))


def _newton(
    count: int,
    loss: Callable[[np.ndarray], float],
    derivatives: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    ridge: float,
) -> np.ndarray:
    """Find the weights (N,), none below 0, at which a convex loss is lowest, from its slope and its curvature.

    A `ridge` times half the sum of their squares is added to the loss.
    """
    ridge = max(ridge, LEAST_CAUTION)
    weights = np.full(count, 1.0 / count)
    nats = loss(weights) + ridge / 2 * float(weights @ weights)
    for _ in range(_ROUNDS):
        slope, curvature = derivatives(weights)
        slope, curvature = slope + ridge * weights, curvature + ridge * np.eye(count)
        if np.abs(weights - np.maximum(weights - slope, 0.0)).max() <= ENOUGH:
            break
        # Weights that are about to leave at 0 go down their own slope, so that they do not bend the others' way.
        leaving = (weights <= _NEAR_ZERO) & (slope > 0.0)
        direction = np.zeros(count)
        direction[leaving] = -slope[leaving] / curvature.diagonal()[leaving]
        stay = np.flatnonzero(~leaving)
        direction[stay] = np.linalg.solve(curvature[np.ix_(stay, stay)], -slope[stay])
        part = 1.0
        while part > _LEAST_PART:
            tried = np.maximum(weights + part * direction, 0.0)
            now = loss(tried) + ridge / 2 * float(tried @ tried)
            if now <= nats + _DESCENT * float(slope @ (tried - weights)):
                break
            part /= 2
        else:
            break
        weights, nats = tried, now
    weights[weights < TRACE] = 0.0
    return weights


def said(members: Sequence[LanguageModel], batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Collect what every member says, (N, P, V), and what came, (P,)."""
    places: list[list[np.ndarray]] = [[] for _ in members]
    chosen: list[np.ndarray] = []
    for tokens, targets, inside in batches:
        for said, member in zip(places, members, strict=True):
            said.append(member.log_probabilities(tokens)[inside])
        chosen.append(targets[inside])
    if not chosen:
        return np.zeros((len(members), 0, 1)), np.zeros(0, np.int64)
    return np.stack([np.concatenate(said) for said in places]), np.concatenate(chosen)
