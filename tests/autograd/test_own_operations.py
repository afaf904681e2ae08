"""An operation declared by a user, the Legendre polynomial P3, wherever the built-in ones work."""

import copy
import math
import pickle

import pytest

from spellout import Value, check_rules, draw, explain, grad, gradcheck, operation
from spellout.autograd import ops
from spellout.errors import GradcheckError, OperationError, ValueTypeError
from spellout.nn.layers import Neuron
from spellout.pictures.expression import evaluate

pytestmark = pytest.mark.usefixtures("_table_restored")


@pytest.fixture
def P3():
    return operation("P3", lambda x: (5 * x**3 - 3 * x) / 2, lambda x: (15 * x**2 - 3) / 2, symbol="P₃")


def test_eager_and_higher_order(P3):
    x = Value(0.5)
    y = P3(x) * 2
    y.backward()
    assert y.data == 2 * (5 * 0.125 - 1.5) / 2
    assert x.grad == 2 * (15 * 0.25 - 3) / 2
    second = grad(grad(y, x, create_graph=True), x, create_graph=True)
    assert second.data == 2 * 15 * 0.5
    assert grad(second, x).data == 30.0
    assert P3(0.5) == -0.4375


def test_checked_drawn_explained_copied_and_used_in_formulas_and_neurons(P3):
    assert gradcheck(P3, 0.3)
    x = Value(0.5, label="x")
    y = P3(x)
    assert all(check_rules(y))
    assert "P₃" in draw(y).svg()
    assert "P3(x)" in draw(y).html()
    assert "P3(x)" in explain(y, x)
    assert pickle.loads(pickle.dumps(y)).op is P3
    assert copy.deepcopy(y).op is P3
    assert evaluate("P3(a) + 1", {"a": 0.5}).data == 0.5625
    assert Neuron(2, activation="P3")([1.0, 2.0]).op is P3


def test_two_arguments_and_any_number():
    hypotenuse = operation(
        "hypotenuse",
        lambda a, b: (a * a + b * b) ** 0.5,
        lambda a, b: (a / (a * a + b * b) ** 0.5, b / (a * a + b * b) ** 0.5),
    )
    assert gradcheck(hypotenuse, 3.0, 4.0)
    a = Value(3.0)
    assert grad(hypotenuse(a, 4.0), a).data == 0.6
    power_sum = operation("power_sum", lambda *xs: sum(x * x for x in xs), lambda *xs: tuple(2 * x for x in xs))
    assert gradcheck(power_sum, 1.0, 2.0, 3.0)


def test_a_rule_wrong_by_a_thousandth_is_named():
    wrong = operation("wrong", lambda x: x**3, lambda x: 3.003 * x**2)
    with pytest.raises(GradcheckError, match=r"argument 1 .*expected 3\.3.* by 0\.0033.*\(0\.1 %\)") as caught:
        gradcheck(lambda v: wrong(v) + v.exp() - v.exp(), 1.05)
    assert "The rule of operation wrong is wrong" in str(caught.value)


def test_what_cannot_work_is_said():
    with pytest.raises(OperationError, match="built-in"):
        operation("tanh", lambda x: x, lambda x: 1.0)
    with pytest.raises(OperationError, match="identifier"):
        operation("P 3", lambda x: x, lambda x: 1.0)
    two = operation("two", lambda x, y: x, lambda x, y: 1.0)
    with pytest.raises(OperationError, match="has 2 arguments, but its derivative gave 1 partial"):
        two(Value(1.0), 2.0).backward()
    with pytest.raises(OperationError, match="two needs 2 arguments, got 1"):
        two(1.0)
    with pytest.raises(OperationError, match=r"inverse failed at \(0\): float division by zero"):
        operation("inverse", lambda x: 1 / x, lambda x: -1 / x**2)(Value(0.0))
    with pytest.raises(OperationError, match="complex"):
        operation("root", lambda x: x**0.5, lambda x: 0.5 / x**0.5)(Value(-1.0))
    with pytest.raises(ValueTypeError):
        operation("nothing", lambda x: None, lambda x: 1.0)(Value(-1.0))
    with pytest.raises(OperationError, match="must be declared before"):
        ops.row("never_declared")


def test_declaring_again_replaces():
    operation("mine", lambda x: x, lambda x: 1.0)
    assert operation("mine", lambda x: 2 * x, lambda x: 2.0)(1.0) == 2.0


def test_a_derivative_that_leaves_the_graph_is_noticed_when_differentiated_again():
    sine = operation("sine", math.sin, lambda x: math.cos(x))
    x = Value(0.5)
    sine(x).backward()
    assert x.grad == math.cos(0.5)
    with pytest.raises(OperationError, match="the derivative of sine cannot be differentiated again"):
        grad(sine(x), x, create_graph=True)
    ramp = operation("ramp", lambda x: max(x, 0.0), lambda x: 1.0 if x > 0 else 0.0)
    for at in (-1.0, 0.0, 2.0):
        x = Value(at)
        assert grad(grad(ramp(x) * x, x, create_graph=True), x).data == (2.0 if at > 0 else 0.0)
