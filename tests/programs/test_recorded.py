"""A function that is recorded once for every shape it meets, and counts."""

import numpy as np
import pytest

from spellout import Recorded, Value
from spellout.autograd.functions import mean
from spellout.errors import RecordingError
from spellout.nn import Embedding

TABLE = Embedding(4, 2)


def line_loss(tokens):
    """A number for a line of any length."""
    return mean([a * b + 1.0 for token in tokens for a, b in [TABLE(token)]])


def expected(lines):
    rows = np.array([[v.data for v in row] for row in TABLE.weight])
    return (rows.prod(1) + 1.0)[lines].mean(1)


def test_once_for_every_length():
    recorded = Recorded(line_loss)
    rng = np.random.default_rng(0)
    for length in (3, 1, 3, 7, 1, 3):
        lines = rng.integers(0, 4, (5, length))
        np.testing.assert_allclose(recorded(lines), expected(lines), rtol=1e-14)
    assert len(recorded.programs) == 3
    assert recorded.program(np.zeros((9, 7), int)) is recorded.program(np.zeros((2, 7), np.uint8))
    assert len(recorded.programs) == 3


def test_gradients_are_of_the_same_parameters_in_the_same_order_if_asked():
    parameters = TABLE.parameters()
    recorded = Recorded(line_loss, parameters)
    short, long = np.array([[3], [0]]), np.array([[0, 1, 2], [3, 3, 3]])
    for lines in (short, long):
        value, gradient = recorded.gradient(lines)
        assert value == pytest.approx(expected(lines).mean(), rel=1e-14)
        for p in parameters:
            p.grad = 0.0
        mean([line_loss(list(line)) for line in lines.tolist()]).backward()
        np.testing.assert_allclose(gradient, [p.grad for p in parameters], rtol=1e-14, atol=1e-16)


def test_floats_and_integers_are_different_shapes_of_examples():
    w = Value(2.0)
    recorded = Recorded(lambda x: w * 1.0 if hasattr(x, "of") else w * x)
    assert recorded(np.array([5.0])).tolist() == [10.0]
    assert recorded(np.array([5])).tolist() == [2.0]
    assert len(recorded.programs) == 2


def test_at_most_so_many():
    recorded = Recorded(line_loss, at_most=2)
    recorded(np.zeros((2, 3), int))
    recorded(np.zeros((2, 4), int))
    recorded(np.zeros((8, 3), int))
    sentence = (
        r"examples of shape \[\(5,\)\] need another recording, but at most 2 were allowed; "
        r"there are \[\(3,\)\], \[\(4,\)\]"
    )
    with pytest.raises(RecordingError, match=sentence):
        recorded(np.zeros((2, 5), int))
    assert len(recorded.programs) == 2
