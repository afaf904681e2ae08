"""Layers: dots that share inputs or weights, against NumPy's matrix products."""

import numpy as np
import pytest

from spellout import Value, record
from spellout.autograd.functions import dot
from spellout.autograd.functions import sum as sum_of
from spellout.programs.kernels import LAYER
from spellout.programs.lanes import Lanes


def network(m, n, groups, biased, inputs_learn, rng):
    """A sum of squares of `groups` layers with the same weights, its program, and its numbers."""
    W, b = rng.normal(size=(m, n)), rng.normal(size=m) * biased
    weights = [[Value(x) for x in row] for row in W]
    biases = [Value(x) for x in b]
    scale = Value(0.7)

    def function(x, targets):
        total = []
        for inputs, target in zip(x, targets, strict=True):
            given = [scale * number for number in inputs] if inputs_learn else inputs
            for row, bias, t in zip(weights, biases, target, strict=True):
                out = dot(row, given, bias) if biased else dot(given, row)
                total.append((out - t) ** 2)
        return sum_of(total)

    parameters = [scale, *biases, *[w for row in weights for w in row]]
    zeros = np.zeros((groups, n)).tolist(), np.zeros((groups, m)).tolist()
    return record(function, *zeros, parameters=parameters), W, b


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("inputs_learn", [False, True])
@pytest.mark.parametrize(
    ("m", "n", "groups", "biased", "count"),
    [
        (1, 1, 1, True, 1),
        (1, 2, 1, False, 3),
        (4, 4, 1, True, 17),
        (5, 3, 1, True, 250),
        (3, 5, 4, True, 7),
        (7, 9, 2, False, 500),
        (8, 12, 3, True, 33),
        (17, 1, 1, True, 5),
        (1, 17, 2, True, 16),
    ],
)
def test_products_and_their_gradients(m, n, groups, biased, count, inputs_learn, dtype):
    rng = np.random.default_rng(m * 100 + n)
    program, W, b = network(m, n, groups, biased, inputs_learn, rng)
    x, targets = rng.normal(size=(count, groups, n)), rng.normal(size=(count, groups, m))
    lanes = Lanes(program, dtype)
    assert LAYER in lanes.lowered.lanes.code[:, 0]
    lanes.read_values()
    losses, gradient = lanes.backward(*lanes.arrange(x, targets), 1.0 / count)

    scale = 0.7 if inputs_learn else 1.0
    errors = scale * x @ W.T + b - targets
    by_out = 2.0 * errors / count
    by_scale = np.sum(by_out * (x @ W.T)) * inputs_learn
    by_bias = by_out.sum((0, 1)) * biased
    by_weights = np.einsum("lgm,lgn->mn", by_out, scale * x)
    expected = np.concatenate([[by_scale], by_bias, by_weights.ravel()])
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype is np.float64 else {"rtol": 2e-4, "atol": 2e-4}
    np.testing.assert_allclose(losses[0], np.sum(errors**2, axis=(1, 2)), **tolerance)
    np.testing.assert_allclose(gradient, expected, **tolerance)


def test_one_layer_for_many_neurons_and_for_many_positions():
    rng = np.random.default_rng(0)
    lowered = Lanes(network(6, 5, 4, True, False, rng)[0]).lowered
    layers = lowered.lanes.code[lowered.lanes.code[:, 0] == LAYER]
    assert len(layers) == 1
    assert layers[0, 1] == 6  # outputs
    assert layers[0, 4:].tolist() == [5, 4]  # inputs, groups


def test_the_order_of_a_sum_does_not_make_another_layer():
    w = [[Value(0.1 * i + j) for i in range(3)] for j in range(2)]

    def function(x):
        a, b, c = x
        first = w[0][0] * a + w[0][1] * b + w[0][2] * c
        second = c * w[1][2] + a * w[1][0] + w[1][1] * b
        return [first, second]

    lanes = Lanes(record(function, [0.0, 0.0, 0.0]))
    assert [row[:2].tolist() for row in lanes.lowered.lanes.code] == [[LAYER, 2]]
    x = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, 4.0]])
    W = np.array([[v.data for v in row] for row in w])
    np.testing.assert_allclose(lanes.run(x), x @ W.T, rtol=1e-14)
