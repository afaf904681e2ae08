"""Counts that take less room: still probabilities, smaller as asked, and hardly worse on lines that nobody saw."""

import numpy as np
import pytest

from spellout.api import train
from spellout.export.lowering.table import lowered
from spellout.export.pruning.cuts import Cut, cut, further, worths_of
from spellout.export.pruning.judged import Judged, views_of
from spellout.export.pruning.whole import bytes_of, pruned
from spellout.export.reference import Reference
from spellout.generation.evaluation import evaluate
from spellout.generation.scoring import batches
from spellout.models.counts.model import CountsModel
from spellout.training.config import TrainingConfig

STEPS = TrainingConfig(steps=60, patience=0, evaluate_every=60)


@pytest.fixture(scope="module")
def counted(prepared):
    return train(prepared, "ngram:5").run.model


@pytest.fixture(scope="module", params=["mlp:16+counts:5:steps=100", "ngram:6", "counts:4:steps=100"])
def trained(request, prepared):
    return train(prepared, request.param, training=STEPS).run.model


def sets(model):
    """Entries of each level as tuples of context and token, the newest token first, and their counts."""
    contexts = [()]
    for level in model.levels:
        size = np.uint64(model.vocabulary_size)
        if level is not model.levels[0]:
            contexts = [(*contexts[int(key // size)], int(key % size)) for key in level.keys]
        yield {
            (context, int(level.tokens[entry])): int(level.counts[entry])
            for number, context in enumerate(contexts)
            for entry in range(level.offsets[number], level.offsets[number + 1])
        }


def test_a_cut_of_nothing_changes_nothing(counted):
    same = cut(counted, Cut(5, 0.0), worths_of(counted))
    assert list(sets(same)) == list(sets(counted))
    np.testing.assert_array_equal(same.discounts.concentrations, counted.discounts.concentrations)


def test_what_an_entry_is_worth_is_its_count_times_what_it_tells(counted):
    """By the model's own probabilities, and those of the same model without its last level."""
    level, shorter = counted.levels[4], cut(counted, Cut(4, 0.0), worths_of(counted))
    contexts = list(dict.fromkeys(context for context, _ in list(sets(counted))[4]))
    worths = worths_of(counted)[4]
    for number in (0, len(contexts) // 2, len(contexts) - 1):
        columns = [np.array([column]) for column in contexts[number]]
        long, short = (np.exp(one.rows(columns))[0] for one in (counted, shorter))
        for entry in range(level.offsets[number], level.offsets[number + 1]):
            token, count = level.tokens[entry], level.counts[entry]
            left = count - counted.discounts.amounts[4][min(count, 3)]
            assert worths[entry] == pytest.approx(left * np.log(long[token] / short[token]))


def test_a_cut_keeps_counts_and_what_longer_contexts_need(counted):
    before, worths = list(sets(counted)), worths_of(counted)
    after = list(sets(cut(counted, Cut(4, 0.8), worths)))
    assert len(after) == 4
    assert after[:2] == before[:2]
    needed = set()
    for depth in (3, 2):
        worthy = {entry for entry, worth in zip(before[depth], worths[depth], strict=True) if worth >= 0.8}
        assert 0 < len(worthy) < len(before[depth])
        kept = worthy | needed
        assert after[depth] == {entry: before[depth][entry] for entry in kept}
        needed = {(context[:-1], token) for context, token in kept}


@pytest.mark.parametrize("how", [Cut(5, 0.3), Cut(3, 2.0), Cut(1, 0.0), Cut(5, 5.0)])
def test_probabilities_still_sum_to_1(counted, how):
    tokens = np.random.default_rng(0).integers(0, counted.vocabulary_size, (20, 9))
    chances = np.exp(cut(counted, how, worths_of(counted)).log_probabilities(tokens))
    np.testing.assert_allclose(chances.sum(axis=-1), 1.0, rtol=0, atol=1e-12)


def test_cuts_go_on_until_nothing_is_left(counted):
    now, seen = [Cut(5, 0.0)], set()
    while now:
        seen |= set(now)
        now = [one for how in now for one in further(counted, how) if one not in seen]
    assert {how.depth for how in seen} == {1, 2, 3, 4, 5}
    assert all(further(counted, how) for how in seen if how.depth > 1)


def test_a_pruned_model_fits_and_is_hardly_worse(trained, prepared):
    room = bytes_of(lowered(trained)) * 6 // 10
    smaller = pruned(trained, prepared.stream, room)
    assert bytes_of(lowered(smaller)) <= room
    dev = prepared.split.dev
    before, after = (evaluate(one, prepared.vocabulary, dev).nats_per_char for one in (trained, smaller))
    assert after < before + 0.06
    reference = Reference(lowered(smaller))
    assert evaluate(reference, prepared.vocabulary, dev).nats_per_char == pytest.approx(after, abs=1e-6)


@pytest.mark.parametrize("asked", ["gru:6+counts:3:steps=50", "mlp:6:embedding=3+ngram:4", "gru-numpy:6+ngram:3"])
def test_a_network_is_judged_as_it_would_be_with_its_counts(prepared, asked):
    """The loss on lines that judge is that of the model itself."""
    model = train(prepared, asked, training=STEPS).run.model
    stream = prepared.vocabulary.encode(prepared.split.dev[:100])
    judged = Judged.of(model, model.prior, stream)
    views = views_of(model.prior)
    classes = getattr(model.prior, "classes", np.zeros(model.vocabulary_size, int))
    rows = np.stack([judged.rows(one, columns, classes) for one, columns in views], axis=1)
    weights = model.prior.weights if isinstance(model.prior, CountsModel) else None
    nats = 0.0
    for _, tokens, targets, lengths in batches(stream.astype(np.int64)):
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        nats -= float(model.score(tokens, targets)[inside].sum())
    assert judged.loss(judged.mixed(rows, weights)) == pytest.approx(nats / (len(stream) - 1), abs=1e-5)


def test_what_is_small_enough_or_made_of_too_few_lines_stays(trained, prepared):
    assert pruned(trained, prepared.stream, 1 << 30) is trained
    assert pruned(trained, prepared.stream[:1], 100) is trained


def test_the_members_of_an_ensemble_that_start_from_the_same_counts_keep_the_same(prepared):
    model = train(prepared, "2*mlp:4:context=2:embedding=2+ngram:5", training=STEPS).run.model
    room = bytes_of(lowered(model)) * 7 // 10
    step = lowered(pruned(model, prepared.stream, room))
    assert len(step.tables) == 1
    assert bytes_of(step) <= room
