"""Derivatives inside a recording: `grad(..., create_graph=True)` becomes part of the program.

Compared with closed forms, with PyTorch, and, for every row of the table, with the eager engine (which is compared
with PyTorch in tests/autograd) on both sides of each branch.
"""

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
import torch

from spellout import MLP, Trainer, Value, grad, hessian, pick, record
from spellout.autograd import ops
from spellout.autograd.gradients import _chosen
from spellout.autograd.ops import BUILT_IN, TABLE
from spellout.nn.losses import cross_entropy
from spellout.programs.optimizers import AdamW

NORMAL = NormalDist()
POINTS = [-1.5, -0.25, 0.0, 0.5, 2.0]


# Closed forms ----------------------------------------------------------------------------------------------


def call_price(spot, strike, rate, volatility, years):
    """Black & Scholes 1973: the price of a European call."""
    spread = volatility * years.sqrt()
    d1 = ((spot / strike).log() + (rate + 0.5 * volatility * volatility) * years) / spread
    below = [0.5 * (1.0 + ops.erf(d / math.sqrt(2.0))) for d in (d1, d1 - spread)]
    return spot * below[0] - strike * (-rate * years).exp() * below[1]


def greeks(*market):
    spot, _, rate, volatility, years = market
    price = call_price(*market)
    delta, rho, vega, aging = grad(price, [spot, rate, volatility, years], create_graph=True)
    gamma = grad(delta, spot, create_graph=True)
    vanna = grad(delta, volatility, create_graph=True)
    return [price, delta, gamma, vega, rho, -aging, vanna]


def closed_form(S, K, r, v, T):
    d1 = (math.log(S / K) + (r + v * v / 2) * T) / (v * math.sqrt(T))
    d2 = d1 - v * math.sqrt(T)
    discounted = K * math.exp(-r * T)
    return [
        S * NORMAL.cdf(d1) - discounted * NORMAL.cdf(d2),
        NORMAL.cdf(d1),
        NORMAL.pdf(d1) / (S * v * math.sqrt(T)),
        S * NORMAL.pdf(d1) * math.sqrt(T),
        discounted * T * NORMAL.cdf(d2),
        -S * NORMAL.pdf(d1) * v / (2 * math.sqrt(T)) - r * discounted * NORMAL.cdf(d2),
        -NORMAL.pdf(d1) * d2 / v,
    ]


def test_the_greeks_of_black_and_scholes():
    rng = np.random.default_rng(0)
    low, high = [[60.0, 80.0, -0.01, 0.05, 0.1], [140.0, 120.0, 0.08, 0.6, 3.0]]
    markets = rng.uniform(low, high, (200, 5))
    program = record(greeks, 100.0, 100.0, 0.02, 0.2, 1.0)
    wanted = [closed_form(*market) for market in markets.tolist()]
    np.testing.assert_allclose(program(*markets.T), wanted, rtol=1e-10, atol=1e-12)


def test_the_volatility_that_explains_a_price_is_found_by_the_programs_own_vega():
    """Newton's method: implied volatilities of many options at once."""

    def price_and_vega(spot, strike, rate, volatility, years):
        price = call_price(spot, strike, rate, volatility, years)
        return [price, grad(price, volatility, create_graph=True)]

    program = record(price_and_vega, 1.0, 1.0, 0.0, 0.2, 1.0)
    true = np.linspace(0.1, 0.5, 9)
    rest = [np.full(9, 100.0), np.linspace(90.0, 110.0, 9), np.full(9, 0.02)]
    prices, guess = program(*rest, true, np.ones(9))[:, 0], np.full(9, 0.3)
    for _ in range(8):
        now, vega = program(*rest, guess, np.ones(9)).T
        guess -= (now - prices) / vega
    np.testing.assert_allclose(guess, true, rtol=1e-12)


def test_the_jacobian_of_polar_coordinates():
    def jacobian(r, angle):
        return [
            grad(coordinate, [r, angle], create_graph=True) for coordinate in (r * angle.cos(), r * angle.sin())
        ]

    program = record(jacobian, 1.0, 0.0)
    r, a = np.array([1.0, 2.0, 0.5]), np.array([0.0, 1.0, -2.0])
    wanted = np.stack([[np.cos(a), -r * np.sin(a)], [np.sin(a), r * np.cos(a)]]).transpose(2, 0, 1)
    np.testing.assert_allclose(program(r, a), wanted, rtol=1e-15, atol=1e-16)
    assert program.shape == (2, 2)


def test_the_hessian_of_a_form_of_two():
    program = record(lambda x: hessian(x[0] ** 3 * x[1] ** 2, x, create_graph=True), [1.0, 1.0])
    x, y = np.array([1.0, -2.0, 0.5]), np.array([3.0, 0.25, -1.0])
    wanted = np.stack([[6 * x * y**2, 6 * x**2 * y], [6 * x**2 * y, 2 * x**3]]).transpose(2, 0, 1)
    np.testing.assert_allclose(program(np.stack([x, y], 1)), wanted, rtol=1e-14)


def test_a_derivative_of_a_derivative_of_a_derivative():
    def third(x):
        y = x**5
        for _ in range(3):
            y = grad(y, x, create_graph=True)
        return y

    x = np.array([-2.0, 0.0, 0.5, 3.0])
    np.testing.assert_allclose(record(third, 1.0)(x), 60 * x**2, rtol=1e-14)


# Networks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu", "elu", "gelu", "softplus"])
def test_gradients_by_inputs_and_how_parameters_move_them(activation):
    """A penalty on the slope (a "gradient penalty") and its gradient, against PyTorch's double backward."""
    model = MLP(3, [5, 4], activation=activation, rng=random.Random(0))

    def loss(x, target):
        x_loss = cross_entropy(model(x), target)
        return x_loss + 0.1 * sum(slope * slope for slope in grad(x_loss, x, create_graph=True))

    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(20, 3)), rng.integers(0, 4, 20)
    program = record(loss, [0.0] * 3, 0, parameters=model.parameters())
    mean, gradient = program.gradient(X, targets)

    flat = torch.tensor([p.data for p in model.parameters()], dtype=torch.float64, requires_grad=True)
    W1, W2 = flat[:20].view(5, 4), flat[20:].view(4, 6)
    x = torch.tensor(X, requires_grad=True)
    hidden = getattr(torch.nn.functional, activation)(x @ W1[:, :3].T + W1[:, 3])
    logits = hidden @ W2[:, :5].T + W2[:, 5]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="none")
    (slopes,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
    total = (losses + 0.1 * slopes.square().sum(1)).mean()
    total.backward()
    assert abs(mean - total.item()) < 1e-14
    np.testing.assert_allclose(gradient, flat.grad.numpy(), rtol=1e-11, atol=1e-15)


def test_a_network_learns_a_differential_equation():
    """y' = -y, y(0) = 1, from nothing but the equation: its solution is e**-x."""
    model = MLP(1, [8, 1], activation="tanh", rng=random.Random(1))

    def equation(x):
        y = 1.0 + x * model([x])
        return (grad(y, x, create_graph=True) + y) ** 2

    trainer = Trainer(record(equation, 0.0), AdamW(lr=0.01, weight_decay=0.0))
    x = np.linspace(0.0, 1.0, 32)
    for _ in range(1500):
        trainer.step(x)
    trainer.write_back()
    assert max(abs((1.0 + p * model([p])).data - math.exp(-p)) for p in x.tolist()) < 2e-3


def test_each_example_has_the_gradient_by_the_row_that_it_picks():
    """The integer given to `record` picks row 0; other examples pick others."""
    rows = [Value(2.0), Value(3.0), Value(5.0)]
    program = record(lambda i, x: grad(pick(rows, i) ** 2 * x, rows, create_graph=True), 0, 1.0)
    wanted = [[4.0, 0.0, 0.0], [0.0, 0.0, 20.0], [0.0, 6.0, 0.0]]
    assert program([0, 2, 1], [1.0, 2.0, 1.0]).tolist() == wanted
    by_picked = record(lambda i, x: (lambda row: grad(row**2 * x, row, create_graph=True))(pick(rows, i)), 0, 1.0)
    assert by_picked([0, 2, 1], [1.0, 2.0, 1.0]).tolist() == [4.0, 20.0, 6.0]
    computed = record(lambda i, x: grad(pick([x * x, 7.0, x**3], i), x, create_graph=True), 1, 1.0)
    assert computed([0, 1, 2], [3.0, 3.0, 3.0]).tolist() == [6.0, 0.0, 27.0]


# Every row, on both sides of its branches ------------------------------------------------------------------


def _function(op):
    arguments = {1: lambda x: (x,), 2: lambda x: (x + 0.5, x * x - 0.25), 3: lambda x: (x, x * x, x + 1.0)}
    return lambda x: op(*arguments[op.arity or 3](x))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_first_and_second_derivatives_of_every_row(name):
    function = _function(TABLE[name])

    def derivatives(x):
        first = grad(function(x), x, create_graph=True)
        return [first, grad(first, x, create_graph=True)]

    checked = 0
    program = record(derivatives, 0.3)
    for point in POINTS:
        wanted = [derivative.data for derivative in derivatives(Value(point))]
        if all(map(math.isfinite, wanted)):
            np.testing.assert_allclose(program([point])[0], wanted, rtol=1e-13, atol=1e-15)
            checked += 1
    assert checked >= 2


def test_what_a_branch_drops_stays_dropped_even_an_infinite_slope():
    # sqrt has an infinite slope at 0, and relu lets nothing through there
    program = record(lambda x: grad(x.relu().sqrt(), x, create_graph=True), 1.0)
    assert program([4.0, -1.0]).tolist() == [0.25, 0.0]


@pytest.mark.parametrize("symbol", [">", "<", ">=", "<=", "==", "!="])
def test_every_comparison_of_a_row_is_made_for_every_example(symbol):
    hold = {">": np.greater, "<": np.less, ">=": np.greater_equal, "<=": np.less_equal}
    hold |= {"==": np.equal, "!=": np.not_equal}
    program = record(lambda a, b: _chosen(symbol, a, b, a, None), 0.0, 0.0)
    edges = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e308, -1e308, 1.0 + 2**-52]
    a, b = [numbers.ravel() for numbers in np.meshgrid(edges, edges)]
    np.testing.assert_array_equal(program(a, b), np.where(hold[symbol](a, b), a, 0.0))
