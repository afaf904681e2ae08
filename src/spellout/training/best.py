"""The best model of the base install: a network that starts from the n-gram, within a budget of seconds."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from ..errors import TrainingError
from ..models.contract import Listener
from ..models.mlp import MlpConfig
from ..models.ngram import NgramModel
from .config import TrainingConfig
from .loop import EVALUATIONS
from .prepared import Prepared
from .run import Trained
from .train import train

LONG = 25.0
"""With so many seconds, several networks together win; measured on the dev lines of two splits of names."""
EPOCHS = 20
"""So often every position is seen, if there is time: more only overfits."""
FEWEST_STEPS = 100
STEPS_PER_SECOND = 300
"""Of a single network. Steps rather than seconds end the training on most machines, so it can be repeated."""


AROUND = 1.0
"""Seconds of a command that are not training: starting Python, the last evaluation, making lines, leaving."""
SMALL = 60_000
"""Texts of fewer positions are learned more carefully: on 300 to 4,000 names that won 0.01 to 0.02 nats."""
SMALL_LR = 2e-3


def best_training(positions: int, seconds: float) -> tuple[str, TrainingConfig]:
    """What to train on so many positions of text in so many seconds, and how."""
    members = 4 if seconds >= LONG else 1
    specification = f"mlp:128:members={members}+ngram" if members > 1 else "mlp+ngram"
    most = max(FEWEST_STEPS, int(STEPS_PER_SECOND * seconds / members))
    steps = min(most, max(FEWEST_STEPS, EPOCHS * positions // MlpConfig().batch))
    lr = SMALL_LR if positions < SMALL else None
    every = -(-steps // EVALUATIONS)
    return specification, TrainingConfig(seconds=seconds - AROUND, steps=steps, lr=lr, evaluate_every=every)


def improve(
    ngram: Trained,
    prepared: Prepared,
    seconds: float,
    since: float,
    tell: Listener,
    interrupted: Callable[[], bool],
) -> Trained:
    """Train the best network that starts from a trained n-gram, until `seconds` after `since` (`perf_counter`).

    It ends early when the dev loss stops improving. The n-gram comes back if there is no time, or nothing to judge
    by, or if the network diverges.
    """
    prior = ngram.run.model
    assert isinstance(prior, NgramModel)
    if not prepared.split.dev or perf_counter() - since >= seconds - AROUND:
        return ngram
    specification, config = best_training(len(prepared.stream), seconds)
    try:
        return train(
            prepared, specification, tell, training=config, interrupted=interrupted, prior=prior, since=since
        )
    except TrainingError:
        return ngram
