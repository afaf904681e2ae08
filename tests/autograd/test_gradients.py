"""Gradients as Values: higher derivatives and the Hessian, against PyTorch and against calculus."""

import math

import pytest
import torch

from spellout import Value, grad, hessian
from spellout.errors import GraphError, ValueTypeError


def test_three_derivatives_of_a_polynomial():
    x = Value(3.0)
    y = x**3
    first = grad(y, x, create_graph=True)
    second = grad(first, x, create_graph=True)
    third = grad(second, x, create_graph=True)
    assert [v.data for v in (first, second, third)] == [27.0, 18.0, 6.0]
    assert grad(third, x).data == 0.0


def test_derivatives_of_sin_go_round():
    x = Value(0.7)
    y = x.sin()
    for expected in (math.cos(0.7), -math.sin(0.7), -math.cos(0.7), math.sin(0.7)):
        y = grad(y, x, create_graph=True)
        assert y.data == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp", "gelu", "silu", "softplus", "sqrt", "log"])
def test_third_derivatives_equal_pytorch(name):
    x, t = Value(0.8), torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    reference = {"gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu}
    theirs = (reference.get(name) or getattr(torch, name, None) or torch.nn.functional.softplus)(t)
    ours = getattr(x, name)()
    for _ in range(3):
        ours = grad(ours, x, create_graph=True)
        (theirs,) = torch.autograd.grad(theirs, t, create_graph=True)
        assert ours.data == pytest.approx(theirs.item(), rel=1e-11)


def test_hessian_equals_pytorch_and_is_symmetric():
    def f(a, b, c):
        return a * a * b + (b * c).tanh() / a + c.exp() * b

    point = [1.3, -0.4, 0.9]
    values = [Value(x) for x in point]
    matrix = [[v.data for v in row] for row in hessian(f(*values), values)]
    expected = torch.autograd.functional.hessian(lambda t: f(*t), torch.tensor(point, dtype=torch.float64))
    for row, theirs in zip(matrix, expected.tolist(), strict=True):
        assert row == pytest.approx(theirs, rel=1e-12)
    assert all(matrix[i][j] == pytest.approx(matrix[j][i], rel=1e-12) for i in range(3) for j in range(3))


def test_nobody_is_touched():
    x = Value(2.0)
    y = x * x
    y.backward()
    grad(y, x)
    hessian(y, [x])
    assert (x.grad, y.grad) == (4.0, 1.0)


def test_of_nodes_between_of_itself_and_of_strangers():
    x, stranger = Value(2.0), Value(1.0)
    middle = x * 3
    y = middle * middle
    by_middle, by_x, by_itself, by_stranger = grad(y, [middle, x, y, stranger])
    assert [v.data for v in (by_middle, by_x, by_itself, by_stranger)] == [12.0, 36.0, 1.0, 0.0]


def test_without_a_graph_the_results_are_leaves():
    x = Value(2.0)
    assert grad(x**3, x).parents == ()
    assert grad(x**3, x, create_graph=True).parents != ()


def test_a_gradient_penalty_trains_as_in_pytorch():
    x, t = Value(0.5), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    slope = grad((x * 3).tanh(), x, create_graph=True)
    ((slope - 1) ** 2).backward()
    (theirs,) = torch.autograd.grad((t * 3).tanh(), t, create_graph=True)
    ((theirs - 1) ** 2).backward()
    assert x.grad == pytest.approx(t.grad.item(), rel=1e-12)


def test_a_changed_leaf_and_a_number_are_refused():
    x = Value(2.0)
    y = x * x
    x.data = 3.0
    with pytest.raises(GraphError, match="changed"):
        grad(y, x)
    with pytest.raises(ValueTypeError, match="needs Values"):
        grad(x * 2, [2.0])
