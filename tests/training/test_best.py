"""What `make` trains: it follows from the file and the seconds, and is no worse than what it starts from."""

from dataclasses import replace

import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.table import parse_specification
from spellout.training.best import (
    EPOCHS,
    FEWEST_STEPS,
    MIXED_LR,
    NO_TIE,
    SMALL_LR,
    TORCH_EPOCHS,
    best_counts,
    best_training,
    improve,
    is_better,
    is_time,
)
from spellout.training.config import TrainingConfig
from spellout.training.job import Job
from spellout.training.plans.machine import Machine
from spellout.training.plans.traits import Traits
from spellout.training.train import train as train_job

MOLECULES = Traits(8_000, 300_000, 35, 57)


def names_like(positions=180_000, vocabulary_size=28, longest=15):
    """A list of short lines in numbers."""
    return Traits(-(-positions // 7), positions, vocabulary_size, longest)


def test_a_network_starts_where_its_ngram_is_and_improves_on_it(names):
    prepared = Prepared.of(names, DataConfig())
    ngram = train(prepared, "ngram")
    choice, training, plan = best_training(Traits.of(prepared), Machine(), 20.0)
    assert choice.specification == "mlp+counts"
    training = replace(training, seconds=None, steps=plan.most)  # however slow the machine is
    events = []
    prior = ngram.run.model
    best = train_job(Job(prepared, parse_specification(choice.specification), training, events.append, prior=prior))
    losses = [event["nats_per_char"] for event in events if event["event"] == "evaluation"]
    assert losses[0] < ngram.dev.nats_per_char  # it begins as the mixed counts are
    losses = [event["new_lines"] for event in events if event["event"] == "evaluation"]
    assert best.loss == pytest.approx(min(losses), abs=1e-8)
    assert best.dev.nats_per_char < ngram.dev.nats_per_char - 0.02


def trained_on(traits, seconds):
    return best_training(traits, Machine(), seconds)[0].specification


def test_what_is_trained_depends_on_the_text_and_the_seconds():
    choice, training, plan = best_training(names_like(), Machine(), 10.0)
    assert (choice.specification, training.lr, training.steps) == ("mlp+counts", MIXED_LR, None)
    assert plan.most == EPOCHS * 180_000 // 1024
    assert 5.0 < plan.seconds < training.seconds < 10.0
    more, _, long = best_training(names_like(), Machine(), 60.0)
    assert more.specification == "mlp:128:members=4+counts"
    assert trained_on(names_like(vocabulary_size=5_000), 10.0) == "mlp+ngram"
    assert trained_on(names_like(2_000_000), 60.0) == "mlp:128:members=4+ngram"
    assert trained_on(names_like(longest=30_000), 10.0) == "mlp+ngram"
    assert long.usual == pytest.approx(4 * plan.usual)
    _, small, few = best_training(names_like(100), Machine(), 10.0)
    assert (small.lr, few.most) == (SMALL_LR, FEWEST_STEPS)
    assert best_training(names_like(500_000_000), Machine(), 10.0)[2].seconds == 0.0
    assert best_training(MOLECULES, Machine(), 10.0)[2].most == EPOCHS * 8_000 // 16
    assert best_training(names_like(), Machine(torch=True, cores=2), 60.0)[2].most == TORCH_EPOCHS * 25_715 // 128
    assert best_training(names_like(vocabulary_size=500), Machine(), 10.0)[2].usual > plan.usual


def test_a_network_is_begun_while_there_is_time_for_it():
    assert is_time(names_like(), Machine(), 10.0, 1.0)
    assert not is_time(names_like(), Machine(), 10.0, 8.8)
    assert is_time(names_like(5_000_000), Machine(), 10.0, 3.0)
    assert not is_time(names_like(5_000_000), Machine(), 10.0, 7.5)  # it was slow up to now
    assert not is_time(names_like(), Machine(), 1.5, 0.8)
    # To start from mixed counts takes longer than from the n-gram.
    assert not is_time(names_like(), Machine(), 4.0, 0.8)
    assert is_time(names_like(vocabulary_size=5_000), Machine(), 4.0, 0.8)
    assert is_time(names_like(), Machine(), 6.0, 0.8)
    assert is_time(names_like(), Machine(), 10.0, 1.7)
    assert not is_time(names_like(), Machine(), 10.0, 2.5)
    assert is_time(names_like(1_000), Machine(), 2.0, 0.6)
    # A memory learns more in ten seconds from the n-gram, as mixing counts would take four of them.
    assert is_time(MOLECULES, Machine(), 10.0, 1.5)
    assert trained_on(MOLECULES, 10.0).endswith("+ngram")
    assert trained_on(MOLECULES, 60.0).endswith("+counts")


def test_counts_are_mixed_where_there_is_no_time_for_a_network():
    assert best_counts(names_like(), 4.0, 0.8) == "counts:16:steps=400"
    assert best_counts(names_like(), 2.5, 0.8) == "counts:8:steps=200"
    assert best_counts(names_like(), 2.0, 0.8) == "counts:4:steps=100"
    assert best_counts(names_like(), 4.0, 1.5) == "counts:8:steps=200"  # on a slow machine fewer
    assert best_counts(names_like(), 1.0, 0.8) is None
    assert best_counts(names_like(vocabulary_size=5_000), 2.0, 0.5) is None
    assert best_counts(names_like(2_000_000), 2.0, 0.5) is None
    assert best_counts(names_like(longest=30_000), 4.0, 0.8) is None


def test_a_network_without_a_useful_step_is_the_counts_it_started_from(names):
    prepared = Prepared.of(Lines.of(names.distinct[:200]), DataConfig())
    ngram = train(prepared, "ngram")
    specification = parse_specification("mlp:8+counts:4:steps=20")
    still = TrainingConfig(steps=2, lr=1e-300)  # so little changes nothing
    counts = improve(Job(prepared, specification, still, prior=ngram.run.model))
    assert (counts.run.family, counts.run.facts["specification"]) == ("counts", "counts:4:steps=20")
    alone = improve(Job(prepared, parse_specification("counts:4:steps=20"), prior=ngram.run.model))
    assert counts.loss == pytest.approx(alone.loss, abs=1e-6)
    assert counts.run.facts["results"].keys() == alone.run.facts["results"].keys()


def test_a_network_that_diverges_is_none(names):
    prepared = Prepared.of(names, DataConfig())
    ngram = train(prepared, "ngram:2")
    choice, training, plan = best_training(Traits.of(prepared), Machine(), 10.0)
    wild, plan = replace(training, lr=1e9, seconds=None), replace(plan, most=30)
    job = Job(
        prepared, parse_specification(choice.specification), wild, prior=ngram.run.model, since=0.0, plan=plan
    )
    assert improve(job) is None


@pytest.mark.parametrize("many", [2, 3, 9, 10, 11, 30])
def test_counts_are_judged_as_a_network_is(many):
    animals = "cat dog emu hen asp bee cow eel elk fox gnu jay koi owl pig ram rat yak ant ape bat carp crow deer"
    lines = f"{animals} duck frog goat hare ibis kiwi".split()[:many]
    prepared = Prepared.of(Lines.of(lines), DataConfig())
    ngram = train(prepared, "ngram")
    job = Job(prepared, parse_specification("counts:4:steps=20"), prior=ngram.run.model)
    counts = improve(job)
    assert counts is not None
    # Of so few lines all dev lines judge meanwhile too.
    assert is_better(counts, ngram, prepared) == (counts.loss < ngram.loss - NO_TIE)
    assert not is_better(ngram, ngram, prepared)
