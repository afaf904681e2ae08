"""Candidates: as many as asked for, drawn as often as their chances say, and a sum that is right on average."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.models.candidates import Candidates, inclusion


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60), st.integers(1, 80))
def test_chances_grow_with_sizes_and_sum_to_as_many_as_asked_for(sizes, many):
    sizes = np.array(sizes)
    chances = inclusion(sizes, many)
    assert chances.sum() == pytest.approx(min(many, len(sizes)), rel=1e-9)
    assert (chances > 0).all()
    assert (chances <= 1).all()
    order = np.argsort(sizes)
    assert (np.diff(chances[order]) >= 0).all()
    free = chances < 1
    if free.any():  # those that are not certain are as likely as they are large
        np.testing.assert_allclose(chances[free] / sizes[free], (chances[free] / sizes[free])[0], rtol=1e-9)


def zipf(tokens, seed=0):
    random = np.random.default_rng(seed)
    return np.append(0, np.minimum(random.zipf(1.3, 5000), tokens) - 1)


def test_a_draw_holds_the_targets_in_their_places():
    candidates = Candidates(zipf(300), 300, seed=1, many=40)
    targets = np.array([299, 0, 7, 7, 150])
    tokens, correction, places = candidates.draw(3, targets)
    assert (np.diff(tokens) > 0).all()
    assert np.array_equal(tokens[places], targets)
    others = ~np.isin(tokens, targets)
    assert np.isfinite(correction[others]).all()
    np.testing.assert_allclose(correction[others], -np.log(candidates.chances[tokens[others]]), rtol=1e-6)
    again = candidates.draw(3, targets)
    assert all(np.array_equal(one, other) for one, other in zip((tokens, correction, places), again, strict=True))
    assert not np.array_equal(candidates.draw(4, targets)[0], tokens)


def test_the_sum_of_exponentials_is_right_on_average():
    candidates = Candidates(zipf(300), 300, seed=0, many=40)
    weights = np.exp(np.random.default_rng(2).normal(size=300))
    sums, times = [], np.zeros(300)
    for step in range(4000):
        tokens, correction, _ = candidates.draw(step, np.zeros(0, np.int64))
        sums.append((weights[tokens] * np.exp(correction.astype(np.float64))).sum())
        times[tokens] += 1
    error = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - weights.sum()) < 4 * error < 0.05 * weights.sum()
    deviation = np.sqrt(candidates.chances * (1 - candidates.chances) / len(sums))
    assert (np.abs(times / len(sums) - candidates.chances) <= 5 * deviation + 1e-12).all()
