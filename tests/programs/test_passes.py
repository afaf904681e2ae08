"""Rewrites: each alone keeps results and does what it says; a broken program is refused."""

import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spellout import MLP, Value, pick, record
from spellout.autograd.functions import dot
from spellout.autograd.functions import sum as sum_of
from spellout.programs.kernels.interpreter import LAYER
from spellout.programs.lanes import Lanes
from spellout.programs.passes import PASSES, drop_unused, fold_constants, share_subexpressions
from spellout.programs.program import Argument, Instruction, verify


def ops_of(program):
    return [i.op for i in program.instructions if i.op not in ("parameter", "constant", "input")]


def plain(model, x):
    """A network written as micrograd writes it: a product and a sum at a time."""
    for layer in model.layers:
        sums = [sum((w * v for w, v in zip(n.w, x, strict=True)), n.b) for n in layer.neurons]
        x = [total.relu() if n.nonlin else total for total, n in zip(sums, layer.neurons, strict=True)]
    return x[0]


@pytest.fixture
def busy():
    """A function with something for every pass, its parameters, and examples."""
    rng = random.Random(3)
    table = [[Value(rng.gauss(0, 1)) for _ in range(3)] for _ in range(4)]
    w = [Value(rng.gauss(0, 1)) for _ in range(3)]

    def function(x, i):
        a, b, c = pick(table, i)
        unused = (a * b).exp()
        scale = Value(2.0) * 3.0 + 1.0
        shared = (x[0] * a).tanh() + (a * x[0]).tanh()
        long = b * w[1] + (c * w[2] - x[1] * w[0]) + (w[0] - 0.0) * 1.0
        assert unused.op.name == "exp"
        return shared * scale + long**2 + long / 1.0 + (x[1] ** 1.0) * pick(w, i)

    generator = np.random.default_rng(0)
    return function, (generator.normal(size=(20, 2)), generator.integers(0, 3, 20))


@pytest.mark.parametrize("passes", [*[(p,) for p in dict.fromkeys(PASSES)], PASSES, PASSES[::-1], PASSES * 2])
def test_results_stay(busy, passes):
    function, examples = busy
    before = record(function, [0.0, 0.0], 0, passes=())
    after = record(function, [0.0, 0.0], 0, passes=passes)
    np.testing.assert_allclose(after(*examples), before(*examples), rtol=1e-14)
    (loss, gradient), (wanted, expected) = after.gradient(*examples), before.gradient(*examples)
    assert loss == pytest.approx(wanted, rel=1e-14)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-14)
    assert len(after.instructions) <= len(before.instructions) + 3
    assert after.parameters == before.parameters


def test_constants_are_folded_and_what_changes_nothing_is_gone():
    w = Value(0.5)

    def function(x):
        return (Value(2.0).exp() * 3.0 + 1.0) * x + 1.0 * (x * 1.0 / 1.0) ** 1.0 + x**2 + w**3

    before = record(function, 1.0, passes=())
    after = record(function, 1.0, passes=(fold_constants,))
    assert Counter(ops_of(before)) == {"mul": 4, "add": 4, "pow": 3, "exp": 1, "div": 1}
    assert Counter(ops_of(after)) == {"mul": 2, "add": 3, "pow": 1}
    assert [i.data for i in after.instructions if i.op == "constant"].count(math.exp(2.0) * 3.0 + 1.0) == 1


def test_what_only_looks_neutral_is_kept():
    # x + 0 would turn -0 into 0, 0 · inf is nan, x - x is nan for inf
    program = record(lambda x: [x + 0.0, x * 0.0, x - x, x / x, 1.0 / x, x**0.5], 1.0, passes=(fold_constants,))
    assert ops_of(program) == ["add", "mul", "sub", "div", "div", "pow"]
    lanes = Lanes(program)
    results = lanes.forward(*lanes.arrange([math.inf, -0.0]))
    assert np.isnan(results[1:4, 0]).all()
    assert math.copysign(1.0, results[0, 1]) == 1.0


def test_the_same_thing_is_computed_once():
    w = [Value(0.5), Value(0.25)]

    def function(x, i):
        first = (x * w[0] + 1.0).tanh() + pick(w, i)
        again = (1.0 + w[0] * x).tanh() - pick(w, i)
        return first * again

    before, after = [record(function, 1.0, 0, passes=p) for p in [(), (share_subexpressions, drop_unused)]]
    assert before.computed == 11
    assert ops_of(after) == ["mul", "add", "tanh", "pick", "add", "sub", "mul"]


def test_order_is_kept_where_it_matters():
    # of two equal numbers maximum takes the first, and 0 equals -0
    program = record(lambda x, y: [x.maximum(y), y.maximum(x), x - y, y - x], 1.0, 2.0)
    assert program.computed == 4
    constants = record(lambda x: [x * 0.0, x * -0.0, x * math.nan, x * math.nan], 1.0)
    assert constants.computed == 3


def test_what_nobody_uses_is_dropped():
    def function(x):
        unused = x
        for _ in range(50):
            unused = unused * 1.5 + 1.0
        return x * 2.0

    program = record(function, 1.0, passes=(drop_unused,))
    assert [i.op for i in program.instructions] == ["input", "constant", "mul"]


W, V = [Value(0.1 * i - 0.2) for i in range(4)], Value(0.3)
ORDERS = {
    "left to right": lambda x: W[0] * x[0] + W[1] * x[1] + W[2] * x[2] + W[3] * x[3] + V,
    "right to left": lambda x: V + (x[3] * W[3] + (x[2] * W[2] + (W[1] * x[1] + W[0] * x[0]))),
    "in pairs": lambda x: (x[0] * W[0] + W[1] * x[1]) + (V + (W[2] * x[2] + W[3] * x[3])),
    "bias first": lambda x: sum((w * v for w, v in zip(W, x, strict=True)), V),
    "from 0": lambda x: sum(w * v for w, v in zip(W, x, strict=True)) + V,
    "spellout's sum": lambda x: sum_of([w * v for w, v in zip(x, W, strict=True)]) + V,
    "spellout's dot": lambda x: dot(W, x, V),
    "two dots": lambda x: dot(W[:2], x[:2], V) + dot(x[2:], W[2:]),
    "minus minus": lambda x: W[0] * x[0] + V - (W[1] * -x[1] - W[2] * x[2]) + W[3] * x[3],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_sum_of_products_in_any_order_becomes_one_dot(order):
    program = record(ORDERS[order], [0.0] * 4)
    assert [op for op in ops_of(program) if op != "neg"] == ["dot"]
    x = np.random.default_rng(1).normal(size=(9, 4))
    np.testing.assert_allclose(program(x), x @ [w.data for w in W] + V.data, rtol=1e-13)


def test_a_sum_that_is_used_twice_is_made_once():
    def function(x):
        inner = W[0] * x[0] + W[1] * x[1]
        return inner + W[2] * x[2] + inner * inner

    assert Counter(ops_of(record(function, [0.0] * 3)))["dot"] == 2


def test_what_varies_is_added_to_a_layer_and_not_swallowed_by_it():
    # else every neuron would have inputs of its own, and no product of matrices would be left
    rows = [[Value(0.1 * i - 0.3 * j) for i in range(5)] for j in range(5)]
    x, y = np.random.default_rng(2).normal(size=(2, 8, 5))

    def residual(x):
        return [v + dot(row, x, V) for v, row in zip(x, rows, strict=True)]

    def target(x, y):
        return [dot(row, x, V) - t for row, t in zip(rows, y, strict=True)]

    weights = np.array([[w.data for w in row] for row in rows])
    program, other = record(residual, [0.0] * 5), record(target, [0.0] * 5, [0.0] * 5)
    np.testing.assert_allclose(program(x), x @ weights.T + V.data + x, rtol=1e-13)
    np.testing.assert_allclose(other(x, y), x @ weights.T + V.data - y, rtol=1e-13, atol=1e-13)
    for split in (program, other):
        codes = Lanes(split).lowered.lanes.code
        assert [row[:2].tolist() for row in codes if row[0] == LAYER] == [[LAYER, 5]]


def test_micrograds_demo_becomes_as_short_as_with_dots():
    model = MLP(2, [16, 16, 1])
    spelled = record(lambda x, y: (1 + -y * plain(model, x)).relu(), [0.0, 0.0], 0.0)
    unfused = record(
        lambda x, y: (1 + -y * plain(model, x)).relu(), [0.0, 0.0], 0.0, passes=(share_subexpressions, drop_unused)
    )
    dotted = record(lambda x, y: (1 + -y * model(x)).relu(), [0.0, 0.0], 0.0)
    assert unfused.computed > 600
    assert spelled.computed == dotted.computed == 69
    assert (
        Counter(ops_of(spelled)) == Counter(ops_of(dotted)) == {"dot": 33, "relu": 33, "neg": 1, "mul": 1, "add": 1}
    )
    codes = [Lanes(program).lowered.lanes.code for program in (spelled, dotted)]
    assert codes[0][:, :2].tolist() == codes[1][:, :2].tolist()


# The verifier

INPUT, MUL = Instruction("input", (), 0), Instruction("mul", (0, 1))
GOOD = replace(
    record(lambda x: x * V, 1.0),
    instructions=(INPUT, Instruction("parameter", (), 0), MUL),
    outputs=(2,),
    tables=(((0,),),),
    arguments=(Argument("float", (), 0, 1), Argument("integer", (), 0, 1)),
)


def test_a_good_program_passes():
    assert verify(GOOD) is GOOD


@pytest.mark.parametrize(
    ("place", "instruction"),
    [
        (0, Instruction("add", (1, 1))),  # before its arguments
        (2, Instruction("mul", (2, 1))),  # of itself
        (2, Instruction("mul", (-1, 1))),
        (2, Instruction("mul", (0,))),
        (2, Instruction("mul", (0, 1), 3.0)),
        (2, Instruction("sum", ())),
        (2, Instruction("nonsense", (0,))),
        (1, Instruction("parameter", (), 1)),
        (1, Instruction("parameter", (0,), 0)),
        (1, Instruction("constant", (), 1)),
        (1, Instruction("constant", (0,), 1.0)),
        (0, Instruction("input", (), 1)),
        (1, Instruction("pick", (), (0, 1, 0))),
        (1, Instruction("pick", (), (1, 0, 0))),
        (1, Instruction("pick", (), (0, 0, 1))),
        (1, Instruction("select", (), 0)),
        (1, Instruction("select", (0,), 1)),
        (2, Instruction("own", (0, 1), "f")),
        (2, Instruction("own", (0,), None)),
    ],
)
def test_a_broken_instruction_is_refused(place, instruction):
    instructions = [*GOOD.instructions]
    instructions[place] = instruction
    with pytest.raises(AssertionError, match=rf"^{place}: "):
        verify(replace(GOOD, instructions=tuple(instructions)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": (3,)}, "output 3"),
        ({"outputs": (-1,)}, "output -1"),
        ({"tables": (((0,), (0, 0)),)}, "a table's row"),
        ({"tables": (((1,),),)}, "a table's row"),
    ],
)
def test_broken_outputs_and_tables_are_refused(change, message):
    with pytest.raises(AssertionError, match=message):
        verify(replace(GOOD, **change))


def test_every_pass_is_verified():
    def broken(program):
        return replace(program, outputs=(99,))

    with pytest.raises(AssertionError, match="output 99"):
        record(lambda x: x * V, 1.0, passes=(broken,))
