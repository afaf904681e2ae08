"""The softmax family at logits of any size: eager, in programs, in machine code, against PyTorch."""

import math
import random

import numpy as np
import pytest
import torch

from spellout import MLP, Trainer, Value, grad, hessian, record
from spellout.autograd.functions import largest, log_softmax, logsumexp, softmax
from spellout.nn.losses import cross_entropy, negative_log_likelihood
from spellout.programs.lanes import Lanes
from spellout.programs.machine.machine_code import MachineCode
from spellout.programs.optimizers import SGD

inf, nan = math.inf, math.nan
LOGITS = [
    [1e17, 1e17],
    [1e17, 1e17 - 16.0, 1e17 - 32.0],
    [0.0, 1000.0],
    [-1e4, -1e4 - 1.0],
    [0.1, 0.2, -0.3, 0.4],
    [5.0],
    [-inf, 0.0],
    [-inf, 1.0, -inf, 2.0],
    [-3e15, 7.0, 3e15, 3e15],
]
LARGEST = [[1e308] * 4, [-1e308] * 3, [-1e308, 1e308], [1.7e308, 1.7e308, -1.7e308]]
UNKNOWN = [[nan, 0.0], [0.0, nan, 1.0], [inf, 0.0], [inf, inf], [-inf, -inf], [nan, inf]]
LOGITS_32 = [[1e17, 1e17], [3e38] * 4, [-3e38, 3e38], [0.0, 100.0], [-inf, 0.0], [0.1, 0.2, -0.3], [1e9, 1e9 - 64]]


def same(ours, theirs, tolerance=1e-14):
    np.testing.assert_allclose(
        ours, theirs, rtol=tolerance, atol=tolerance
    )  # infinities and nan at the same places


def by_torch(logits, chosen, dtype=torch.float64):
    """The logarithms (C,), and the gradient (C,) of the chosen one."""
    tensor = torch.tensor(logits, dtype=dtype, requires_grad=True)
    logs = torch.log_softmax(tensor, 0)
    logs[chosen].backward()
    return logs.tolist(), tensor.grad.tolist()


def by_lanes(function, logits, dtype=np.float64):
    """The results of a program whose parameters are the logits, and the gradient of the sum of them."""
    values = [Value(x) for x in logits]
    lanes = Lanes(record(lambda x: function(values), 0.0, parameters=values), dtype)
    lanes.read_values()
    results, gradient = lanes.backward(*lanes.arrange([0.0, 0.0]), 0.5)
    return results[:, 0].tolist(), gradient.tolist()


def by_machine_code(function, logits, dtype=np.float64):
    values = [Value(x) for x in logits]
    lanes = Lanes(record(lambda x: function(values), 0.0, parameters=values), dtype)
    lanes.read_values()
    code = MachineCode(lanes.program, lanes.weights)
    code.load(*lanes.arrange([0.0, 0.0]))
    gradient = code.run(0.5)[1].tolist()
    return code.results[:, 0].tolist(), gradient


def eagerly(function, logits):
    values = [Value(x) for x in logits]
    result = function(values)
    result.backward()
    return [result.data], [value.grad for value in values]


@pytest.mark.parametrize("engine", [eagerly, by_lanes, by_machine_code])
@pytest.mark.parametrize("logits", [*LOGITS, *LARGEST, *UNKNOWN], ids=str)
def test_every_engine_says_what_pytorch_says(logits, engine):
    for chosen in range(len(logits)):
        logs, gradient = by_torch(logits, chosen)
        for ours in (
            lambda values, k=chosen: log_softmax(values)[k],
            lambda values, k=chosen: -cross_entropy(values, k),
            lambda values, k=chosen: -negative_log_likelihood(log_softmax(values), k),
        ):
            (value,), slopes = engine(ours, logits)
            same(value, logs[chosen])
            if not math.isnan(value):
                same(slopes, gradient)


@pytest.mark.parametrize("engine", [by_lanes, by_machine_code])
@pytest.mark.parametrize("logits", LOGITS_32, ids=str)
def test_programs_in_float32_too(logits, engine):
    logits = np.array(logits, np.float32).tolist()
    for chosen in range(len(logits)):
        logs, gradient = by_torch(logits, chosen, torch.float32)
        for ours in (lambda x, k=chosen: log_softmax(x)[k], lambda x, k=chosen: -cross_entropy(x, k)):
            (value,), slopes = engine(ours, logits, np.float32)
            same(value, logs[chosen], 1e-6)
            same(slopes, gradient, 1e-6)


@pytest.mark.parametrize("logits", [*LOGITS, *LARGEST], ids=str)
def test_chances_sum_to_one(logits):
    wanted = torch.softmax(torch.tensor(logits, dtype=torch.float64), 0).tolist()
    chances, _ = by_lanes(softmax, logits)
    same(chances, wanted)
    same([chance.data for chance in softmax(logits)], wanted)
    assert sum(chances) == pytest.approx(1.0, abs=1e-15)
    program = record(softmax, [0.0] * len(logits))
    same(program([logits]), [wanted])  # -inf among the inputs is no error, as the result is finite


def test_the_numbers_of_the_issue():
    assert [v.data for v in softmax([1e17, 1e17])] == [0.5, 0.5]
    assert record(softmax, [0.0, 0.0])([[1e17, 1e17]]).tolist() == [[0.5, 0.5]]
    assert record(log_softmax, [0.0] * 4)([[1e308] * 4]).tolist() == [[-math.log(4.0)] * 4]
    loss = record(cross_entropy, [0.0] * 4, 0)
    assert loss([[1e308] * 4, [1e17] * 4], [0, 3]).tolist() == [math.log(4.0)] * 2
    assert cross_entropy([1e308] * 4, 2).data == math.log(4.0)
    assert loss([[0.0, 1000.0, 0.0, 0.0]], [0]).tolist() == [1000.0]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_network_that_diverged_does_not_report_a_loss_of_nothing(compiled):
    model = MLP(2, [4, 5], rng=random.Random(1))
    for p in model.layers[1].parameters():
        p.data = 1e17 if p in [neuron.b for neuron in model.layers[1].neurons] else 0.0
    trainer = Trainer(
        record(lambda x, t: cross_entropy(model(x), t), [0.0, 0.0], 0), SGD(lr=0.0), compiled=compiled
    )
    assert trainer.compiled == compiled
    assert trainer.step(np.ones((3, 2)), [0, 1, 2]) == pytest.approx(math.log(5.0), rel=1e-15)


def test_the_gradient_of_the_logarithm_of_a_sum_is_the_softmax():
    for logits in [*LOGITS, *LARGEST]:
        wanted = torch.softmax(torch.tensor(logits, dtype=torch.float64), 0).tolist()
        for engine in (eagerly, by_lanes, by_machine_code):
            same(engine(logsumexp, logits)[1], wanted)


def test_second_derivatives_at_large_logits():
    """d² logsumexp = diag(p) - p pᵀ, whatever is added to all logits."""
    for shift in (0.0, 1e17):
        values = [Value(shift), Value(shift), Value(shift - 64.0)]
        p = np.array([0.5, 0.5, 0.5 * math.exp(-64.0)])
        wanted = np.diag(p) - np.outer(p, p)
        same([[v.data for v in row] for row in hessian(logsumexp(values), values)], wanted)
        same([[v.data for v in row] for row in hessian(log_softmax(values)[0], values)], -wanted)
    program = record(lambda x: grad(log_softmax(x)[0], x, create_graph=True), [0.0, 0.0])
    same(program([[1e17, 1e17], [-1e308, 1e308]]), [[0.5, -0.5], [1.0, -1.0]])


def test_those_that_tie_for_the_largest_share_its_gradient():
    values = [Value(x) for x in (2.0, 1.0, 2.0)]
    largest(values).backward()
    assert [v.grad for v in values] == [0.5, 0.0, 0.5]
    same(by_lanes(largest, [2.0, 1.0, 2.0, 2.0])[1], [1 / 3, 0.0, 1 / 3, 1 / 3])
    same(by_machine_code(largest, [2.0, 1.0, 2.0, 2.0])[1], [1 / 3, 0.0, 1 / 3, 1 / 3])
    assert record(lambda x: largest(x), [0.0] * 3)([[1.0, 5.0, -2.0]]).tolist() == [5.0]
