"""Neuron, Layer, MLP, Dropout, Embedding and what every Module can do."""

import math
import pickle
import random
import statistics

import pytest
import torch

from spellout import MLP, Module, Value
from spellout.errors import ShapeError, UsageError, ValueTypeError
from spellout.nn.attention import Attention
from spellout.nn.embedding import Embedding
from spellout.nn.initialization import GAINS, INITIALIZERS
from spellout.nn.layers import Layer, Neuron, PReLU
from spellout.nn.losses import binary_cross_entropy
from spellout.nn.regularization import Dropout


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "silu", "softplus", "leaky_relu", "elu"])
def test_mlp_equals_pytorch(activation):
    model = MLP(3, [5, 4, 2], activation=activation, rng=random.Random(0))
    x = [0.5, -1.5, 2.0]
    out = model(x)
    (out[0] * 2 + out[1]).backward()
    h, parameters = torch.tensor(x, dtype=torch.float64), []
    for i, layer in enumerate(model.layers):
        w = torch.tensor([[v.data for v in n.w] for n in layer.neurons], dtype=torch.float64, requires_grad=True)
        b = torch.tensor([n.b.data for n in layer.neurons], dtype=torch.float64, requires_grad=True)
        parameters.append((w, b))
        h = torch.nn.functional.linear(h, w, b)
        if i < 2:
            h = getattr(torch.nn.functional, activation)(h)
    (h[0] * 2 + h[1]).backward()
    assert [v.data for v in out] == pytest.approx(h.tolist(), rel=1e-12)
    for layer, (w, b) in zip(model.layers, parameters, strict=True):
        for neuron, row, bias in zip(layer.neurons, w.grad.tolist(), b.grad.tolist(), strict=True):
            assert [v.grad for v in neuron.w] == pytest.approx(row, rel=1e-12, abs=1e-15)
            assert neuron.b.grad == pytest.approx(bias, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("length", [1, 3])
def test_a_wrong_input_length_is_an_error_and_not_a_silent_cut(length):
    for part in (MLP(2, [2, 1]), Neuron(2), Layer(2, 2)):
        with pytest.raises(ShapeError, match=f"takes 2 inputs, got {length}"):
            part([1.0] * length)


def test_impossible_sizes_and_names_are_refused():
    for make in (lambda: MLP(2, []), lambda: Neuron(0), lambda: Layer(2, 0), lambda: Attention(5, 2)):
        with pytest.raises(ShapeError):
            make()
    with pytest.raises(UsageError, match="no activation is called 'swoosh'; there are linear"):
        MLP(2, [1, 1], activation="swoosh")
    with pytest.raises(UsageError, match="no activation is called 'mul'"):
        Neuron(2, activation="mul")
    with pytest.raises(UsageError, match="no initialisation is called 'glorious'; there are uniform"):
        Neuron(2, init="glorious")
    with pytest.raises(UsageError, match="below 1"):
        Dropout(1.0)


def test_own_functions_and_the_lectures_variant():
    assert Neuron(2, activation=lambda v: v * 0 + 7)([1, 2]).data == 7.0
    lecture = MLP(3, [4, 4, 1], activation="tanh", last="tanh")
    assert lecture([1e3, -1e3, 5.0])._op == "tanh"
    assert lecture.count_parameters() == 41


def test_prelu_learns_one_slope_for_all_its_neurons():
    model = MLP(2, [3, 1], activation=PReLU(), rng=random.Random(0))
    assert model.count_parameters() == 13 + 1
    slope = model.layers[0].neurons[0].activation.slope
    z = Value(-2.0)
    out = PReLU(0.3)(z)
    out.backward()
    assert (out.data, z.grad) == (-0.6, 0.3)
    model([-1.0, 2.0]).backward()
    t = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    w = [[v.data for v in n.w] for n in model.layers[0].neurons]
    h = torch.tensor(w, dtype=torch.float64) @ torch.tensor([-1.0, 2.0], dtype=torch.float64)
    last = torch.tensor([v.data for v in model.layers[1].neurons[0].w], dtype=torch.float64)
    (torch.nn.functional.prelu(h, t) @ last).backward()
    assert slope.grad == pytest.approx(t.grad.item(), rel=1e-12)
    assert slope.grad != 0.0


@pytest.mark.parametrize("init", sorted(set(INITIALIZERS) - {"zeros"}))
def test_initialisations_have_their_spread(init):
    fan_in, fan_out, gain = 400, 100, GAINS["tanh"]
    layer = Layer(fan_in, fan_out, activation="tanh", init=init, rng=random.Random(0))
    spread = statistics.pstdev([v.data for n in layer.neurons for v in n.w])
    expected = {"kaiming": gain / math.sqrt(fan_in), "xavier": gain * math.sqrt(2 / (fan_in + fan_out))}
    assert spread == pytest.approx(expected.get(init.removesuffix("_uniform"), 1 / math.sqrt(3)), rel=0.02)


def test_kaiming_keeps_the_size_of_a_signal_through_ten_relu_layers():
    rng = random.Random(0)
    x = [rng.gauss(0, 1) for _ in range(64)]
    for _ in range(10):
        x = [v.data for v in Layer(64, 64, init="kaiming", rng=rng).outputs(x)]
    assert 0.2 < math.sqrt(statistics.fmean([v * v for v in x])) < 5.0


def test_counts_per_neuron_layer_and_model():
    model = MLP(2, [16, 16, 1])
    assert model.layers[0].neurons[0].count_parameters() == 3
    assert [layer.count_parameters() for layer in model.layers] == [48, 272, 17]
    assert model.count_parameters() == len(model.parameters()) == 337
    lines = model.summary().splitlines()
    assert lines[-1].split()[:2] == ["total", "337"]
    assert lines[0].split()[:2] == ["layers.0", "48"]


class Tied(Module):
    def __init__(self):
        self.table = Embedding(4, 3)
        self.again = self.table
        self.scale = Value(2.0)
        self.drop = Dropout(0.5)
        self.ragged = [[Value(1.0)], [Value(2.0), Value(3.0)]]


def test_parameters_are_found_once_wherever_they_are():
    model = Tied()
    assert model.count_parameters() == 12 + 1 + 3
    assert [name for name, _ in model.named_parameters()] == [
        "table.weight",
        "again.weight",
        "scale",
        "ragged.0",
        "ragged.1",
    ]


def test_train_and_eval_reach_every_module():
    model = Tied()
    ones = [Value(1.0)] * 1000
    kept = [v.data for v in model.drop(ones)]
    assert set(kept) == {0.0, 2.0}
    assert 400 < kept.count(0.0) < 600
    assert model.eval() is model
    assert [v.data for v in model.drop(ones)] == [1.0] * 1000
    assert not model.table.training
    assert model.train().drop.training


def test_zero_grad():
    model = MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert not any(p.grad for p in model.parameters())


def test_an_embedding_gives_its_row_and_refuses_others():
    table = Embedding(5, 2, rng=random.Random(0))
    (table(3)[0] * table(3)[1]).backward()
    assert table.weight[3][0].grad == table.weight[3][1].data
    assert table.rows([0, 3])[1] is table.weight[3]
    with pytest.raises(ShapeError, match="token 5 is outside the embedding's rows 0 to 4"):
        table(5)
    with pytest.raises(ShapeError):
        table(-1)
    with pytest.raises(ValueTypeError, match="integer"):
        table(1.0)


def test_modules_pickle():
    model = MLP(2, [3, 1], activation="tanh")
    twin = pickle.loads(pickle.dumps(model))
    assert twin([0.5, 1.0]).data == model([0.5, 1.0]).data


@pytest.mark.parametrize(("x", "target"), [(40.0, 1.0), (800.0, 1.0), (-800.0, 0.0), (0.3, 1.0), (-2.0, 0.0)])
def test_binary_cross_entropy_of_a_saturated_sigmoid_has_a_gradient(x, target):
    value = Value(x)
    loss = binary_cross_entropy(value.sigmoid(), target)
    loss.backward()
    p = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.binary_cross_entropy(torch.sigmoid(p), torch.tensor(target, dtype=torch.float64))
    expected.backward()
    assert loss.data == pytest.approx(float(expected.detach()), rel=1e-12)
    assert value.grad == pytest.approx(float(p.grad), rel=1e-9)
