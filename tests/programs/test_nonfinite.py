"""A nan or an infinity is reported with the first instruction that made it, and the user's line."""

import math

import numpy as np
import pytest

from spellout import Trainer, Value, pick, record
from spellout.errors import NotFiniteError
from spellout.nn.losses import squared_error
from spellout.programs.kernels.interpreter import execute
from spellout.programs.optimizers import SGD

inf, nan = math.inf, math.nan
HERE = r".*test_nonfinite\.py"


def _line(function, after=1):
    return function.__code__.co_firstlineno + after


def _log(x):
    y = x * 2
    z = y.log()
    return z.exp() + 1


def test_the_first_instruction_and_its_line():
    program = record(_log, 1.0)
    assert program([1.0, 2.0]).tolist() == [3.0, 5.0]
    sentence = (
        rf"^example 2 makes {HERE}:{_line(_log, 2)}: r1 = log\(r0\) = nan \(with r0 = -2\); nothing before it"
    )
    with pytest.raises(NotFiniteError, match=sentence):
        program([1.0, 2.0, -1.0, -2.0])


def test_an_infinity_as_well():
    program = record(lambda x: (x * 1000).exp() - 1.0, 0.0)
    with pytest.raises(NotFiniteError, match=r"r1 = exp\(r0\) = inf \(with r0 = 2000\)"):
        program.gradient([0.0, 2.0])


def test_labels_and_numbers_of_constants():
    w = Value(3.0, label="w")
    program = record(lambda x: w / (x - 1.0), 0.0)
    with pytest.raises(NotFiniteError, match=r"r1 = w / r0 = inf \(with w = 3, r0 = 0\)"):
        program([1.0])


def test_an_input():
    program = record(lambda x, y: x * y[0] * y[1], 0.0, [1.0, 1.0])
    with pytest.raises(NotFiniteError, match=r"^input x2 of example 1 is nan; look at the data$"):
        program([1.0, 1.0], [[1.0, 2.0], [3.0, nan]])


def test_a_parameter_is_nan_already():
    w, table = Value(nan, label="w"), [Value(1.0), Value(inf)]
    with pytest.raises(NotFiniteError, match=r"^w is nan already; an earlier step or its start made it so$"):
        record(lambda x: w * x, 1.0)([1.0])
    program = record(lambda i: pick(table, i) * 2.0, 0)
    assert program([0]).tolist() == [2.0]
    with pytest.raises(NotFiniteError, match=r"test_nonfinite.py:\d+: r0 = table0\[i0\]\[0\] is inf already"):
        program([0, 0, 1])


def test_what_all_lanes_share():
    w = Value(-1.0, label="w")
    with pytest.raises(NotFiniteError, match=r"r0 = sqrt\(w\) = nan \(with w = -1\)"):
        record(lambda x: w.sqrt() * x, 1.0)([1.0])


def _root(x):
    y = W * x
    return y.sqrt()


W = Value(1.0, label="W")


def test_a_derivative_though_the_result_is_finite():
    program = record(_root, 1.0)
    assert program([0.0]).tolist() == [0.0]
    sentence = (
        rf"gradient of example 1 is not finite: {HERE}:{_line(_root, 2)}: r1 = sqrt\(r0\) = 0 .*passes inf on to r0"
    )
    with pytest.raises(NotFiniteError, match=sentence):
        program.gradient([1.0, 0.0])


def test_a_sum_over_the_examples_that_is_too_large():
    program = record(lambda x: W * x, 1.0)
    with pytest.raises(NotFiniteError, match=r"the mean over the examples is not finite, though .* smaller scale"):
        program.gradient([1e308, 1e308])


def test_a_long_argument_list_is_not_spelled_out():
    program = record(lambda x: squared_error(x, [0.0] * 9), [0.0] * 9)
    with pytest.raises(NotFiniteError) as caught:
        program([[1e200] * 9])
    assert len(str(caught.value)) < 300


def test_an_infinity_that_does_no_harm_is_no_error():
    # exp(1000) is inf, and 1 / inf is 0: a result that is finite is a result
    assert record(lambda x: 1.0 / (1.0 + (-x).exp()), 0.0)([-1000.0, 0.0]).tolist() == [0.0, 0.5]


def test_a_trainer_has_not_moved():
    w = Value(2.0)
    trainer = Trainer(record(lambda x: (w * x).log(), 1.0), SGD(lr=1.0))
    with pytest.raises(NotFiniteError, match="example 1 makes"):
        trainer.step([1.0, -1.0])
    assert trainer.weights.tolist() == [2.0]
    assert trainer.steps == 0
    assert trainer.step([1.0]) == math.log(2.0)


def test_a_trainer_has_not_moved_by_a_gradient_that_is_not_finite():
    w = Value(0.0, label="w")
    trainer = Trainer(record(lambda x: w.sqrt() * x, 1.0), SGD(lr=1.0))
    with pytest.raises(NotFiniteError, match="passes inf on to w"):
        trainer.step([1.0])
    assert trainer.weights.tolist() == [0.0]


def test_a_large_gradient_is_no_error():
    w = Value(1.0)
    trainer = Trainer(record(lambda x: w * x, 1.0), SGD(lr=1e-200))
    assert trainer.step([1e200]) == 1e200
    assert trainer.weights.tolist() == [0.0]


def test_nothing_is_compiled_to_explain():
    program = record(lambda x, i: (x[0] * W).log() + x[1] * pick([W, W * 2], i), [1.0, 1.0], 0)
    program(np.ones((5, 2)), [0, 1, 0, 1, 1])
    before = list(execute.signatures)
    with pytest.raises(NotFiniteError, match="example 3 makes"):
        program([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]], [0, 1, 0, 1])
    assert execute.signatures == before
