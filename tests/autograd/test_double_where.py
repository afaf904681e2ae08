"""A choice whose other side is not defined: nan in the gradient as in PyTorch, and the remedy, an inner choice."""

import math

import numpy as np
import pytest
import torch

from spellout import Value, grad, record, sqrt, where
from spellout.errors import NotFiniteError


def naive(x):
    return where(x, sqrt(x), 0.0)


def guarded(x):
    return where(x, sqrt(where(x, x, 1.0)), 0.0)


def in_torch(function, x):
    t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    inner = t if function is naive else torch.where(t > 0, t, one)
    y = torch.where(t > 0, inner.sqrt(), zero)
    y.backward()
    return y.item(), t.grad.item()


@pytest.mark.parametrize("x", [-1.0, 4.0, 0.25, 0.0])
@pytest.mark.parametrize("function", [naive, guarded])
def test_value_and_gradient_are_those_of_pytorch(function, x):
    value = Value(x)
    y = function(value)
    y.backward()
    expected = in_torch(function, x)
    np.testing.assert_equal((y.data, value.grad), expected)
    # `grad` never enters the side that was not chosen
    assert grad(function(value), value, create_graph=True).data == (0.0 if math.isnan(expected[1]) else expected[1])
    assert math.isnan(expected[1]) == (function is naive and x <= 0.0)


def test_a_program_names_the_line_of_the_naive_choice_and_runs_the_guarded_one():
    w = Value(1.0)
    X = np.array([4.0, -1.0, 0.25])
    with pytest.raises(NotFiniteError, match=rf"test_double_where\.py:{naive.__code__.co_firstlineno + 1}"):
        record(lambda x: naive(w * x), 1.0).gradient(X)
    value, gradient = record(lambda x: guarded(w * x), 1.0).gradient(X)
    assert value == pytest.approx((2.0 + 0.0 + 0.5) / 3, rel=1e-15)
    assert gradient.tolist() == pytest.approx([(4.0 / 4.0 + 0.0 + 0.25 / 1.0) / 3], rel=1e-15)
