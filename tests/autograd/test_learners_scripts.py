"""Scripts in the style of those that learners write around micrograd: each runs unchanged, with the right numbers.

The right numbers are PyTorch's, or worked out by hand; where micrograd itself is installed and can run the script,
also micrograd's.
"""

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


# Scripts that plain micrograd runs too ----------------------------------------------------------------------------


def momentum_kept_on_the_parameters(Value, MLP):
    """Adam by hand; every parameter carries its own running means."""
    w, b = Value(1.0), Value(-2.0)
    for p in (w, b):
        p.m = 0
        p.v = 0
    for t in range(1, 21):
        loss = (w * 3.0 + b - 4.0) ** 2 + w * w * 0.1
        w.grad = b.grad = 0
        loss.backward()
        for p in (w, b):
            p.m = 0.9 * p.m + 0.1 * p.grad
            p.v = 0.99 * p.v + 0.01 * p.grad**2
            p.data -= 0.1 * (p.m / (1 - 0.9**t)) / (math.sqrt(p.v / (1 - 0.99**t)) + 1e-8)
    return [w.data, b.data]


def nodes_painted_by_depth(Value, MLP):
    """Walks the graph and leaves marks on the nodes."""
    a, b = Value(2.0), Value(-3.0)
    root = (a * b + a).relu() + b**2

    def paint(node, depth):
        node.depth = max(depth, getattr(node, "depth", 0))
        node.color = "gray" if node._prev else "red"
        for child in node._prev:
            paint(child, depth + 1)

    paint(root, 0)
    return [root.depth, b.depth, a.depth, float(a.color == "red"), float(root.color == "gray")]


def an_operation_by_closure(Value, MLP):
    """exp and log as functions that build their node and say how it goes back."""

    def exp(x):
        out = Value(math.exp(x.data), (x,), "exp")

        def _backward():
            x.grad += out.data * out.grad

        out._backward = _backward
        return out

    def log(x):
        out = Value(math.log(x.data), _children=(x,), _op="log")

        def _backward():
            x.grad += (1 / x.data) * out.grad

        out._backward = _backward
        return out

    x, y = Value(0.5), Value(-1.25)
    z = exp(x) + exp(y)
    loss = log(z) * 2 - exp(x * y)
    loss.backward()
    return [loss.data, x.grad, y.grad]


def a_second_product(Value, MLP):
    """A node with two children, one of them twice."""

    def weighted(a, b):
        out = Value(a.data * b.data * 2, (a, b), "2*")

        def _backward():
            a.grad += 2 * b.data * out.grad
            b.grad += 2 * a.data * out.grad

        out._backward = _backward
        return out

    a, b = Value(3.0), Value(-2.0)
    y = weighted(weighted(a, b), a) + weighted(b, b)
    y.backward()
    return [y.data, a.grad, b.grad]


def a_backward_of_ones_own(Value, MLP):
    """Sorts the graph by itself and calls `_backward` node by node."""
    a, b, c = Value(2.0), Value(-3.0), Value(10.0)
    root = (a * b + c).relu() * a + (a - c) / b

    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for child in node._prev:
                visit(child)
            order.append(node)

    visit(root)
    root.grad = 1.0
    for node in reversed(order):
        node._backward()
    return [root.data, a.grad, b.grad, c.grad]


def a_line_fitted(Value, MLP):
    """Linear regression, gradients zeroed by hand."""
    points = [(x / 4, 1.5 * x / 4 - 0.5) for x in range(-4, 5)]
    w, b = Value(0.0), Value(0.0)
    for _ in range(40):
        loss = sum((w * x + b - y) ** 2 for x, y in points) * (1 / len(points))
        for p in [w, b]:
            p.grad = 0.0
        loss.backward()
        for p in [w, b]:
            p.data += -0.5 * p.grad
    return [w.data, b.data]


def a_network_looked_into(Value, MLP):
    """Sets weights through layers and neurons, then reads gradients there."""
    model = MLP(2, [2, 1])
    for i, layer in enumerate(model.layers):
        for j, neuron in enumerate(layer.neurons):
            neuron.b.data = 0.1 * (i - j)
            for k, w in enumerate(neuron.w):
                w.data = 0.3 * (k + 1) - 0.2 * j + 0.1 * i
    out = model([1.0, -2.0]) + model([0.5, 2.0])
    model.zero_grad()
    out.backward()
    return [out.data, *[p.grad for p in model.parameters()], len(model.parameters()), len(model.layers[0].neurons)]


def every_operator(Value, MLP):
    """Numbers on both sides of everything that micrograd has."""
    a, b = Value(1.5), Value(-0.5)
    y = 3 - a + (2 / a) * b - 1 + a / 4 + (-b) * 2 + sum([a, b, a]) + a**-1 + (a + b).relu() ** 2
    y.backward()
    return [y.data, a.grad, b.grad]


SHARED = {
    momentum_kept_on_the_parameters: None,
    nodes_painted_by_depth: [0.0, 4.0, 4.0, 1.0, 1.0],
    an_operation_by_closure: None,
    a_second_product: [-64.0, -48.0, 28.0],  # 4a²b + 2b²: d/da = 8ab, d/db = 4a² + 4b
    a_backward_of_ones_own: None,
    a_line_fitted: None,
    a_network_looked_into: None,
    every_operator: None,
}


def adam_in_torch():
    w, b = tensor(1.0), tensor(-2.0)
    optimizer = torch.optim.Adam([w, b], lr=0.1, betas=(0.9, 0.99))
    for _ in range(20):
        optimizer.zero_grad()
        ((w * 3.0 + b - 4.0) ** 2 + w * w * 0.1).backward()
        optimizer.step()
    return [w.item(), b.item()]


def closures_in_torch():
    x, y = tensor(0.5), tensor(-1.25)
    loss = (x.exp() + y.exp()).log() * 2 - (x * y).exp()
    loss.backward()
    return [loss.item(), x.grad.item(), y.grad.item()]


def own_backward_in_torch():
    a, b, c = tensor(2.0), tensor(-3.0), tensor(10.0)
    root = (a * b + c).relu() * a + (a - c) / b
    root.backward()
    return [root.item(), a.grad.item(), b.grad.item(), c.grad.item()]


def line_in_torch():
    x = torch.arange(-4, 5, dtype=torch.float64) / 4
    w, b = tensor(0.0), tensor(0.0)
    optimizer = torch.optim.SGD([w, b], lr=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        ((w * x + b - 1.5 * x + 0.5) ** 2).mean().backward()
        optimizer.step()
    assert w.item() == pytest.approx(1.5, abs=1e-6)
    return [w.item(), b.item()]


def network_in_torch():
    weights = [
        [tensor([0.3 * (k + 1) - 0.2 * j + 0.1 * i for k in range(2)]) for j in range(n)]
        for i, n in ((0, 2), (1, 1))
    ]
    biases = [[tensor(0.1 * (i - j)) for j in range(n)] for i, n in ((0, 2), (1, 1))]

    def model(x):
        hidden = [(w @ x + b).relu() for w, b in zip(weights[0], biases[0], strict=True)]
        return weights[1][0] @ torch.stack(hidden) + biases[1][0]

    out = sum(model(torch.tensor(x, dtype=torch.float64)) for x in ([1.0, -2.0], [0.5, 2.0]))
    out.backward()
    grads = [
        g
        for ws, bs in zip(weights, biases, strict=True)
        for w, b in zip(ws, bs, strict=True)
        for g in (*w.grad.tolist(), b.grad.item())
    ]
    return [out.item(), *grads, 9, 2]


def operators_in_torch():
    a, b = tensor(1.5), tensor(-0.5)
    y = 3 - a + (2 / a) * b - 1 + a / 4 + (-b) * 2 + (a + b + a) + a**-1 + (a + b).relu() ** 2
    y.backward()
    return [y.item(), a.grad.item(), b.grad.item()]


RIGHT = {
    momentum_kept_on_the_parameters: adam_in_torch,
    an_operation_by_closure: closures_in_torch,
    a_backward_of_ones_own: own_backward_in_torch,
    a_line_fitted: line_in_torch,
    a_network_looked_into: network_in_torch,
    every_operator: operators_in_torch,
}


@pytest.mark.parametrize("script", SHARED, ids=lambda script: script.__name__)
def test_a_script_gives_the_right_numbers(script):
    expected = SHARED[script] or RIGHT[script]()
    assert script(Value, MLP) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("script", SHARED, ids=lambda script: script.__name__)
def test_a_script_gives_micrograds_numbers(script):
    engine = pytest.importorskip("micrograd.engine", reason="micrograd is in the extra [bench]")
    networks = pytest.importorskip("micrograd.nn")
    assert script(Value, MLP) == pytest.approx(script(engine.Value, networks.MLP), rel=1e-9, abs=1e-12)


# Scripts for forks of micrograd that learners made ----------------------------------------------------------------


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
