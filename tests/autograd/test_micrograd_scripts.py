"""A script as people write them for micrograd runs with only its imports changed."""

import math
import random

import numpy as np
import pytest
import torch

from spellout import MLP, Layer, Module, Neuron, Value, nn


def test_imports_of_micrograd_have_counterparts():
    assert (nn.MLP, nn.Neuron, nn.Layer, nn.Module) == (MLP, Neuron, Layer, Module)


def test_all_operators_with_numbers_on_both_sides():
    def script(new):
        a, b = new(-4.0), new(2.0)
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        e = c - d
        f = e**2
        g = f / 2.0
        g += 10.0 / f
        g.backward()
        return g, a, b

    ours = script(Value)
    theirs = script(lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True))
    assert ours[0].data == pytest.approx(theirs[0].item(), rel=1e-12)
    assert [v.grad for v in ours[1:]] == pytest.approx([t.grad.item() for t in theirs[1:]], rel=1e-12)


def test_a_walk_over_prev_and_op_as_in_draw_dot():
    a, b = Value(2.0), Value(-3.0)
    root = (a * b + 10).relu() ** 2
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    assert sorted(n._op for n in nodes) == ["", "", "", "", "*", "**2", "+", "ReLU"]
    assert len(edges) == 7


def test_the_chain_rule_by_hand_node_by_node():
    a, b = Value(2.0), Value(-3.0)
    product = a * b
    root = product + a
    root.grad = 1.0
    root._backward()
    product._backward()
    assert (a.grad, b.grad, product.grad) == (1.0 - 3.0, 2.0, 1.0)


def test_the_classifier_of_two_classes():
    random.seed(1337)
    np.random.seed(1337)  # noqa: NPY002 - as scripts of that time do
    angle = np.random.uniform(0, np.pi, 20)  # noqa: NPY002
    y = np.where(np.arange(20) % 2, 1, -1)
    inner, outer = [1 - np.cos(angle), 0.5 - np.sin(angle)], [np.cos(angle), np.sin(angle)]
    X = np.where(y > 0, inner, outer).T
    model = MLP(2, [8, 8, 1])
    assert len(model.parameters()) == 105
    for k in range(60):
        inputs = [list(map(Value, row)) for row in X]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * score).relu() for yi, score in zip(y, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        total_loss = data_loss + 1e-4 * sum(p * p for p in model.parameters())
        accuracy = [(yi > 0) == (score.data > 0) for yi, score in zip(y, scores, strict=True)]
        model.zero_grad()
        total_loss.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 60) * 0.3 * p.grad
    assert sum(accuracy) >= 18
    assert total_loss.data < 0.3


def test_the_same_seed_gives_micrograds_weights():
    random.seed(1337)
    expected = [random.uniform(-1, 1) for _ in range(3)]
    random.seed(1337)
    neuron = Neuron(3)
    assert [w.data for w in neuron.w] == expected
    assert neuron.b.data == 0
    assert neuron.nonlin


def test_reprs_and_a_single_output():
    assert repr(MLP(2, [1, 1])) == "MLP of [Layer of [ReLUNeuron(2)], Layer of [LinearNeuron(1)]]"
    assert repr(Neuron(2, nonlin=False)) == "LinearNeuron(2)"
    assert isinstance(MLP(2, [1])([1.0, 2.0]), Value)
    assert isinstance(MLP(2, [2])([1.0, 2.0]), list)
    assert math.isfinite(Layer(2, 1)(np.array([1.0, 2.0])).data)
