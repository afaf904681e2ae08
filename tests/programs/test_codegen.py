"""Machine code of a program: equal to the eager engine, in every lane, at the edges, and within its memory.

The eager engine is compared with PyTorch in tests/autograd.
"""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout import MLP, Value, operation, record
from spellout.autograd.functions import dot, log_softmax, logsumexp, mean, pick, where
from spellout.autograd.functions import sum as sum_of
from spellout.autograd.ops import BUILT_IN, TABLE
from spellout.errors import InterpretedWarning, NotFiniteError, ShapeError, ValueTypeError
from spellout.nn.embedding import Embedding
from spellout.nn.losses import cross_entropy, l2_penalty
from spellout.programs.lanes import Lanes
from spellout.programs.machine.codegen import gradient_code
from spellout.programs.machine.machine_code import MOST_PARAMETERS, MOST_WORK, MachineCode, eligible, work_of
from spellout.programs.optimizers import SGD, AdamW
from spellout.programs.trainer import Trainer

inf, nan = math.inf, math.nan
VARIADIC = ["sum", "mean", "largest", "logsumexp", "log_softmax", "dot"]
EDGES = [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 1e-9, 0.5, -0.6, 3.0, -30.0, 88.0, -104.0]
LARGE = [700.0, -700.0, 710.0, -745.0, 1e300, -1e300, 1e-300, 5e-324]
FEW = [0.0, -0.0, inf, -inf, nan, 1.0, 0.5, -2.0, 3.0]


@pytest.fixture(autouse=True)
def _seeded():
    random.seed(3)  # for the models' weights


def points(op):
    """Arguments of one arity at a time: edges and random numbers."""
    rng = np.random.default_rng(sum(map(ord, op.name)))
    if op.arity is None:
        odd = [(1.0, inf, 2.0), (1.0, -inf, 2.0), (nan, 1.0, 2.0), (80.0, 81.0, 79.5), (0.3, 0.2, 0.1)]
        groups = [odd, rng.normal(0, 2, (11, 6)).tolist(), rng.normal(0, 2, (9, 13)).tolist()]
        return [[(row[-1], *row) if op.name == "log_softmax" else tuple(row) for row in group] for group in groups]
    drawn = [tuple(row) for row in rng.normal(0, 2, (19, op.arity)).tolist()]
    if op.arity == 1:
        return [[(x,) for x in EDGES + LARGE] + drawn]
    if op.arity == 2:
        return [[(a, b) for a in FEW for b in FEW] + drawn]
    return [[(x, *ab) for x in EDGES for ab in [(1.0, 2.0), (inf, nan), (-inf, 1.0)]] + drawn]


def machine_code(function, *example, parameters, dtype=np.float64, width=None):
    lanes = Lanes(record(function, *example, parameters=parameters), dtype)
    lanes.read_values()
    return lanes, MachineCode(lanes.program, lanes.weights, width)


def close(ours, theirs, relative, absolute):
    if math.isfinite(theirs) and math.isfinite(ours):
        return abs(ours - theirs) <= relative * abs(theirs) + absolute
    return ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def rounded(numbers, dtype):
    with np.errstate(over="ignore"):
        return np.array(numbers, np.float64).astype(dtype).tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_an_operation_equals_its_row(name, dtype):
    op = TABLE[name]
    bits, tiny = np.finfo(dtype).eps, 4 * np.finfo(dtype).tiny
    for rows in points(op):
        rows = [rounded(row, dtype) for row in rows]
        table = [[Value(x) for x in row] for row in rows]
        every = [value for row in table for value in row]
        lanes, code = machine_code(lambda i: op(*pick(table, i)), 0, parameters=every, dtype=dtype)  # noqa: B023
        code.load(*lanes.arrange(np.arange(len(rows))))
        gradients = code.run(1.0)[1].reshape(len(rows), -1)
        for numbers, value, gradient in zip(rows, code.results[0].tolist(), gradients.tolist(), strict=True):
            out = op.forward(*numbers)
            wanted = rounded([out, *[p or 0.0 for p in op.partials(out, *numbers)]], dtype)
            near = 40 * bits if op.arity is None or op.name == "gelu" else 8 * bits if dtype == np.float32 else 0.0
            assert close(value, wanted[0], 8 * bits, tiny + near), (numbers, value, wanted)
            if op.name == "log_softmax" and math.isnan(wanted[0]):
                continue  # the gradient is computed from it
            for ours, theirs in zip(gradient, wanted[1:], strict=True):
                assert close(ours, theirs, 16 * bits, 8 * bits), (numbers, gradient, wanted)


# Whole programs ------------------------------------------------------------------------------------------------


def eager(function, parameters, examples):
    """Values (N,), and the gradient (P,) of their mean."""
    values, gradient = [], np.zeros(len(parameters))
    for example in zip(*examples, strict=True):
        for p in parameters:
            p.grad = 0.0
        root = function(*[x.tolist() for x in example])
        root.backward()
        values.append(root.data)
        gradient += [p.grad for p in parameters]
    return np.array(values), gradient / len(values)


def compare(function, parameters, examples, dtype=np.float64, width=None):
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    lanes, code = machine_code(
        function, *[x[0].tolist() for x in examples], parameters=parameters, dtype=dtype, width=width
    )
    code.load(*lanes.arrange(*examples))
    count = len(examples[0])
    total, gradient = code.run(1.0 / count)
    values, wanted = eager(function, parameters, examples)
    scale = max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(code.results[0], values, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(total / count, values.mean(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient, wanted, rtol=tolerance, atol=tolerance * scale)
    again = gradient.copy()
    assert code.run(1.0 / count)[0] == total
    assert np.array_equal(gradient, again)


def moons(count):
    rng = np.random.default_rng(count)
    return rng.normal(size=(count, 2)), np.where(rng.random(count) < 0.5, -1.0, 1.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_micrograds_demo_for_any_number_of_examples(dtype):
    model = MLP(2, [5, 4, 1])
    parameters = model.parameters()

    def loss(x, y):
        return (1 - y * model(x)).relu() + 1e-4 * sum_of([p * p for p in parameters])

    lanes, code = machine_code(loss, [0.0, 0.0], 0.0, parameters=parameters, dtype=dtype)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for count in range(1, 41):
        X, y = moons(count)
        code.load(*lanes.arrange(X, y))
        total, gradient = code.run(1.0 / count)
        values, wanted = eager(loss, parameters, (X, y))
        np.testing.assert_allclose(code.results[0], values, rtol=tolerance, atol=tolerance)
        assert abs(total / count - values.mean()) <= tolerance * max(1.0, values.mean())
        np.testing.assert_allclose(gradient, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("count", [1, 7, 16, 21])
def test_any_width_gives_the_same(width, count):
    model = MLP(2, [4, 1], activation="tanh")
    compare(lambda x, y: (model(x) - y) ** 2, model.parameters(), moons(count), width=width)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("count", [3, 8, 19])
def test_letters_picked_from_tables(count, dtype):
    embedding, model = Embedding(5, 3), MLP(6, [4, 5], activation="tanh")
    parameters = [*embedding.parameters(), *model.parameters()]
    rng = np.random.default_rng(count)
    examples = rng.integers(0, 5, (count, 2)), rng.integers(0, 5, count)

    def loss(letters, target):
        return cross_entropy(model([v for letter in letters for v in embedding(letter)]), target)

    compare(loss, parameters, examples, dtype)


def test_a_choice_among_what_was_computed():
    a, b = Value(0.3), Value(-0.7)

    def function(x, i):
        return pick([a * x, b + x, x * x * b, a], i) * pick([a, b], 1)

    compare(function, [a, b], (np.linspace(-1.0, 1.0, 11), np.arange(11) % 4))


@pytest.mark.usefixtures("_table_restored")
def test_an_operation_of_ones_own():
    P3 = operation("P3", lambda x: (5 * x**3 - 3 * x) / 2, lambda x: (15 * x**2 - 3) / 2)
    between = operation("between", lambda x, y: x * y + y, lambda x, y: (y, x + 1))
    w, v = Value(0.4), Value(1.5)
    compare(lambda x: P3(w * x) * between(v, w + x) + P3(v), [w, v], (np.linspace(-1.0, 1.0, 9),))


def test_what_all_examples_share_is_computed_once_and_differentiated():
    w = [Value(x) for x in np.linspace(-1.0, 1.0, 21).tolist()]

    def function(x):
        shared = l2_penalty(w, 0.1) + logsumexp(w[:5]).tanh() + dot(w[:9], w[9:18], w[18]) + mean(w) * w[0].exp()
        return shared * (x * w[20]).sin() + shared

    compare(function, w, (np.linspace(-2.0, 2.0, 13),))


def test_a_loss_that_is_the_same_for_all_examples():
    w = Value(0.5)
    compare(lambda x: w * w + 0 * x, [w], (np.ones(3),))
    compare(lambda x: w.exp(), [w], (np.ones(11),))


def test_a_parameter_without_influence_has_no_gradient():
    w, v = Value(0.5), Value(0.25)
    lanes, code = machine_code(lambda x: w * x, 1.0, parameters=[v, w])
    code.load(*lanes.arrange(np.arange(5.0)))
    assert code.run(1.0)[1].tolist() == [0.0, 10.0]


UNARY = [
    lambda x: x.tanh(),
    lambda x: x.sigmoid().log(),
    lambda x: x.sin() + x.cos(),
    lambda x: -x.relu(),
    lambda x: abs(x) + 0.5,
    lambda x: (x * x + 1).sqrt(),
    lambda x: x.gelu() - x.silu(),
    lambda x: x.softplus(),
    lambda x: x.tanh().exp() * x.erf(),
    lambda x: x.elu() + x.leaky_relu(0.1),
    lambda x: x.tanh() ** 3,
    lambda x: 2 ** x.tanh(),
    lambda x: where(x, x * 2, x.tanh().expm1()),
]
BINARY = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a.tanh() * b,
    lambda a, b: a / (b * b + 1),
    lambda a, b: (a * a + 1) ** b.tanh(),
    lambda a, b: a.maximum(b) + a.minimum(b * 0.5),
    lambda a, b: mean([a, b, a]),
    lambda a, b: logsumexp([a, b, 1.0]),
    lambda a, b: log_softmax([a, b, 2.0])[1],
    lambda a, b: dot([a.tanh(), b.tanh()], [b, 0.5], a),
    lambda a, b: dot([a.tanh(), 0.5], [b.tanh(), a]) - sum_of([a, b, 1.5]),
]
number = st.floats(-3.0, 3.0).filter(lambda x: x == 0.0 or abs(x) > 1e-3)


@st.composite
def graphs(draw):
    """Numbers of parameters, inputs (N, 2), and steps: an operation and the places of its arguments."""
    parameters = draw(st.lists(number, min_size=1, max_size=3))
    inputs = draw(st.lists(st.tuples(number, number), min_size=1, max_size=11))
    steps = []
    for size in range(len(parameters) + 2, len(parameters) + 2 + draw(st.integers(1, 10))):
        place = st.integers(max(0, size - 5), size - 1)
        operations, arity = draw(st.sampled_from([(UNARY, 1), (BINARY, 2)]))
        steps.append((draw(st.sampled_from(operations)), [draw(place) for _ in range(arity)]))
    return parameters, inputs, steps


@settings(max_examples=60)
@given(graphs())
def test_random_graphs(graph):
    numbers, inputs, steps = graph
    parameters = [Value(x) for x in numbers]

    def function(x):
        nodes = [*parameters, *[Value(number) if isinstance(number, float) else number for number in x]]
        for step, places in steps:
            nodes.append(step(*[nodes[place] for place in places]))
        return nodes[-1] + 0.0 * sum_of(parameters)

    compare(function, parameters, (np.array(inputs),))


# Infinities, memory, and who is eligible -----------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 8, 13])
@pytest.mark.parametrize("odd", [nan, inf, -inf])
def test_an_odd_number_stays_in_its_lane_and_reaches_only_what_depends_on_it(count, odd):
    w, v = Value(0.5), Value(2.0)
    lanes, code = machine_code(lambda x, y: where(y, w * x, v * 3.0), 1.0, 1.0, parameters=[w, v])
    for place in range(count):
        X, y = np.ones(count), np.where(np.arange(count) == place, 1.0, -1.0)
        X[place] = odd
        code.load(*lanes.arrange(X, y))
        total, gradient = code.run(1.0)
        wanted = np.full(count, 6.0)
        wanted[place] = 0.5 * odd
        np.testing.assert_array_equal(code.results[0], wanted)
        np.testing.assert_array_equal(total, wanted.sum())
        np.testing.assert_array_equal(gradient, [odd, 3.0 * (count - 1)])


def test_an_infinite_sum_is_not_made_nan_by_lanes_that_are_computed_twice():
    w = Value(1.0)
    lanes, code = machine_code(lambda x: (w * x).exp(), 1.0, parameters=[w])
    for count in (1, 5, 9, 12):
        code.load(*lanes.arrange(np.full(count, 1000.0)))
        assert code.run(1.0)[0] == inf
        assert code.run(1.0)[1].tolist() == [inf]


@pytest.mark.parametrize("count", [1, 8, 9, 100])
def test_nothing_outside_its_memory_is_written(count):
    model = MLP(2, [3, 1])
    lanes, code = machine_code(
        lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0, parameters=model.parameters()
    )
    X, y = moons(count)
    code.load(*lanes.arrange(X, y))
    names = ("weights", "_shared", "_sums", "_by_lane", "_floats", "_integers", "_results")
    guarded = {}
    for i, name in enumerate(names):
        array = getattr(code, name)
        guarded[name] = np.full(array.size + 64, 7.0).astype(array.dtype)
        inside = guarded[name][32 : 32 + array.size]
        inside[:] = array.ravel()
        code._pointers[i] = inside.ctypes.data
    before = {name: array.copy() for name, array in guarded.items()}
    plain = code.run(0.5)[0]
    for name, array in guarded.items():
        outside = np.r_[0:32, len(array) - 32 : len(array)]
        np.testing.assert_array_equal(array[outside], before[name][outside])
    for name in ("weights", "_floats", "_integers"):
        np.testing.assert_array_equal(guarded[name], before[name])
    assert plain == pytest.approx(
        eager(lambda x, y: (1 - y * model(x)).relu(), model.parameters(), (X, y))[0].sum()
    )


def test_the_same_code_and_numbers_every_time():
    embedding = Embedding(4, 3)

    def loss(i, x):
        return cross_entropy([v * x for v in embedding(i)], i) + l2_penalty(embedding.parameters())

    program = record(loss, 0, 1.0, parameters=embedding.parameters())
    assert gradient_code(program, 64, 8) == gradient_code(program, 64, 8)
    found = []
    for _ in range(2):
        lanes = Lanes(program)
        lanes.read_values()
        code = MachineCode(program, lanes.weights)
        code.load(*lanes.arrange(np.arange(29) % 3, np.linspace(-3.0, 3.0, 29)))
        found.append((code.run(0.1)[0], code.run(0.1)[1].tolist()))
    assert found[0] == found[1]


def test_what_is_too_large_is_not_eligible():
    small = MLP(2, [8, 1])
    assert eligible(record(small, [0.0, 0.0]))
    wide = MLP(4, [64, 64, 1])
    program = record(wide, [0.0] * 4)
    assert work_of(program) > MOST_WORK
    assert not eligible(program)
    many = [Value(0.0) for _ in range(MOST_PARAMETERS + 1)]
    assert not eligible(record(lambda i: pick(many, i) * 2, 0))


# The trainer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", [SGD(lr=0.05, momentum=0.5), AdamW(lr=0.01)])
def test_training_takes_the_same_steps(optimizer, dtype):
    model = MLP(2, [6, 1], activation="tanh")
    program = record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0)
    plain, compiled = [Trainer(program, optimizer, dtype, compiled=compiled) for compiled in (False, True)]
    assert compiled.compiled
    assert not plain.compiled
    tolerance = 1e-10 if dtype == np.float64 else 1e-3
    for step in range(30):
        X, y = moons((20, 20, 7)[step % 3])
        assert compiled.step(X, y) == pytest.approx(plain.step(X, y), rel=tolerance)
    np.testing.assert_allclose(compiled.weights, plain.weights, rtol=tolerance, atol=tolerance)


def test_a_large_program_is_interpreted_and_says_why_with_the_numbers():
    model = MLP(4, [64, 64, 1])
    program = record(model, [0.0] * 4)
    why = f"it would be about {work_of(program):,} vector instructions, and at most 12,000 are compiled"
    with pytest.warns(InterpretedWarning, match=f"the program is interpreted: {why}") as caught:
        trainer = Trainer(program, SGD(lr=0.1), compiled=True)
    assert caught[0].filename == __file__
    assert not trainer.compiled
    assert trainer.obstacle == why
    assert math.isfinite(trainer.step(np.ones((3, 4))))
    plain = Trainer(program, SGD(lr=0.1))  # who did not ask is told nothing
    assert (plain.compiled, plain.obstacle) == (False, "")


def test_too_many_parameters_are_counted():
    many = [Value(0.0) for _ in range(MOST_PARAMETERS + 1)]
    with pytest.warns(
        InterpretedWarning, match=r"it has 4,097 parameters, and machine code is made for at most 4,096"
    ):
        Trainer(record(lambda i: pick(many, i) * 2, 0), SGD(lr=0.1), compiled=True)


def test_integers_too_large_for_a_float_are_refused_at_every_step():
    w = Value(1.0)
    trainer = Trainer(record(lambda x: w * x, 1.0), SGD(lr=0.0), np.float32, compiled=True)
    assert trainer.step(np.array([1.0, 2.0, 3.0])) == 2.0
    assert trainer.step(np.array([1, 2, 2**24])) == pytest.approx(2**24 / 3 + 1)
    with pytest.raises(
        ValueTypeError, match=r"argument 1 holds the integer 16,777,217, and float32 has integers up"
    ):
        trainer.step(np.array([1, 2, 2**24 + 1]))


def test_arrays_that_do_not_fit_are_refused_after_any_that_did():
    model = MLP(2, [3, 1])
    trainer = Trainer(record(lambda x, y: (model(x) - y) ** 2, [0.0, 0.0], 0.0), SGD(lr=0.01), compiled=True)
    X, y = moons(9)
    first = trainer.step(X, y)
    with pytest.raises(ShapeError, match="takes 2 arguments"):
        trainer.step(X)
    with pytest.raises(ShapeError, match=r"shape \(N, 2\)"):
        trainer.step(X[:, :1], y)
    with pytest.raises(ShapeError, match="as many examples"):
        trainer.step(X[:8], y)
    assert trainer.step(X.tolist(), y.tolist()) < first
    assert trainer.step(np.asfortranarray(X), y[::-1][::-1]) < first


def test_integers_outside_a_table_are_refused_at_every_step():
    table = [[Value(0.1), Value(0.2)] for _ in range(3)]
    trainer = Trainer(record(lambda i: sum_of(pick(table, i)) ** 2, 0), SGD(lr=0.1), compiled=True)
    trainer.step(np.array([0, 1, 2]))
    before = trainer.weights.copy()
    for wrong in ([0, 1, 3], [-1, 0, 1], [0, 1 << 40, 0], [-1] * 3):
        for dtype in (np.int64, np.uint64):
            with pytest.raises(ShapeError, match="from 0 to 2"):
                trainer.step(np.array(wrong).astype(dtype))
    with pytest.raises(ShapeError, match="integers"):
        trainer.step(np.array([0.0, 1.0, 2.0]))
    assert np.array_equal(trainer.weights, before)
    trainer.step(np.array([2, 1, 0], np.uint8))
    assert not np.array_equal(trainer.weights, before)


def test_an_integer_chooses_within_the_smallest_of_its_tables():
    a, b = [Value(x) for x in (0.1, 0.2, 0.3)], [Value(x) for x in (1.0, 2.0)]
    trainer = Trainer(
        record(lambda i, x: pick(a, i) * pick([x, b[0] * x], i) * b[1], 0, 1.0), SGD(lr=0.1), compiled=True
    )
    X = np.arange(11.0)
    trainer.step(np.arange(11) % 2, X)
    for place in range(11):
        with pytest.raises(ShapeError, match="from 0 to 1"):
            trainer.step(np.where(np.arange(11) == place, 2, 0), X)


def test_a_loss_that_is_not_finite_moves_nothing_and_is_explained():
    w = Value(1.0, label="w")
    trainer = Trainer(record(lambda x: (w * x).log(), 1.0), SGD(lr=0.1), compiled=True)
    before = trainer.weights.copy()
    with pytest.raises(NotFiniteError, match=r"example 1 makes .*log"):
        trainer.step(np.array([1.0, 0.0, 2.0]))
    assert np.array_equal(trainer.weights, before)
