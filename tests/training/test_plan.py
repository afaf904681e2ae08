"""From seconds to steps: the same number again, and nothing of the learner is touched."""

import itertools

import numpy as np
import pytest

from spellout.training.config import TrainingConfig
from spellout.training.plans import plan as module
from spellout.training.plans.plan import Plan, rounded, step_seconds


class Timed:
    """A learner whose steps take the given seconds of a clock of their own."""

    examples, batch, lr = 100, 8, 0.5

    def __init__(self, clock, seconds):
        self.weight, self.rates = 0.0, []
        self._clock, self._seconds = clock, itertools.cycle(seconds)

    def step(self, chosen, lr):
        self._clock.now += next(self._seconds)
        self.weight += 1.0
        self.rates.append(lr)
        return 1.0

    def state(self):
        return {"weight": np.array([self.weight])}

    def load_state(self, state):
        self.weight = float(state["weight"][0])


@pytest.fixture
def clock(clock_of):
    return clock_of(module, "thread_time")


def test_the_fastest_step_counts_and_the_learner_is_as_it_was(clock):
    learner = Timed(clock, [0.5, 0.003, 0.004, 0.002])
    learner.weight = 7.0
    assert step_seconds(learner, 8, 0) == pytest.approx(0.003)  # the slow first one spent the time for more
    assert learner.weight == 7.0
    assert learner.rates == [0.0] * 2
    assert step_seconds(Timed(clock, [0.05, 0.003, 0.004, 0.002]), 8, 0) == pytest.approx(0.002)


def steps(plan, learner):
    return plan.planned(learner, TrainingConfig(seconds=99.0)).steps


@pytest.mark.parametrize("noise", [0.75, 0.9, 1.0, 1.1, 1.29])
def test_a_step_of_about_the_usual_time_gives_the_same_steps(clock, noise):
    plan = Plan(10.0, usual=0.004)
    assert steps(plan, Timed(clock, [0.004 * noise])) == int(module.SHARE * 10.0 / 0.004)


@pytest.mark.parametrize(("slower", "part"), [(1.31, 2), (2.5, 2), (2.7, 4), (10.0, 8)])
def test_on_a_slower_machine_there_are_half_as_many_steps_or_a_quarter(clock, slower, part):
    assert steps(Plan(10.0, usual=0.004), Timed(clock, [0.004 * slower])) == int(module.SHARE * 10.0 / 0.004 / part)


def test_a_model_whose_time_is_not_known_is_rounded_to_powers_of_two():
    assert [rounded(seconds, None) for seconds in (0.0009, 0.001, 0.0011, 0.0039, 0.5)] == pytest.approx(
        [0.001, 0.001, 0.002, 0.004, 0.512]
    )


def test_there_is_a_step_at_least_and_not_more_than_the_most(clock):
    assert steps(Plan(0.0, usual=0.004), Timed(clock, [0.004])) == 1
    assert steps(Plan(1000.0, usual=0.004, most=77), Timed(clock, [0.004])) == 77


def test_a_planned_training_is_judged_ten_times_unless_told_otherwise(clock):
    planned = Plan(1000.0, usual=0.004, most=77).planned(Timed(clock, [0.004]), TrainingConfig())
    assert (planned.steps, planned.evaluate_every) == (77, 8)
    told = Plan(1000.0, most=77).planned(Timed(clock, [0.004]), TrainingConfig(evaluate_every=5))
    assert told.evaluate_every == 5
