"""Running a program over many: any number of examples and threads, shapes, reading and writing Values, errors."""

import os
import random

import numpy as np
import pytest

from spellout import MLP, Value, pick, record
from spellout.errors import GraphError, ShapeError
from spellout.nn import Embedding
from spellout.nn.losses import cross_entropy
from spellout.programs.lanes import Lanes, threads_available


def letters_loss(context=3, letters=5, width=4):
    """A small character model's loss: embeddings, a hidden layer, softmax."""
    rng = random.Random(1)
    table, net = Embedding(letters, width, rng), MLP(context * width, [24, letters], activation="tanh", rng=rng)

    def loss(tokens, target):
        inputs = [number for token in tokens for number in table(token)]
        return cross_entropy(net(inputs), target)

    return record(loss, [0] * context, 0)


def letters_batch(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, (count, 3)), rng.integers(0, 5, count)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_results_are_identical_from_run_to_run_and_for_any_number_of_threads(dtype):
    program = letters_loss()
    tokens, targets = letters_batch(200_001)
    runs = []
    for threads in (1, 2, 4, 1):
        lanes = Lanes(program, dtype, threads)
        examples = lanes.arrange(tokens, targets)
        assert lanes._chunks(len(targets)) > 3  # there is something to share
        lanes.read_values()
        for _ in range(2):
            losses, gradient = lanes.backward(*examples, 1.0 / len(targets))
            runs.append((losses.tobytes(), gradient.tobytes()))
    assert len(set(runs)) == 1
    assert len(lanes.run(tokens, targets)) == len(targets)


def test_chunks_add_up_to_the_whole():
    program = letters_loss()
    tokens, targets = letters_batch(100_000)
    lanes = Lanes(program)
    assert lanes._chunks(len(targets)) > 1
    mean, gradient = program.gradient(tokens, targets)
    parts = [program.gradient(tokens[i : i + 1000], targets[i : i + 1000]) for i in range(0, 100_000, 1000)]
    assert mean == pytest.approx(np.mean([part[0] for part in parts]), rel=1e-12)
    np.testing.assert_allclose(gradient, np.mean([part[1] for part in parts], axis=0), rtol=1e-10, atol=1e-14)


def test_any_number_of_examples_around_the_size_of_a_block():
    program = letters_loss()
    block = Lanes(program).block
    tokens, targets = letters_batch(2 * block + 2)
    every = program(tokens, targets)
    per_example = np.array(
        [program.gradient(tokens[i : i + 1], targets[i : i + 1])[1] for i in range(len(targets))]
    )
    for count in (1, 2, 15, 16, 17, block - 1, block, block + 1, 2 * block, 2 * block + 1):
        assert program(tokens[:count], targets[:count]).tolist() == every[:count].tolist()
        mean, gradient = program.gradient(tokens[:count], targets[:count])
        assert mean == pytest.approx(every[:count].mean(), rel=1e-14)
        np.testing.assert_allclose(gradient, per_example[:count].mean(0), rtol=1e-11, atol=1e-15)


def test_forward_does_not_disturb_backward():
    program = letters_loss()
    batch = letters_batch(50)
    first = program.gradient(*batch)[1]
    program(*letters_batch(300, seed=1))
    assert program.gradient(*batch)[1].tolist() == first.tolist()


def test_values_are_read_and_written():
    a, b = Value(2.0), Value(3.0)
    program = record(lambda x: a * x + b, 1.0)
    lanes = Lanes(program)
    assert lanes.weights.tolist() == [0.0, 0.0]
    lanes.read_values()
    assert lanes.weights.tolist() == [2.0, 3.0]
    assert lanes.run([10.0]).tolist() == [23.0]
    lanes.weights[:] = [5.0, 7.0]
    assert a.data == 2.0
    lanes.write_values()
    assert (a.data, b.data) == (5.0, 7.0)
    assert program([1.0]).tolist() == [12.0]
    a.data = 0.0
    assert program([1.0]).tolist() == [7.0]


def test_written_values_make_old_graphs_stale():
    a = Value(2.0)
    program = record(lambda x: a * x, 1.0)
    old = a * 3
    lanes = Lanes(program)
    lanes.read_values()
    lanes.write_values()
    with pytest.raises(GraphError, match="compute the result again"):
        old.backward()


def test_results_have_the_shape_of_what_the_function_returns():
    w = Value(2.0)
    program = record(lambda x: [[x[0], x[1] * w, w], [x[1], w * w, x[0] + x[1]]], [1.0, 2.0])
    assert program.shape == (2, 3)
    results = program([[1.0, 10.0], [2.0, 20.0]])
    assert results.tolist() == [[[1, 20, 2], [10, 4, 11]], [[2, 40, 2], [20, 4, 22]]]
    assert record(lambda x: [x], 1.0)([3.0]).tolist() == [[3.0]]
    with pytest.raises(ShapeError, match=r"a gradient is of one number; this program returns an array of \(2, 3\)"):
        program.gradient([[1.0, 10.0]])


def test_arguments_may_be_nested_and_several():
    w = [Value(1.0), Value(10.0)]

    def function(matrix, i, y, pair):
        rows = [row[0] * w[0] + row[1] * w[1] for row in matrix]
        return pick(rows, i) + y + pick(w, pair[0]) * pick(w, pair[1][0] if isinstance(pair[1], list) else pair[1])

    program = record(function, [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], 0, 0.0, [0, 0])
    assert [(a.kind, a.shape, a.start) for a in program.arguments] == [
        ("float", (3, 2), 0),
        ("integer", (), 0),
        ("float", (), 6),
        ("integer", (2,), 1),
    ]
    matrix = np.arange(24.0).reshape(4, 3, 2)
    i, y, pair = np.array([0, 1, 2, 1]), np.arange(4.0), np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    numbers = np.array([1.0, 10.0])
    expected = (matrix @ numbers)[np.arange(4), i] + y + numbers[pair].prod(1)
    assert program(matrix, i, y, pair).tolist() == expected.tolist()
    assert program(matrix.tolist(), i.tolist(), y.tolist(), pair.tolist()).tolist() == expected.tolist()
    assert program(matrix[:, ::-1][:, ::-1], i.astype(np.uint8), y.astype(np.float32), pair).tolist() == (
        expected.tolist()
    )


def test_an_example_may_be_numpy_arrays():
    w = Value(2.0)
    program = record(lambda x, i: x[1] * w * pick([w, w * 2], i), np.zeros(3), np.int64(0))
    assert program(np.eye(3), [0, 0, 1]).tolist() == [0.0, 4.0, 0.0]


def test_without_parameters_without_inputs_and_without_arguments():
    assert record(lambda x: x * x, 1.0).gradient([3.0, 4.0])[1].shape == (0,)
    w = Value(3.0)
    shared = record(lambda x: w * w + 1.0, 1.0)  # the same in all lanes
    assert shared([1.0, 2.0]).tolist() == [10.0, 10.0]
    loss, gradient = shared.gradient([1.0, 2.0])
    assert (loss, gradient.tolist()) == (10.0, [6.0])
    alone = record(lambda: w * w + 1.0)
    assert alone().tolist() == [10.0]
    assert alone.gradient()[1].tolist() == [6.0]
    itself = record(lambda x: w, 1.0)
    assert itself([1.0, 2.0]).tolist() == [3.0, 3.0]
    assert itself.gradient([1.0, 2.0])[1].tolist() == [1.0]
    nothing = record(lambda x, y: w * x, 1.0, [])
    assert nothing([1.0, 2.0], np.zeros((2, 0))).tolist() == [3.0, 6.0]
    assert record(lambda x: [x, x, Value(5.0)], 1.0)([7.0]).tolist() == [[7.0, 7.0, 5.0]]


def test_a_parameter_that_is_not_used_has_no_gradient():
    a, b = Value(1.0), Value(2.0)
    loss, gradient = record(lambda x: a * x, 1.0, parameters=[b, a]).gradient([5.0])
    assert (loss, gradient.tolist()) == (5.0, [0.0, 5.0])


def test_a_long_program_has_small_blocks():
    w = [Value(0.5), Value(0.25)]

    def function(x):
        for i in range(2000):
            x = (x * w[i % 2]).tanh() + x
        return x

    program = record(function, 1.0)
    lanes = Lanes(program)
    assert lanes.block == 16
    x = Value(0.3)
    root = function(x)
    root.backward()
    loss, gradient = program.gradient(np.full(40, 0.3))
    assert loss == pytest.approx(root.data, rel=1e-12)
    np.testing.assert_allclose(gradient, [v.grad for v in w], rtol=1e-11)


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        (([[1.0, 2.0]],), "this program takes 2 arguments, got 1"),
        (([[1.0, 2.0]], [0], [0]), "this program takes 2 arguments, got 3"),
        (([1.0, 2.0], [0]), r"argument 1 is an array of shape \(N, 2\), got \(2,\)"),
        (([[1.0, 2.0, 3.0]], [0]), r"argument 1 is an array of shape \(N, 2\), got \(1, 3\)"),
        (([[1.0, 2.0]], 0), r"argument 2 is an array of shape \(N\), got \(\)"),
        (([[1.0, 2.0]], [0, 1]), "every argument holds as many examples as the first, got 1 and 2"),
        ((np.zeros((0, 2)), np.zeros(0, int)), "argument 1 holds no examples; give at least one"),
        (([[1.0, 2.0]], [0.0]), "argument 2 holds integers that pick rows, got float64"),
        (([[1.0, 2.0]], [True]), "argument 2 holds integers that pick rows, got bool"),
        (([[1.0, 2.0]] * 3, [0, 3, 1]), "integer 0 of an example is from 0 to 2, got 0 to 3"),
        (([[1.0, 2.0]] * 2, [-1, 0]), "integer 0 of an example is from 0 to 2, got -1 to 0"),
    ],
)
def test_what_does_not_fit_is_refused(examples, sentence):
    w = [Value(1.0), Value(2.0), Value(3.0)]
    program = record(lambda x, i: x[0] * x[1] * pick(w, i), [1.0, 1.0], 0)
    with pytest.raises(ShapeError, match=sentence):
        program(*examples)
    with pytest.raises(ShapeError, match=sentence):
        program.gradient(*examples)


def test_an_integer_that_picks_twice_has_the_narrower_bound():
    w = [Value(1.0), Value(2.0), Value(3.0)]
    program = record(lambda i: pick(w, i) * pick(w[:2], i), 0)
    assert program([0, 1]).tolist() == [1.0, 4.0]
    with pytest.raises(ShapeError, match="from 0 to 1, got 0 to 2"):
        program([0, 2])


def test_threads_are_those_that_this_process_may_use():
    assert 1 <= threads_available() <= (os.cpu_count() or 1)
    assert Lanes(record(lambda x: x, 1.0)).threads == threads_available()
