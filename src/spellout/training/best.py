"""The best model of the base install: a network that starts from the n-gram, within a budget of seconds.

How many steps it takes follows from the file and the seconds, and is decided before it begins, so that the same
command makes the same lines (see `plan`).
"""

from __future__ import annotations

from dataclasses import replace

from ..data.prepared import Prepared
from ..errors import TrainingError
from ..models.arrays.first_layer import FEW_TOKENS
from ..models.arrays.mlp import MlpConfig
from ..models.candidates import MANY_TOKENS
from ..models.counts.gates import MOST_TOKENS
from ..models.counts.model import CountsModel
from .config import TrainingConfig
from .judging import Judging
from .plan import Plan
from .runs.run import Trained
from .train import Job, train

LONG = 25.0
"""With so many seconds, several networks together win; measured on the dev lines of two splits of names."""
EPOCHS = 20
"""Every position is seen so often, if there is time: more only overfits."""
FEWEST_STEPS = 100
LEAST = 0.5
"""Seconds of training that are worth it."""
AROUND = 0.7
"""Seconds of a command that are not planned for training: the last evaluation, making lines, leaving."""
LAST = 0.4
"""The clock takes so many of them for training too, before it ends it."""
READY = 0.5, 3.2e-7
"""Seconds until the n-gram is there, and what each position of the text adds to them."""
BEGIN = 0.1, 2e-7
"""The same of a network until its first step."""
LEFT_OUT = 1.7e-6, 1 << 20
"""Seconds to work out what the n-gram says at a position for the first time, of so many positions at most."""
STEP = 1.2e-3, 2.5e-5, 1.2e-5
"""Seconds of a step of one network, what each of the first `FEW_TOKENS` tokens of the vocabulary adds, and each
further one (bench/mlp_step.py)."""
LARGE = 3e-2, 3e-2
"""Seconds of a step on more than `MANY_TOKENS`, whatever their number: what the n-gram says, and each network."""
ANEW = 2.2e-3
"""What a step takes longer where the n-gram has to be asked anew at every step, as of more positions than that."""
OF_STEPS = "steps", "best_step", "stopped"
"""The results of a training that only one in steps has."""
NO_TIE = 1e-5
"""A network must be better by so many nats, or it would be so by a rounding error."""
SMALL = 60_000
"""Texts of fewer positions are learned more carefully: on 300 to 4,000 names that won 0.01 to 0.02 nats."""
SMALL_LR = 2e-3
MIXED_LR = 3e-3
"""A network that starts from mixed counts has less to learn: at 6e-3 it is no better, and forgets more."""
MIXED_BEFORE = 8e-6
"""Seconds for each position until the counts are mixed, beside the n-gram's."""
MIXED = (16, 400), (8, 200), (4, 100)
"""Views and steps of mixed counts where there is no time for a network, the best first."""
LONGEST = 1000
"""Tokens of the longest line: mixed counts look back to its beginning, so it is read one token after the other."""
MIXING = 2.5e-7, 4e-5
"""Seconds that a view takes for each position, and for each step of the mixer (bench/counts.py)."""
JUDGED = 1.2e-6, 3.5e-7, 200_000
"""Seconds for each position to judge mixed counts as models of new lines, and what each view adds to them; more
positions than the last take no longer, as for those the mass is drawn, or some lines stand for all."""
OF_A_NETWORK = 1.2
"""What a network that starts from mixed counts takes of these, before its first step and at its end together."""
OF_THE_NGRAM = 1.5e-6
"""The same of the n-gram, which comes before: seconds for each position."""
LEAVING = 0.15
"""Seconds that are kept for making lines and leaving."""


def best_counts(
    positions: int, vocabulary_size: int, seconds: float, elapsed: float, longest: int = 1
) -> str | None:
    """Choose how many counts to mix after the n-gram, `elapsed` seconds after a command of so many began.

    For when there is no time for a network. None if there is none for that either, or if the text is too long or
    of too many different tokens.
    """
    if not _may_be_mixed(positions, vocabulary_size, longest):
        return None
    ready, left = _until_now(positions), seconds - LEAVING
    for views, steps in MIXED:
        needed = views * (MIXING[0] * positions + MIXING[1] * steps) + _judged(positions, views)
        # How many follows from the file and the seconds; a clock takes some off only where a machine is slow.
        if ready + needed <= left and elapsed + max(1.0, elapsed / ready) * needed <= left:
            return f"counts:{views}:steps={steps}"
    return None


def _until_now(positions: int) -> float:
    """Estimate the seconds until the n-gram is there and judged, on a machine with no other work."""
    return _of_positions(READY, positions) + OF_THE_NGRAM * min(positions, JUDGED[2])


def _judged(positions: int, views: int) -> float:
    """Estimate the seconds of judging so many views, mixed, with the pass along the training lines."""
    return min(positions, JUDGED[2]) * (JUDGED[0] + JUDGED[1] * views)


def _may_be_mixed(positions: int, vocabulary_size: int, longest: int) -> bool:
    return longest <= LONGEST and positions <= LEFT_OUT[1] and vocabulary_size <= MOST_TOKENS


def best_training(
    positions: int, vocabulary_size: int, seconds: float, longest: int = 1
) -> tuple[str, TrainingConfig, Plan]:
    """Choose what to train on so many positions of text in so many seconds, and how.

    It depends on nothing else. The seconds of the training are the last moment, counted from where the command
    began; those of the plan are what is usually left for the network.
    """
    members = 4 if seconds >= LONG else 1
    mixed = _may_be_mixed(positions, vocabulary_size, longest)
    network = f"mlp:128:members={members}" if members > 1 else "mlp"
    specification = f"{network}+{'counts' if mixed else 'ngram'}"
    few = min(vocabulary_size, FEW_TOKENS)
    usual = members * (STEP[0] + STEP[1] * few + STEP[2] * (vocabulary_size - few))
    usual += ANEW if positions > LEFT_OUT[1] else 0.0
    if vocabulary_size > MANY_TOKENS:
        usual = LARGE[0] + members * LARGE[1]
    most = max(FEWEST_STEPS, EPOCHS * positions // MlpConfig().batch)
    lr = SMALL_LR if positions < SMALL else MIXED_LR if mixed else None
    training = TrainingConfig(seconds=max(seconds - LAST, seconds / 2), lr=lr)
    left = _learning(positions, seconds) - (positions * MIXED_BEFORE if mixed else 0.0)
    return specification, training, plan_for(positions, left, usual, most)


def plan_for(positions: int, seconds: float, usual: float | None = None, most: int | None = None) -> Plan:
    """Plan the steps of a network on so many positions of text, in a command of so many seconds in all."""
    before = AROUND + _of_positions(READY, positions) + _of_positions(BEGIN, positions)
    return Plan(max(0.0, seconds - before), usual, most)


def is_time(positions: int, vocabulary_size: int, seconds: float, elapsed: float, longest: int = 1) -> bool:
    """Say whether a network can still be trained, `elapsed` seconds after the command began, after the n-gram.

    What it starts from and how it is judged takes its time, too. A machine with other work has been slower up to
    now, and will be.
    """
    before = _of_positions(BEGIN, positions)
    if _may_be_mixed(positions, vocabulary_size, longest):
        before += positions * MIXED_BEFORE + OF_A_NETWORK * _judged(positions, MIXED[0][0])
    slower = max(1.0, elapsed / _until_now(positions))
    usually = plan_for(positions, _learning(positions, seconds)).seconds
    return usually >= LEAST and seconds - LAST - elapsed >= slower * (before + LEAST)


def _learning(positions: int, seconds: float) -> float:
    """Take off the seconds in which what the n-gram says at every position is worked out, once."""
    return seconds - LEFT_OUT[0] * min(positions, LEFT_OUT[1])


def _of_positions(seconds: tuple[float, float], positions: int) -> float:
    once, each = seconds
    return once + each * positions


def improve(job: Job) -> Trained | None:
    """Train a network of `best_training`, or mixed counts. None if it diverges.

    If no step of a network brought anything, it is the mixed counts that it started from.
    """
    try:
        trained = train(job)
    except TrainingError:
        return None
    run, prior = trained.run, getattr(trained.run.model, "prior", None)
    if run.last is None or run.last.state.best_step != 0 or not isinstance(prior, CountsModel):
        return trained
    results = {key: value for key, value in run.facts["results"].items() if key not in OF_STEPS}
    facts = {key: value for key, value in run.facts.items() if key != "training"}
    facts |= {"specification": job.specification.text.partition("+")[2], "results": results}
    return replace(trained, run=replace(run, family="counts", model=prior, facts=facts, last=None), stopped=None)


def is_better(trained: Trained, ngram: Trained, prepared: Prepared) -> bool:
    """Say whether a network, or mixed counts, are better than the n-gram.

    A network is judged as in its training; counts by their results, if these are of the same lines and exact.
    """
    last, found = trained.run.last, (trained, ngram)
    exact = not any(one.new and one.new.error for one in found)
    if last is None and exact and len({one.dev and one.dev.lines for one in found}) == 1:
        return trained.loss < ngram.loss - NO_TIE
    judging = Judging(prepared)
    loss = judging.loss(trained.run.model) if last is None else last.state.best_loss
    return loss is not None and loss < judging.loss(ngram.run.model) - NO_TIE
