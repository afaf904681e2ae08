"""Counts that take less room: still probabilities, smaller as asked, and hardly worse on lines that nobody saw."""

import numpy as np
import pytest

from spellout.api import train
from spellout.export.lowering.table import lowered
from spellout.export.pruning.cuts import Cut, cut, cuts_of
from spellout.export.pruning.whole import bytes_of, pruned
from spellout.export.reference import Reference
from spellout.generation.evaluation import evaluate
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


def test_the_first_cut_changes_nothing(counted):
    same = cut(counted, cuts_of(counted)[0])
    assert list(sets(same)) == list(sets(counted))
    np.testing.assert_array_equal(same.discounts.concentrations, counted.discounts.concentrations)


def test_a_cut_keeps_counts_and_what_longer_contexts_need(counted):
    before, after = list(sets(counted)), list(sets(cut(counted, Cut(4, 2))))
    assert len(after) == 4
    assert after[:1] == before[:1]
    needed = set()
    for depth in range(3, 0, -1):
        kept = {entry for entry, count in before[depth].items() if count > 1 or depth < 2} | needed
        assert after[depth] == {entry: before[depth][entry] for entry in kept}
        needed = {(context[:-1], token) for context, token in kept}


@pytest.mark.parametrize("how", [Cut(5, 2), Cut(3, 2), Cut(1, 1), Cut(5, 4)])
def test_probabilities_still_sum_to_1(counted, how):
    tokens = np.random.default_rng(0).integers(0, counted.vocabulary_size, (20, 9))
    chances = np.exp(cut(counted, how).log_probabilities(tokens))
    np.testing.assert_allclose(chances.sum(axis=-1), 1.0, rtol=0, atol=1e-12)


def test_a_pruned_model_fits_and_is_hardly_worse(trained, prepared):
    room = bytes_of(lowered(trained)) * 6 // 10
    smaller = pruned(trained, prepared.stream, room)
    assert bytes_of(lowered(smaller)) <= room
    dev = prepared.split.dev
    before, after = (evaluate(one, prepared.vocabulary, dev).nats_per_char for one in (trained, smaller))
    assert after < before + 0.06
    reference = Reference(lowered(smaller))
    assert evaluate(reference, prepared.vocabulary, dev).nats_per_char == pytest.approx(after, abs=1e-6)


def test_what_is_small_enough_or_made_of_too_few_lines_stays(trained, prepared):
    assert pruned(trained, prepared.stream, 1 << 30) is trained
    assert pruned(trained, prepared.stream[:1], 100) is trained


def test_the_members_of_an_ensemble_that_start_from_the_same_counts_keep_the_same(prepared):
    model = train(prepared, "2*mlp:4:context=2:embedding=2+ngram:5", training=STEPS).run.model
    room = bytes_of(lowered(model)) * 7 // 10
    step = lowered(pruned(model, prepared.stream, room))
    assert len(step.tables) == 1
    assert bytes_of(step) <= room
