"""Layers: dots that share inputs or weights, against NumPy's matrix products."""

import numpy as np
import pytest

from spellout import Value, record
from spellout.autograd.functions import dot
from spellout.autograd.functions import sum as sum_of
from spellout.programs.kernels.interpreter import LAYER
from spellout.programs.kernels.layers import IN_PLACE
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


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("count", [1, 5, 16, 64, 240, 241, 500])
def test_results_that_follow_each_other_are_computed_where_they_are(count, dtype):
    """Two layers, the second above the first: all outputs before anything else, in full blocks and in others."""
    rng = np.random.default_rng(count)
    V, W, b = rng.normal(size=(8, 5)), rng.normal(size=(12, 8)), rng.normal(size=12)
    v, w, biases = [[Value(x) for x in row] for row in V], [[Value(x) for x in row] for row in W], [*map(Value, b)]

    def function(x, target):
        hidden = [dot(row, x) for row in v]
        outputs = [dot(row, hidden, bias) for row, bias in zip(w, biases, strict=True)]
        return sum_of([out.tanh() * t for out, t in zip(outputs, target, strict=True)])

    parameters = [*[p for row in v for p in row], *[p for row in w for p in row], *biases]
    lanes = Lanes(record(function, [0.0] * 5, [0.0] * 12, parameters=parameters), dtype)
    layers = lanes.lowered.lanes.code[lanes.lowered.lanes.code[:, 0] == LAYER]
    assert [lanes.lowered.lanes.pool[at + 1] & IN_PLACE for at in layers[:, 2]] == [IN_PLACE, IN_PLACE]
    lanes.read_values()
    x, target = rng.normal(size=(count, 5)), rng.normal(size=(count, 12))
    losses, gradient = lanes.backward(*lanes.arrange(x, target), 1.0)
    outputs = np.tanh((x @ V.T) @ W.T + b)
    by_out = target * (1.0 - outputs**2)
    expected = [((by_out @ W).T @ x).ravel(), (by_out.T @ (x @ V.T)).ravel(), by_out.sum(0)]
    tolerance = {"rtol": 1e-11, "atol": 1e-11} if dtype is np.float64 else {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(losses[0], np.sum(outputs * target, axis=1), **tolerance)
    np.testing.assert_allclose(gradient, np.concatenate(expected), **tolerance)


def test_wide_programs_keep_blocks_that_products_are_worth():
    """A thousand registers a lane would leave 16 lanes in the cache; several groups have as many columns each."""
    rng = np.random.default_rng(0)
    for dtype, columns in ((np.float64, 64), (np.float32, 128)):
        for groups in (1, 8):
            lanes = Lanes(network(2400 // groups, 2, groups, True, False, rng)[0], dtype)
            assert lanes.lowered.groups == groups
            assert lanes.block == max(16, columns // groups)


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
