"""What a recording freezes: the list. First what is silent, a workaround beside each; then what is refused.

A recording sees what is done with Values, and nothing else. Whatever Python decides by itself, while the function
runs on the one example, is in the program for good.
"""

import copy
import math
import pickle
import random
import statistics
from decimal import Decimal
from inspect import currentframe

import numpy as np
import pytest

from spellout import MLP, Recorded, Trainer, Value, freeze, grad, gradcheck, hessian, pick, record, where
from spellout.errors import RecordingError, ShapeError, ValueTypeError
from spellout.nn import Dropout, Embedding
from spellout.nn import optimizers as eager
from spellout.nn.losses import cross_entropy
from spellout.programs.optimizers import SGD

X = np.array([[1.0, -2.0], [-3.0, 0.5]])

# Silent ---------------------------------------------------------------------------------------------------


def test_silent_a_number_from_outside_is_the_one_of_then():
    settings = {"scale": 2.0}
    program = record(lambda x: x * settings["scale"], 1.0)
    settings["scale"] = 100.0
    assert program([1.0]).tolist() == [2.0]


def test_workaround_pass_it_as_an_input_or_keep_it_in_a_value():
    program = record(lambda x, scale: x * scale, 1.0, 2.0)
    assert program([1.0], [100.0]).tolist() == [100.0]
    scale = Value(2.0)
    program = record(lambda x: x * scale, 1.0)
    scale.data = 100.0
    assert program([1.0]).tolist() == [100.0]


def test_silent_randomness_is_drawn_once():
    rng = random.Random(0)
    program = record(lambda x: x * rng.random(), 1.0)
    assert len(set(program(np.ones(50)))) == 1
    drop = Dropout(0.5, random.Random(0))
    program = record(lambda x: drop(x), [1.0] * 20)
    first, second = program(np.ones((2, 20))).tolist()
    assert first == second
    assert set(first) == {0.0, 2.0}


def test_workaround_draw_outside_and_pass_it_as_inputs():
    program = record(lambda x, mask: [a * b for a, b in zip(x, mask, strict=True)], [1.0] * 20, [1.0] * 20)
    masks = np.random.default_rng(0).integers(0, 2, (2, 20)) * 2.0
    assert program(np.ones((2, 20)), masks).tolist() == masks.tolist()


def test_silent_a_list_keeps_the_length_of_the_example():
    words = []
    program = record(lambda x: sum([v * len(words) for v in x]), [1.0, 1.0])
    words.append("another")
    assert program(X).tolist() == [0.0, 0.0]


def test_workaround_other_lengths_are_refused_and_recorded_again_if_asked():
    program = record(lambda x: sum(x) * (1.0 / len(x)), [1.0, 1.0])
    with pytest.raises(ShapeError, match=r"shape \(N, 2\), got \(2, 3\)"):
        program(np.ones((2, 3)))
    mean = Recorded(lambda x: sum(x) * (1.0 / len(x)))
    assert mean(np.full((2, 3), 5.0)).tolist() == [5.0, 5.0]
    assert mean(np.full((1, 2), 5.0)).tolist() == [5.0]
    assert len(mean.programs) == 2


def test_silent_what_happens_beside_happens_once():
    calls = []

    def function(x):
        calls.append(1)
        return x * 2

    program = record(function, 1.0)
    program(np.ones(10))
    assert len(calls) == 1


def test_silent_a_parameter_made_inside_is_a_constant():
    rng = random.Random(0)
    program = record(lambda x: MLP(2, [1], rng=rng)(x), [0.0, 0.0])
    assert program.parameters == ()
    assert program.gradient(X)[1].shape == (0,)


def test_workaround_make_parameters_outside():
    model = MLP(2, [1])
    assert set(record(model, [0.0, 0.0]).parameters) == set(model.parameters())


def test_silent_values_left_out_of_parameters_are_frozen():
    w, b = Value(2.0), Value(1.0)
    program = record(lambda x: w * x + b, 1.0, parameters=[w])
    w.data, b.data = 3.0, 100.0
    assert program([1.0]).tolist() == [4.0]


def test_workaround_without_a_subset_all_values_stay_alive():
    w, b = Value(2.0), Value(1.0)
    program = record(lambda x: w * x + b, 1.0)
    w.data, b.data = 3.0, 100.0
    assert program([1.0]).tolist() == [103.0]


def test_silent_a_trainer_goes_its_own_way_until_it_writes_back():
    w = Value(2.0)
    trainer = Trainer(record(lambda x: (w * x - 1.0) ** 2, 1.0), SGD(lr=0.25))
    w.data = 100.0  # too late: the trainer's numbers are its own
    assert trainer.step([1.0]) == 1.0
    assert w.data == 100.0
    trainer.write_back()
    assert w.data == 1.5


def test_silent_python_chooses_by_the_lines_around_it():
    # a plain number of the example's shape or of the program's surroundings may decide; here the depth of a loop
    depth = 2

    def function(x):
        for _ in range(depth):
            x = x * x
        return x

    program = record(function, 1.0)
    depth = 3
    assert program([2.0]).tolist() == [16.0]


def test_declared_a_frozen_branch_is_decided_once():
    def function(x):
        return x * 2.0 if freeze(x) > 0 else x * 0.0

    program = record(function, 1.0)
    assert program([1.0, -1.0]).tolist() == [2.0, -2.0]
    assert record(function, -1.0)([1.0, -1.0]).tolist() == [0.0, -0.0]


# Refused --------------------------------------------------------------------------------------------------


def _branch(x):
    return x * 2 if x > 0 else x


def _while(x):
    while x < 10:
        x = x * 2
    return x


def _truth(x):
    return x * 2 if x else x


def _float(x):
    return x * float(x)


def _data(x):
    return x * x.data


def _item(x):
    return x * x.item()


def _equal(x):
    return x * 2 if x == 1.0 else x


def _not_equal(x):
    return x * 2 if x != 1.0 else x


def _largest(x):
    return max(x, x * 2)


def _sorted(x):
    return sorted([x, x * 2])[0]


def _math(x):
    return x * math.exp(x)


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (_branch, "`>`"),
        (_while, "`<`"),
        (_truth, "a truth test"),
        (_float, r"`float\(...\)`"),
        (_data, "`.data`"),
        (_item, "`.data`"),
        (_equal, "`==`"),
        (_not_equal, "`!=`"),
        (_largest, "`>`"),
        (_sorted, "`<`"),
        (_math, r"`float\(...\)`"),
    ],
)
def test_refused_looking_at_the_number(function, how):
    line = function.__code__.co_firstlineno + 1
    sentence = (
        rf"test_footguns.py:{line} uses {how}, which the recording would freeze at what it is for this one "
        r"example; choose with where\(x, a, b\), maximum, minimum or pick instead, or declare with freeze\(value\)"
    )
    with pytest.raises(RecordingError, match=sentence):
        record(function, 1.0)


def _gradient_read(x):
    return x + x.grad


def _gradient_called(x):
    return x + grad(x * x, x)


def _second_derivatives(x):
    return x + hessian(x * x, [x])[0][0]


def _backward(x):
    (x * x).backward()


def _one_step_back(x):
    (x * x)._backward()


def _assigned(x):
    x.data = 2.0


def _as_text(x):
    return x * float(f"{x:.3f}")


def _copied(x):
    return copy.copy(x)


def _deeply_copied(x):
    return copy.deepcopy([x])


def _pickled(x):
    return pickle.loads(pickle.dumps(x))


def _stepped(x):
    eager.SGD([x], lr=0.1).step()


def _checked(x):
    gradcheck(lambda y: y * y, x)


def _from_pythons_library(x):
    return x * statistics.fmean([x, x])


def _program_called(x, w=Value(3.0)):  # noqa: B008
    return x * record(lambda y: y * w, 1.0)([2.0])[0]


@pytest.mark.parametrize(
    ("function", "how", "remedy"),
    [
        (_gradient_read, r"`\.grad`", r"use spellout\.grad\(y, x, create_graph=True\)"),
        (_gradient_called, r"`grad\(\.\.\.\)`", "ask for create_graph=True"),
        (_second_derivatives, r"`hessian\(\.\.\.\)`", "ask for create_graph=True"),
        (_backward, r"`backward\(\)`", r"use spellout\.grad\(y, x, create_graph=True\)"),
        (_one_step_back, r"`_backward\(\)`", r"use spellout\.grad\(y, x, create_graph=True\)"),
        (_assigned, r"an assignment to `\.data`", "compute a new Value instead"),
        (_as_text, "the number as text", r"print freeze\(value\)"),
        (_copied, "a copy or a pickle of a Value", "use the Value itself"),
        (_deeply_copied, "a copy of a Value", "use the Value itself"),
        (_pickled, "a copy or a pickle of a Value", "use the Value itself"),
        (_stepped, "a step of an optimizer", "train the program with a Trainer"),
        (_checked, "gradcheck", "check the function outside"),
        (_from_pythons_library, r"`float\(...\)`", "choose with where"),
        (_program_called, "a call of a recorded program", "call the function itself"),
    ],
)
def test_refused_what_needs_the_number_behind_the_scenes(function, how, remedy):
    line = function.__code__.co_firstlineno + 1
    with pytest.raises(RecordingError, match=rf"test_footguns.py:{line} uses {how}.*; .*{remedy}"):
        record(function, 1.0)
    assert Value(1.0) > 0


def test_the_gradient_of_a_cube_inside_is_that_of_every_example():
    w = Value(2.0)

    def by_hand(x):
        y = x * x * x * w
        y.backward()
        return y + x.grad

    line = by_hand.__code__.co_firstlineno + 2
    with pytest.raises(RecordingError, match=rf"test_footguns.py:{line} uses `backward\(\)`"):
        record(by_hand, 1.0)

    def symbolic(x):
        y = x * x * x * w
        return y + grad(y, x, create_graph=True)

    assert record(symbolic, 1.0)([1.0, 2.0, 3.0]).tolist() == [8.0, 40.0, 108.0]


def test_printing_is_not_looking_and_zeroing_gradients_changes_nothing(capsys):
    def function(x):
        y = x * 2.0
        y.zero_grad()
        print(y, f"{y}", f"{freeze(y):.1f}")
        return y

    assert record(function, 1.0)([3.0]).tolist() == [6.0]
    assert capsys.readouterr().out.strip().endswith("2.0")


def test_workaround_where_and_maximum_choose_for_every_example_anew():
    program = record(lambda x: [where(x, x * 2, x), x.maximum(0.5), x.minimum(0.5), abs(x)], 1.0)
    assert program([2.0, -2.0]).tolist() == [[4.0, 2.0, 0.5, 2.0], [-2.0, 0.5, -2.0, 2.0]]


def _multiplied(i):
    return Value(1.0) * i


def _divided(i):
    return Value(1.0) / (i / 3)


def _raised(i):
    return Value(2.0) ** (-i)


def _compared(i):
    return Value(1.0) if i == 0 else Value(2.0)


def _counted(i):
    return sum([Value(1.0) for _ in range(i)])


def _added(i):
    return Value(1.0) * (i + 1)


def _indexed(i):
    return [Value(1.0), Value(2.0)][i]


@pytest.mark.parametrize("function", [_multiplied, _divided, _raised, _compared, _counted, _added, _indexed])
def test_refused_an_integer_input_as_a_number(function):
    line = function.__code__.co_firstlineno + 1
    with pytest.raises(RecordingError, match=rf"test_footguns.py:{line} uses an integer input as a plain number"):
        record(function, 1)


def test_workaround_pick_or_pass_floats():
    values = [Value(1.0), Value(2.0)]
    assert record(lambda i: pick(values, i), 0)([1, 0, 1]).tolist() == [2.0, 1.0, 2.0]
    assert record(lambda i: values[0] * i, 0.0)([3, 4]).tolist() == [3.0, 4.0]
    table = Embedding(3, 2, random.Random(0))
    rows = np.array([[v.data for v in row] for row in table.weight])
    assert record(table, 0)([2, 0]).tolist() == rows[[2, 0]].tolist()
    losses = record(lambda x, target: cross_entropy(x, target), [0.0, 0.0], 0)(X, [0, 1])
    np.testing.assert_allclose(losses, np.log(np.exp(X).sum(1)) - X[[0, 1], [0, 1]])


def test_refused_an_integer_input_after_its_recording():
    kept = []
    record(lambda i: pick([Value(1.0)], i) if kept.append(i) is None else None, 0)
    with pytest.raises(RecordingError, match="an integer input of a recording was used after it"):
        kept[0] + 1


def test_refused_a_value_computed_before():
    w = Value(2.0)
    doubled = w * 2
    line = currentframe().f_lineno + 2
    with pytest.raises(RecordingError, match=rf"test_footguns.py:{line} uses a Value .* before .* \('\*', 4\)"):
        record(lambda x: doubled * x, 1.0)


def test_workaround_compute_it_inside():
    w = Value(2.0)
    program = record(lambda x: (w * 2) * x, 1.0)
    w.data = 5.0
    assert program([1.0]).tolist() == [10.0]


@pytest.mark.parametrize("result", [3.0, None, "text", [1.0]])
def test_refused_a_result_that_is_not_made_of_values(result):
    with pytest.raises(RecordingError, match="returns a Value or lists of Values, got"):
        record(lambda x: result, 1.0)


@pytest.mark.parametrize("example", [True, [True, False]])
def test_refused_an_example_that_is_not_made_of_numbers(example):
    with pytest.raises(RecordingError, match="an example is made of floats or integers, got"):
        record(lambda x: Value(1.0), example)


def test_refused_ragged_lists():
    with pytest.raises(ShapeError, match="the lists of an example must be of one length at each depth"):
        record(lambda x: x[0][0], [[1.0, 2.0], [1.0]])
    with pytest.raises(ShapeError, match="must be of one length"):
        record(lambda x: [[x], [x, x]], 1.0)


@pytest.mark.parametrize("example", ["text", None, [None]])
def test_refused_an_example_of_something_else(example):
    with pytest.raises((RecordingError, ValueTypeError)):
        record(lambda x: Value(1.0), example)


@pytest.mark.usefixtures("_table_restored")
def test_refused_an_own_operation_made_of_maths_functions():
    from spellout import operation

    mine = operation("mine_", lambda x: math.exp(x), lambda x: math.exp(x))
    assert mine(Value(0.0)).data == 1.0
    with pytest.raises(RecordingError):
        record(lambda x: mine(x), 0.0)


def test_nothing_is_recorded_after_a_refusal():
    with pytest.raises(RecordingError):
        record(_branch, 1.0)
    assert Value(1.0) > 0
    assert float(Value(2.0)) == 2.0


def test_a_comparison_with_a_number_of_another_kind_is_refused():
    with pytest.raises(RecordingError, match="!="):
        record(lambda x: x * 100 if x != Decimal(5) else x, 5.0)


def test_a_refusal_that_the_function_catches_is_one_all_the_same():
    def stubborn(x):
        try:
            factor = float(x)
        except (TypeError, ValueError):
            factor = 1.0
        return x * factor

    with pytest.raises(RecordingError, match="float"):
        record(stubborn, 5.0)
    assert Value(1.0) > 0


def test_a_backward_that_is_assigned_is_refused():
    def straight_through(x):
        y = x * Value(3.0)
        y._backward = lambda: None
        return y

    with pytest.raises(RecordingError, match=r"spellout\.operation"):
        record(straight_through, 0.5)


def test_an_inner_recording_cannot_freeze_an_input_of_the_outer_one():
    w = Value(1.0)

    def outer(x):
        inner = record(lambda z: z * x, 0.0, parameters=[])
        return w * float(inner([2.0])[0])

    with pytest.raises(RecordingError, match="an input of the recording around it"):
        record(outer, 5.0)
