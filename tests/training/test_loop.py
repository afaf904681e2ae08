"""What the loop decides: when to evaluate, what is best, when to stop, and what it tells."""

import itertools
import math

import numpy as np
import pytest

from spellout.api import compare, train
from spellout.errors import TrainingError, UsageError
from spellout.generation.evaluation import evaluate
from spellout.training import loop as module
from spellout.training.config import TrainingConfig
from spellout.training.loop import Loop
from spellout.training.runs.log import STEPS_KEPT, Log

PLAIN = "ngram:2:shape=no"
"""What a network that sees one letter can start from."""


class Scripted:
    """A learner whose weights are the number of its steps, on a clock of its own."""

    examples, batch, lr = 100, 8, 0.5

    def __init__(self, clock, seconds=0.01, losses=None):
        self.steps, self.rates, self.batches = 0, [], []
        self._clock, self._seconds, self._losses = clock, seconds, iter(losses or itertools.repeat(1.0))

    def step(self, chosen, lr):
        self._clock.now += self._seconds
        loss = next(self._losses)
        if math.isfinite(loss):
            self.steps += 1
            self.rates.append(lr)
            self.batches.append(chosen)
        return loss

    def model(self):
        return self.steps


@pytest.fixture
def clock(clock_of):
    return clock_of(module, "perf_counter")


def run(learner, judge=None, interrupted=lambda: False, **settings):
    events = []
    loop = Loop(learner, TrainingConfig(**settings), judge, callback=events.append, interrupted=interrupted)
    loop.run()
    return loop, events


def evaluations(events):
    return [event for event in events if event["event"] == "evaluation"]


def test_a_budget_of_steps_is_kept_and_evaluated_at_even_distances(clock):
    learner = Scripted(clock)
    loop, events = run(learner, judge=lambda steps: 1.0 / (1 + steps), steps=100)
    assert (learner.steps, loop.state.stopped) == (100, "steps")
    assert [event["step"] for event in evaluations(events)] == list(range(0, 101, 5))
    assert all(event["best"] for event in evaluations(events))
    assert loop.best == 100
    last = events[-1]
    assert (last["event"], last["reason"], last["best_step"]) == ("stopped", "steps", 100)


def test_evaluate_every_is_obeyed_and_the_end_is_always_judged(clock):
    _, events = run(Scripted(clock), judge=lambda steps: -steps, steps=25, evaluate_every=10)
    assert [event["step"] for event in evaluations(events)] == [0, 10, 20, 25]


@pytest.mark.parametrize(("afterwards", "most"), [(0.0, 99.0), (9.0, 90.0), (1000.0, 50.0)])
def test_a_budget_of_seconds_lasts_for_the_last_evaluation_and_what_comes_afterwards(clock, afterwards, most):
    def judge(steps):
        clock.now += 1.0
        return -steps

    loop = Loop(Scripted(clock), TrainingConfig(seconds=100.0), judge, afterwards=afterwards)
    assert loop.run() == "seconds"
    assert most <= loop.state.seconds <= most + 1.1  # the last evaluation is among them


def test_the_rate_follows_the_budget_in_steps(clock):
    learner = Scripted(clock)
    run(learner, steps=100, warmup=0.1, lr=2.0)
    assert len(learner.rates) == 100
    assert learner.rates[0] == pytest.approx(2.0 * 0.005 / 0.1)
    assert max(learner.rates) == pytest.approx(2.0, rel=0.01)
    assert learner.rates[-1] == pytest.approx(2.0 * 0.005 / 0.9)
    assert min(learner.rates) > 0


def test_batches_are_the_order_of_the_seed(clock):
    first, other, small = Scripted(clock), Scripted(clock), Scripted(clock)
    run(first, steps=5)
    run(other, steps=5, train_seed=1)
    run(small, steps=5, batch=3)
    assert [len(batch) for batch in first.batches] == [8] * 5
    assert [len(batch) for batch in small.batches] == [3] * 5
    assert np.array_equal(np.concatenate(small.batches), np.concatenate(first.batches)[:15])
    assert not np.array_equal(first.batches, other.batches)


def test_a_budget_of_seconds_is_kept_and_evaluations_take_a_tenth_of_it(clock):
    judged = []

    def judge(steps):
        clock.now += 0.5
        judged.append(clock.now)
        return -steps

    learner = Scripted(clock, 0.01)
    loop, events = run(learner, judge, seconds=60.0)
    assert loop.state.stopped == "seconds"
    assert loop.state.seconds == pytest.approx(60.0, abs=0.02)  # the last evaluation included
    assert 0.5 * len(judged) <= 0.1 * 60 + 0.5 + 0.5  # and the first and the last one
    assert len(judged) > 8
    assert learner.rates[-1] < 0.001
    assert evaluations(events)[-1]["step"] == learner.steps


def test_the_first_step_and_evaluation_of_a_process_may_compile_and_are_not_counted(clock):
    times = []

    def judge(steps):
        clock.now += 0.01 if times else 20.0
        times.append(clock.now)
        return -steps

    class Compiling(Scripted):
        def step(self, chosen, lr):
            if self.steps == 0:
                clock.now += 20.0
            return super().step(chosen, lr)

    learner = Compiling(clock, 0.01)
    loop, _ = run(learner, judge, seconds=5.0)
    assert learner.steps == pytest.approx(480, abs=3)
    assert loop.state.seconds == pytest.approx(5.0, abs=0.03)
    assert len(times) == pytest.approx(21, abs=1)


def test_with_both_budgets_the_first_to_end_ends_it(clock):
    assert run(Scripted(clock), steps=50, seconds=60.0)[0].state.stopped == "steps"
    assert run(Scripted(clock), steps=5000, seconds=1.0)[0].state.stopped == "seconds"


def test_with_both_budgets_the_clock_changes_nothing_while_the_steps_fit(clock):
    learners = [Scripted(clock, seconds) for seconds in (0.001, 0.01, 0.019)]
    told = [run(learner, lambda steps: -steps, steps=100, seconds=2.0)[1] for learner in learners]
    assert [learner.rates for learner in learners] == [learners[0].rates] * 3
    assert [[one["step"] for one in evaluations(events)] for events in told] == [list(range(0, 101, 5))] * 3
    assert not any(event["event"] == "hurried" for events in told for event in events)


def test_with_both_budgets_it_hurries_where_the_steps_do_not_fit_and_says_so_once(clock):
    learner = Scripted(clock, 0.03)
    loop, events = run(learner, lambda steps: -steps, steps=100, seconds=2.0)
    assert loop.state.stopped == "seconds"
    assert loop.state.seconds == pytest.approx(2.0, abs=0.05)
    (hurried,) = [event for event in events if event["event"] == "hurried"]
    assert hurried["steps"] == 100
    assert 5 <= hurried["step"] < 40
    assert learner.rates[-1] < 0.05 * max(learner.rates)  # the rate still falls to zero
    assert loop.state.hurried


@pytest.mark.parametrize("patience", [1, 3])
def test_it_stops_when_the_dev_loss_stops_falling_and_keeps_the_best(clock, patience):
    def judge(steps):
        return abs(steps - 40) + 1.0

    loop, events = run(Scripted(clock), judge, steps=1000, evaluate_every=10, patience=patience)
    assert loop.state.stopped == "patience"
    assert (loop.best, loop.state.best_step, loop.state.best_loss) == (40, 40, 1.0)
    assert evaluations(events)[-1]["step"] == 40 + 10 * patience
    assert run(Scripted(clock), judge, steps=1000, evaluate_every=10, patience=0)[0].state.stopped == "steps"


def test_an_equal_loss_is_no_gain(clock):
    loop, _ = run(Scripted(clock), lambda steps: 1.0, steps=100, patience=2)
    assert (loop.state.stopped, loop.best) == ("patience", 0)


def test_without_dev_lines_the_last_weights_are_the_best(clock):
    loop, events = run(Scripted(clock), steps=30)
    assert loop.best == 30
    assert evaluations(events) == []


def test_an_interrupt_ends_after_the_step(clock):
    answers = iter([False] * 7 + [True])
    loop, events = run(Scripted(clock), lambda steps: -steps, lambda: next(answers), steps=1000)
    assert (loop.state.stopped, loop.state.step) == ("interrupted", 7)
    assert [event["step"] for event in evaluations(events)] == [0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_at_once(clock, bad):
    learner = Scripted(clock, losses=[1.0] * 12 + [bad, 1.0])
    loop, _ = run(learner, lambda steps: -steps, steps=100)
    assert (loop.state.stopped, loop.state.step, loop.best) == ("diverged", 12, 10)
    loop, _ = run(Scripted(clock), lambda steps: bad if steps >= 10 else 5.0 - steps, steps=100)
    assert (loop.state.stopped, loop.state.step, loop.best) == ("diverged", 10, 5)


def test_checkpoints_come_every_ten_seconds_and_seldom_if_they_are_slow(clock):
    def kept(seconds):
        times = []

        def checkpoint():
            times.append(clock.now)
            clock.now += seconds

        Loop(Scripted(clock, 0.1), TrainingConfig(steps=1000), checkpoint=checkpoint).run()
        return np.diff(times)

    assert kept(0.0) == pytest.approx(10.0, abs=0.11)
    assert len(kept(0.0)) >= 8
    assert kept(1.0) == pytest.approx(20.0, abs=0.11)


def test_the_training_loss_told_is_an_average_of_the_last_ones(clock):
    losses = [3.0, 1.0, 2.0, 5.0] * 50
    _, events = run(Scripted(clock, 0.2, losses), steps=200)
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 201))
    for event in steps:
        weights = module.SMOOTHING ** np.arange(event["step"])[::-1]
        assert event["nats_per_token"] == pytest.approx(np.average(losses[: event["step"]], weights=weights))
    assert steps[99]["progress"] == 0.5


def test_steps_are_told_ten_times_a_second_at_most(clock):
    _, events = run(Scripted(clock, 0.001), steps=5000)
    assert 40 <= sum(event["event"] == "step" for event in events) <= 50


def test_the_log_keeps_few_steps_and_everything_else():
    told = []
    log = Log(told.append)
    for step in range(100_000):
        log({"event": "step", "progress": step / 100_000})
        if step % 1000 == 0:
            log({"event": "evaluation", "step": step})
    assert len(told) == 100_100
    assert STEPS_KEPT - 5 <= sum(event["event"] == "step" for event in log.events) <= STEPS_KEPT
    assert sum(event["event"] == "evaluation" for event in log.events) == 100


def test_the_neural_bigram_becomes_the_counted_one(names, neural):
    from spellout.data.config import DataConfig
    from spellout.data.prepared import Prepared

    everything = Prepared.of(names, DataConfig(split="none"))
    run = train(everything, "neural", training=TrainingConfig(steps=1500, batch=2048, warmup=0.0)).run
    counts = np.zeros((everything.vocabulary.size,) * 2)
    np.add.at(counts, (everything.stream[:-1], everything.stream[1:]), 1)
    counted = counts / counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nansum(counts * np.log(counted)) / counts.sum()
    learned = evaluate(run.model, everything.vocabulary, everything.split.train)
    assert entropy < learned.nats_per_char < entropy + 0.002
    assert run.facts["results"]["dev"] is None


def test_it_starts_from_the_ngram_it_is_asked_to_start_from(few, neural):
    still = TrainingConfig(steps=1, lr=1e-12)
    ngram = train(few, PLAIN).dev.nats_per_char
    for specification, prior in [("neural", PLAIN), (f"neural+{PLAIN}", None), (f"neural+{PLAIN}", "ngram:1")]:
        settings = TrainingConfig(steps=1, lr=1e-12, prior=prior)
        assert train(few, specification, training=settings).dev.nats_per_char == pytest.approx(ngram, abs=1e-6)
    assert train(few, "neural", training=still).dev.nats_per_char > ngram + 0.5


def test_a_comparison_has_networks_with_and_without_a_prior(few, neural):
    rows = list(
        compare(
            few,
            [PLAIN, "neural:noise=0", f"neural+{PLAIN}"],
            training=TrainingConfig(steps=60, prior="ngram:1"),
        )
    )
    assert [row.model for row in rows[:3]] == [PLAIN, "neural:noise=0", f"neural+{PLAIN}"]
    assert rows[2].nats_per_char <= rows[0].nats_per_char + 1e-9


@pytest.mark.parametrize(
    ("specification", "prior", "fragment"),
    [
        ("ngram:2+ngram", None, "ngram counts and starts from nothing; leave out +ngram"),
        ("neural+neural", None, "a network starts from counts, not from neural"),
        ("neural", "neural", "--prior neural: a network starts from counts"),
        ("neural+ngrm", None, "did you mean ngram?"),
        ("neural", "ngram:x", "not a number"),
        ("neural:3:noises=2", None, "no setting 'noises'"),
    ],
)
def test_a_start_that_cannot_be_is_explained(few, neural, specification, prior, fragment):
    with pytest.raises(UsageError) as error:
        train(few, specification, training=TrainingConfig(steps=1, prior=prior))
    assert fragment in str(error.value)


def test_a_training_that_explodes_is_one_sentence_and_loses_nothing(few, neural):
    kept = []
    with pytest.raises(TrainingError) as error:
        train(few, "neural:explode=30", training=TrainingConfig(steps=100, evaluate_every=10), keep=kept.append)
    said = str(error.value)
    assert "the loss is not finite after 30 steps, most likely because the learning rate 0.1 is too high" in said
    assert "smaller --lr" in said
    (run,) = kept
    assert run.facts["results"]["stopped"] == "diverged"
    whole = train(few, "neural", training=TrainingConfig(steps=100, evaluate_every=10))
    nats = [e["nats_per_char"] for e in whole.run.events if e["event"] == "evaluation"]
    assert run.facts["results"]["dev"]["nats_per_char"] == min(nats[:4])
