"""Scripts in the style of those that learners write around micrograd: each runs unchanged, with the right numbers.

The right numbers are PyTorch's, or worked out by hand; where micrograd itself is installed and can run the script,
also micrograd's.
"""

import math

import pytest
import torch

from spellout import MLP, Value


def tensor(x):
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


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
