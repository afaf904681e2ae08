import numpy as np
import pytest

from spellout.data.markov import MarkovSource


def test_the_entropy_of_a_source_that_can_be_worked_out_by_hand():
    source = MarkovSource(order=1, letters="a")
    source.transitions = np.array([[0.0, 1.0], [0.5, 0.5]])
    # Lines are a, aa, aaa, ...: 1 + 2 characters after the first on average, ln 2 of surprise each but the first.
    assert source.entropy == pytest.approx(2 / 3 * np.log(2), abs=1e-12)


def test_the_entropy_is_the_average_surprise_of_its_own_lines():
    source = MarkovSource(order=2, letters="abcd", seed=3)
    place = {context: i for i, context in enumerate(source.contexts)}
    nats, count = 0.0, 0
    for line in source.sample(200_000, seed=4):
        context: tuple[int, ...] = ()
        for token in [*("_abcd".index(letter) for letter in line), 0]:
            nats -= np.log(source.transitions[place[context], token])
            context = (*context, token)[-2:]
            count += 1
    assert count >= 200_000
    assert nats / count == pytest.approx(source.entropy, abs=0.01)


def test_lines_are_seeded_and_never_blank():
    source = MarkovSource(order=3, letters="ab")
    lines = source.sample(1000, seed=1)
    assert lines == source.sample(1000, seed=1)
    assert lines != source.sample(1000, seed=2)
    assert all(lines)


def test_a_source_needs_an_order_and_letters():
    with pytest.raises(ValueError, match="order"):
        MarkovSource(order=0)
