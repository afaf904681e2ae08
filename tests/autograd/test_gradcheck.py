"""The checker is checked: right rules pass, wrong ones are caught and named, kinks are understood."""

import math
import random

import pytest

from spellout import MLP, Value, check_rules, gradcheck
from spellout.autograd.ops import TABLE, Op
from spellout.errors import GradcheckError, ValueTypeError
from spellout.nn.losses import cross_entropy

SMOOTH = {1: (0.6,), 2: (1.7, 0.8), 3: (0.7, 1.2, 0.4), None: (0.5, -0.3, 0.9, 0.2)}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_row_of_the_table_passes(name):
    report = gradcheck(TABLE[name], *SMOOTH[TABLE[name].arity])
    assert report
    assert len(report.comparisons) == len(SMOOTH[TABLE[name].arity])
    if TABLE[name].arity == 1 and name not in ("log", "sqrt"):
        assert gradcheck(TABLE[name], -0.4)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_row_fails_when_a_thousandth_is_planted(name):
    row = TABLE[name]
    arguments = SMOOTH[row.arity]

    def wrong_partials(out, *args):
        first, *others = row.partials(out, *args)
        return (first * 1.001 if first is not None else 0.001, *others)

    planted = Op(name, name, row.arity, row.forward, wrong_partials)
    if name == "elu":
        arguments = (-0.6, 0.8)
    if name == "minimum":
        arguments = (0.8, 1.7)
    with pytest.raises(GradcheckError, match="argument 1 ") as caught:
        gradcheck(planted, *arguments)
    assert f"The rule of operation {name} is wrong: argument 1" in str(caught.value)


def test_a_wrong_second_argument_is_the_one_that_is_named():
    planted = Op("mul", "*", 2, lambda a, b: a * b, lambda out, a, b: (b, a * 1.001))
    with pytest.raises(GradcheckError, match=r"for argument 2 \(right\) at 3 is 2\.002, expected 2 .*0\.1 %"):
        gradcheck(lambda left, right: planted(left, right) + left, 2.0, 3.0)


def test_a_graph_that_misses_part_of_the_function_is_told_from_a_wrong_rule():
    def forgets(x):
        return x * x + Value(x.data) * 3.0

    with pytest.raises(GradcheckError, match="the graph misses part of the function"):
        gradcheck(forgets, 2.0)


def test_step_by_step():
    text = str(gradcheck(TABLE["mul"], 2.0, 3.0))
    assert text.splitlines()[0] == "gradient check of mul"
    assert "argument 1 = 2: f(" in text
    assert "gradient = 3: right" in text


def test_a_kink_accepts_what_lies_between_the_slopes():
    report = gradcheck(lambda x: x.relu() * 2, 0.0)
    assert "a kink: the slopes are 0 and 2" in str(report)
    planted = Op("relu", "relu", 1, lambda x: max(x, 0.0), lambda out, x: (1.5,))
    with pytest.raises(GradcheckError, match="kink"):
        gradcheck(planted, 0.0)


def test_what_is_not_finite_cannot_be_checked():
    with pytest.raises(GradcheckError, match="not finite a step away"):
        gradcheck(lambda x: x.sqrt(), 0.0)


def test_lists_and_values_in_place():
    assert gradcheck(lambda logits, scale: cross_entropy([x * scale for x in logits], 1), [0.1, 2.0, -1.0], 0.7)
    model = MLP(2, [3, 1], activation="tanh", rng=random.Random(0))
    before = [p.data for p in model.parameters()]
    report = gradcheck(lambda *_: (model([0.5, -1.0]) - 1) ** 2, *model.parameters())
    assert len(report.comparisons) == 13
    assert [p.data for p in model.parameters()] == before
    assert all(p.grad == 0.0 for p in model.parameters())


def test_a_function_that_is_constant_or_raises_leaves_values_alone():
    assert gradcheck(lambda x: 3.0, 1.0)
    x = Value(1.0)

    def breaks(v):
        if v.data != 1.0:
            raise RuntimeError("no")
        return v * 1

    with pytest.raises(RuntimeError):
        gradcheck(breaks, x)
    assert x.data == 1.0
    with pytest.raises(ValueTypeError, match="at least one number"):
        gradcheck(lambda: 1.0)


def test_a_step_too_long_for_a_steep_function_is_no_false_alarm():
    for scale in (1.0, 1e6, 1e12):
        assert gradcheck(lambda v: scale * v**3, 0.0)  # noqa: B023
    assert gradcheck(lambda v: (v * 500).sin(), 0.3)
    wrong = Op("cube", "cube", 1, lambda x: x**3, lambda out, x: (3.003 * x * x,))
    with pytest.raises(GradcheckError):
        gradcheck(wrong, 0.01)


def test_large_and_small_numbers():
    for x in (1e-8, 1e8, -1e5):
        assert gradcheck(lambda v: v * v + v, x)
    assert gradcheck(lambda v: v.exp(), 300.0)
    assert gradcheck(lambda v: v.exp(), -300.0)


def test_rules_are_checked_node_by_node():
    x = Value(0.5)
    reports = check_rules((x.tanh() * x).exp())
    assert [report.name for report in reports] == ["operation tanh", "operation mul", "operation exp"]
    assert all(reports)
    assert math.isclose(reports[0].comparisons[0].analytic, 1 - math.tanh(0.5) ** 2)
