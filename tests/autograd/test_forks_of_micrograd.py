"""Scripts for the forks of micrograd that learners made: subclasses, more functions, arrays, other constructors."""

import math
import random

import numpy as np
import pytest
import torch

from spellout import MLP, Layer, Neuron, Value

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def tensor(x):
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


def test_a_subclass_with_operations_of_its_own():
    class Scalar(Value):
        def __init__(self, data, _children=(), _op="", label=""):
            super().__init__(data, _children, _op, label)
            self._backward = lambda: None
            self.seen = 0

        def square(self):
            out = Scalar(self.data**2, (self,), "sq")

            def _backward():
                self.grad += 2 * self.data * out.grad

            out._backward = _backward
            return out

    x, y = Scalar(1.5, label="x"), Scalar(-0.5)
    z = ((x * 2 + y).square() - 1 / x).square().exp() * 0.1
    z.backward()
    t, s = tensor(1.5), tensor(-0.5)
    expected = (((t * 2 + s) ** 2 - 1 / t) ** 2).exp() * 0.1
    expected.backward()
    assert type(z) is type(x * 2) is type(2 - x) is type(x.tanh()) is type(Value(1.0) + x) is Scalar
    assert z.data == pytest.approx(expected.item(), rel=1e-12)
    assert [x.grad, y.grad] == pytest.approx([t.grad.item(), s.grad.item()], rel=1e-12)


def test_of_two_subclasses_the_narrower_one_stays():
    class A(Value):
        pass

    class B(A):
        pass

    for pair in ((A(1), B(2)), (B(1), A(2)), (B(1), Value(2)), (Value(1), B(2))):
        assert type(pair[0] * pair[1]) is B
    assert type(A(1) + 1.0) is A
    assert type(Value(1) + 1.0) is Value


def test_the_lectures_neuron_with_labels_and_its_picture_as_text():
    x1, w1, b = Value(2.0, label="x1"), Value(-3.0, label="w1"), Value(6.5, label="b")
    n = x1 * w1 + b
    n.label = "n"
    t = (math.exp(2 * n.data) - 1) / (math.exp(2 * n.data) + 1)
    o = Value(t, (n,), "tanh", label="o")

    def _backward():
        n.grad += (1 - t**2) * o.grad

    o._backward = _backward
    o.backward()
    lines = [f"{v.label or '·'}|{v.data:.4f}|{v.grad:.4f}|{v._op}" for v in (x1, w1, n, o)]
    slope = 1 - math.tanh(0.5) ** 2
    assert lines == [
        f"x1|2.0000|{-3 * slope:.4f}|",
        f"w1|-3.0000|{2 * slope:.4f}|",
        f"n|0.5000|{slope:.4f}|+",
        f"o|{math.tanh(0.5):.4f}|1.0000|tanh",
    ]
    assert o._prev == {n}


def test_arrays_of_values():
    rng = np.random.default_rng(3)
    X, y, start = rng.normal(size=(5, 2)), rng.normal(size=5), np.array([0.5, -1.0])
    w, bias = np.array([Value(x) for x in start]), Value(0.25)
    residuals = X @ w + bias - y  # NumPy's own operators on arrays of objects
    loss = (residuals**2).sum() / len(y)
    loss.backward()
    by_hand = X @ start + 0.25 - y
    assert loss.data == pytest.approx((by_hand**2).mean(), rel=1e-12)
    np.testing.assert_allclose([v.grad for v in w], 2 * X.T @ by_hand / 5, rtol=1e-12)
    assert bias.grad == pytest.approx(2 * by_hand.mean(), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_an_array_times_a_value_goes_element_by_element(dtype):
    array = np.array([[1, 0, 1], [0, 1, 1]], dtype)
    v = Value(2.0)
    for result, numbers in [
        (array * v, array * 2.0),
        (v * array, array * 2.0),
        (array + v, array + 2.0),
        (v - array, 2.0 - array.astype(float)),
        (array / v, array / 2.0),
        (v**array, 2.0**array),
    ]:
        assert result.shape == (2, 3)
        assert result.dtype == object
        assert [x.data for x in result.flat] == numbers.ravel().tolist()
    assert (v * array).sum().data == 8.0
    assert (v > array).tolist() == [[True] * 3] * 2
    assert (array == Value(1.0)).tolist() == (array == 1).tolist()
    (v * array * v).sum().backward()
    assert v.grad == 2 * 2.0 * 4
    assert (np.array(3.0) * v).data == 6.0
    assert (np.zeros((0, 2)) * v).shape == (0, 2)


def test_arrays_that_hold_no_real_numbers_are_refused_beside_a_value():
    from spellout.errors import ValueTypeError

    for array, fragment in [
        (np.array([1j]), "real numbers"),
        (np.array(["1"]), "text"),
        (np.array([None]), "forget to return"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "masked"),
    ]:
        for product in (lambda a: Value(2.0) * a, lambda a: a * Value(2.0)):
            with pytest.raises(ValueTypeError, match=fragment):
                product(array)


def test_an_activation_as_the_third_argument():
    rng = random.Random(0)
    model = MLP(3, [4, 4, 1], "tanh", rng=rng)
    assert repr(model.layers[0].neurons[0]) == "tanhNeuron(3)"
    assert repr(model.layers[2].neurons[0]) == "LinearNeuron(4)"
    for neuron in (
        Neuron(2, "sigmoid"),
        Layer(2, 3, "sigmoid").neurons[2],
        Layer(2, 1, activation="sigmoid").neurons[0],
    ):
        total = neuron.w[0].data * 0.5 - neuron.w[1].data + neuron.b.data
        assert neuron([0.5, -1.0]).data == pytest.approx(1 / (1 + math.exp(-total)), rel=1e-12)
    assert Neuron(2, lambda x: x * 100)([1.0, 1.0]).op.name == "mul"
    assert repr(Neuron(2, False)) == repr(Layer(2, 1, False).neurons[0]) == "LinearNeuron(2)"
    assert repr(Layer(2, 1, nonlin=True)) == "Layer of [ReLUNeuron(2)]"
    with pytest.raises(Exception, match="no activation is called"):
        MLP(2, [2, 1], ["relu"])
    with pytest.raises(Exception, match="no activation is called 'tanhh'"):
        Neuron(2, "tanhh")


def test_a_softmax_classifier_written_out():
    rng = random.Random(4)
    model = MLP(3, [5, 3], rng=rng)
    labels = [0, 2, 1, 0]
    losses = []
    for x, label in zip(XS, labels, strict=True):
        counts = [logit.exp() for logit in model(x)]
        total = sum(counts)
        losses.append(-(counts[label] / total).log())
    loss = sum(losses) / len(losses)
    loss.backward()
    w = [tensor([[v.data for v in n.w] for n in layer.neurons]) for layer in model.layers]
    b = [tensor([n.b.data for n in layer.neurons]) for layer in model.layers]
    hidden = (torch.tensor(XS, dtype=torch.float64) @ w[0].T + b[0]).relu()
    expected = torch.nn.functional.cross_entropy(hidden @ w[1].T + b[1], torch.tensor(labels))
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), rel=1e-12)
    ours = [[v.grad for v in n.w] for n in model.layers[0].neurons]
    np.testing.assert_allclose(ours, w[0].grad.numpy(), rtol=1e-10, atol=1e-14)


def test_logistic_regression_written_out():
    w, b = [Value(0.5), Value(-0.25), Value(0.1)], Value(0.0)
    loss = Value(0.0)
    for x, y in zip(XS, YS, strict=True):
        z = sum(wi * xi for wi, xi in zip(w, x, strict=True)) + b
        p = 1 / (1 + (-z).exp())
        assert p.data == pytest.approx(z.sigmoid().data, rel=1e-14)
        loss += -(p.log() if y > 0 else (1 - p).log())
    loss.backward()
    weights = tensor([0.5, -0.25, 0.1])
    logits = torch.tensor(XS, dtype=torch.float64) @ weights
    targets = (torch.tensor(YS, dtype=torch.float64) + 1) / 2
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), rel=1e-12)
    assert [v.grad for v in w] == pytest.approx(weights.grad.tolist(), rel=1e-12)


def test_powers_of_values_signs_and_order():
    a, b = Value(1.5), Value(2.5)
    y = 2**a + a**b + (+a) + abs(-b)
    y.backward()
    assert y.data == pytest.approx(2**1.5 + 1.5**2.5 + 1.5 + 2.5, rel=1e-14)
    assert a.grad == pytest.approx(2**1.5 * math.log(2) + 2.5 * 1.5**1.5 + 1, rel=1e-14)
    assert b.grad == pytest.approx(1.5**2.5 * math.log(1.5) + 1, rel=1e-14)
    assert +a is a
    assert max(a, b) is b
    assert [v.data for v in sorted([b, a, Value(2.0)])] == [1.5, 2.0, 2.5]
    assert len({a, b, a, Value(1.5)}) == 3  # by identity
    assert {a: "first"}[a] == "first"


def test_a_numeric_check_as_in_the_first_lecture():
    def f(a, b, c):
        return ((a * b + c).relu() * a).sigmoid()

    numbers, h = [0.7, -0.4, 1.1], 1e-6
    values = [Value(x) for x in numbers]
    f(*values).backward()
    for i, v in enumerate(values):
        moved = [[Value(x + (j == i) * s) for j, x in enumerate(numbers)] for s in (h, -h)]
        assert v.grad == pytest.approx((f(*moved[0]).data - f(*moved[1]).data) / (2 * h), rel=1e-6)


def test_progress_is_printed_in_every_way(capsys):
    model = MLP(3, [4, 1], "tanh", rng=random.Random(1))
    for k in range(3):
        loss = sum((model(x) - y) ** 2 for x, y in zip(XS, YS, strict=True))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data = p.data - 0.05 * p.grad
        print(k, float(loss), round(loss, 2), f"{loss:.2f}", "%.2f" % loss, np.array([float(loss)])[0])  # noqa: UP031
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    for _, whole, rounded, formatted, percent, array in rows:
        assert float(rounded) == round(float(whole), 2)
        assert formatted == percent == f"{float(whole):.2f}"
        assert float(array) == float(whole)
    assert float(rows[2][1]) < float(rows[0][1])
