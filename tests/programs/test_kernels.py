"""Every kernel against its row of the table: values and gradients, at the edges too, in both types.

The rows themselves are compared with PyTorch in tests/autograd. Each point has a lane of its own: an integer input
picks its arguments from a table of parameters, so that the gradient of a row of the table is that of the point.
"""

import math

import numpy as np
import pytest

from spellout import Value, operation, pick, record
from spellout.autograd.ops import BUILT_IN, TABLE, Op
from spellout.programs.kernels.elementwise import ELEMENTWISE
from spellout.programs.lanes import Lanes

inf, nan = math.inf, math.nan
EDGES = [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 1e-9, -1e-9, 0.5, -0.6, 2.0, 3.0, -30.0, 88.0, 100.0, -104.0]
LARGE = [700.0, -700.0, 1e10, -1e10, 710.0, -745.0, 1e300, -1e300, 1e-300, 5e-324]
FEW = [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 0.5, -2.0, 3.0, 1e300, 1e-300]
MANY = [
    *[(0.3,), (inf,), (nan,)],
    *[(1.0, -2.0), (-0.0, -0.0), (2.0, 2.0), (inf, inf), (-inf, -inf), (inf, -inf), (1e300, 1e300)],
    *[(1.0, -2.0, 0.5), (1.0, inf, 2.0), (1.0, -inf, 2.0), (1.0, nan, 2.0), (nan, 1.0, 2.0)],
    *[(1000.0, -1000.0, 999.0), (80.0, 81.0, 79.5), (0.1, 0.2, 0.3, 0.4, 0.5), (-3.0, 2.5, 1.5, 0.2, 7.0)],
]
VARIADIC = ["dot", "sum", "mean", "largest", "logsumexp", "log_softmax"]
float64_and_32 = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def points(op, random=250):
    """Lists of points of one arity each: edges, ties and random numbers; more than a block holds."""
    rng = np.random.default_rng(sum(map(ord, op.name)))
    if op.arity is None:
        groups = [[row for row in MANY if len(row) == arity] for arity in range(1 + (op.name == "dot"), 6)]
        groups += [rng.normal(0.0, 2.0, (random, arity)).tolist() for arity in (2, 3, 7, 8)]
        if op.name == "log_softmax":  # the chosen one, and all of them
            return [[(row[-1], *row) for row in group] for group in groups if group]
        return [group for group in groups if group]
    drawn = rng.normal(0.0, 2.0, (random, op.arity)).tolist()
    if op.arity == 1:
        return [[(x,) for x in EDGES + LARGE] + drawn]
    if op.arity == 2:
        ties = [(x, x) for x in rng.normal(0.0, 2.0, 5).tolist()]
        powers = [(x, y) for x in (-2.0, 4.0) for y in (0.5, 1 / 3, 5.0)]
        return [[(a, b) for a in FEW for b in FEW] + ties + powers + drawn]
    chosen = [(1.0, 2.0), (inf, 1.0), (1.0, nan), (-inf, inf)]
    return [[(x, a, b) for x in EDGES for a, b in chosen] + drawn]


def rounded(rows, dtype):
    with np.errstate(over="ignore"):
        return np.array(rows, np.float64).astype(dtype).tolist()


def in_lanes(op, rows, seed, dtype, at_once):
    """Values (N,) and gradients (N, arity) of an operation at N points."""
    table = [[Value(x) for x in row] for row in rows]
    every = [value for row in table for value in row]
    lanes = Lanes(record(lambda i: op(*pick(table, i)), 0, parameters=every, passes=()), dtype)
    lanes.read_values()
    values, gradients = [], np.zeros(len(every), dtype)
    for start in range(0, len(rows), at_once):
        examples = lanes.arrange(np.arange(start, min(start + at_once, len(rows))))
        results, gradient = lanes.backward(*examples, seed)
        values += results[0].tolist()
        gradients += np.where(gradient == 0.0, 0.0, gradient)
    return values, gradients.reshape(len(rows), -1)


def compare(op, rows, seed=1.0, dtype=np.float64, at_once=1000, row=None):
    """Kernel and row agree to a few last bits: of the result, or of the largest number of a difference."""
    row = row or op
    rows = rounded(rows, dtype)
    bits, tiny = np.finfo(dtype).eps, 4 * np.finfo(dtype).tiny  # below, bits run out
    values, gradients = in_lanes(op, rows, seed, dtype, at_once)
    for numbers, value, gradient in zip(rows, values, gradients, strict=True):
        out = row.forward(*numbers)
        partials = [0.0 if p is None else p * seed for p in row.partials(out, *numbers)]
        wanted, *partials = rounded([out, *partials], dtype)
        largest = max([1.0, *[abs(x) for x in numbers if math.isfinite(x)]])
        scale = largest * min(largest, 1e3) if op.name == "dot" else largest if op.arity is None else 1.0
        difference = scale * 8 * bits if op.name not in ELEMENTWISE or op.name == "gelu" else 0.0
        assert close(value, wanted, 8 * bits, tiny + difference), (op.name, numbers, value, wanted)
        if op.name == "log_softmax" and math.isnan(wanted):
            continue  # the gradient is computed from it
        for ours, theirs in zip(gradient.tolist(), partials, strict=True):
            passed = scale * abs(seed) if math.isfinite(seed) else 1.0
            assert close(ours, theirs, 16 * bits, passed * 8 * bits), (op.name, numbers, gradient, partials)


def close(ours, theirs, relative, absolute):
    if math.isfinite(theirs) and math.isfinite(ours):
        return abs(ours - theirs) <= relative * abs(theirs) + absolute
    return ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def test_every_operation_has_a_kernel():
    assert {*ELEMENTWISE, *VARIADIC} == BUILT_IN


@float64_and_32
@pytest.mark.parametrize("name", [*ELEMENTWISE, *VARIADIC])
def test_a_kernel_equals_its_row(name, dtype):
    for rows in points(TABLE[name]):
        compare(TABLE[name], rows, dtype=dtype)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *VARIADIC])
def test_one_lane_and_three_as_well(name, at_once):
    for rows in points(TABLE[name], random=20):
        compare(TABLE[name], rows[::3], at_once=at_once)


@pytest.mark.parametrize("seed", [math.pi, -1e-3, inf, nan])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *VARIADIC])
def test_what_arrives_is_passed_on_or_masked(name, seed):
    # an infinite gradient times 0 would be nan; where the row's partial is None, nothing passes
    for rows in points(TABLE[name], random=20):
        compare(TABLE[name], rows, seed=seed)


def _planted(name, what):
    row = TABLE[name]
    off = {"value": 1.0, "gradient": 1.0, what: 1.001}
    return Op(
        name,
        name,
        row.arity,
        lambda *xs: row.forward(*xs) * off["value"],
        lambda out, *xs: tuple(
            [None if p is None else p * off["gradient"] for p in row.partials(row.forward(*xs), *xs)]
        ),
    )


@float64_and_32
@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *VARIADIC])
def test_the_comparison_sees_a_thousandth(name, what, dtype):
    moderate = [row for rows in points(TABLE[name]) for row in rows if all(0.1 < abs(x) < 10 for x in row)]
    rows = [row for row in moderate if len(row) == len(moderate[-1])]
    compare(TABLE[name], rows, dtype=dtype)
    with pytest.raises(AssertionError):
        compare(TABLE[name], rows, dtype=dtype, row=_planted(name, what))


@pytest.mark.parametrize("shares", [{0}, {1}, {0, 1}])
@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if TABLE[name].arity == 2])
def test_arguments_that_all_lanes_share(name, shares):
    # computed once, or copied into every lane, whose gradients then add up
    op, xs = TABLE[name], np.array([0.5, -1.5, 2.0])
    shared, rows = Value(1.5), [Value(x) for x in xs]
    program = record(
        lambda i: op(*[shared if k in shares else pick(rows, i) for k in (0, 1)]),
        0,
        parameters=[shared, *rows],
        passes=(),
    )
    lanes = Lanes(program)
    lanes.read_values()
    results, gradient = lanes.backward(*lanes.arrange(np.arange(3)), 1.0)
    expected = np.zeros(4)
    for lane, x in enumerate(xs):
        numbers = [1.5 if k in shares else float(x) for k in (0, 1)]
        out = op.forward(*numbers)
        assert close(results[0, lane], out, 1e-15, 0.0)
        for k, partial in enumerate(op.partials(out, *numbers)):
            expected[0 if k in shares else 1 + lane] += partial or 0.0
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


@float64_and_32
def test_picking_and_choosing(dtype):
    table = [[Value(x), Value(-x)] for x in (1.0, 2.0, 3.0)]
    scale = [Value(10.0), Value(100.0), Value(1000.0), Value(1e4)]

    def function(i, j, x):
        a, b = pick(table, i)
        return pick([a * x, b * x, pick(scale, i) * x], j)

    lanes = Lanes(record(function, 0, 0, 1.0), dtype)
    lanes.read_values()
    picked = np.array([0, 1, 2, 2, 0, 2, 2])
    chosen = np.array([0, 1, 2, 2, 1, 0, 1])
    xs = np.arange(1.0, 8.0)
    results, gradient = lanes.backward(*lanes.arrange(picked, chosen, xs), 1.0)
    signs = {0: 1.0, 1: -1.0}
    wanted = [
        x * (10.0 ** (i + 1) if j == 2 else signs[j] * (i + 1)) for i, j, x in zip(picked, chosen, xs, strict=True)
    ]
    assert results[0].tolist() == wanted
    expected = dict.fromkeys(lanes.program.parameters, 0.0)
    for i, j, x in zip(picked, chosen, xs, strict=True):
        expected[scale[i] if j == 2 else table[i][j]] += x
    assert gradient.tolist() == list(expected.values())


@float64_and_32
@pytest.mark.usefixtures("_table_restored")
def test_operations_of_the_users_own(dtype):
    P3 = operation("P3", lambda x: (5 * x**3 - 3 * x) / 2, lambda x: (15 * x**2 - 3) / 2)
    hypot = operation(
        "hypot_", lambda a, b: (a * a + b * b) ** 0.5, lambda a, b: (a / hypot(a, b), b / hypot(a, b))
    )
    constant = operation("step_", lambda x: x * 0.0 + 2.0, lambda x: 0.0)
    rng = np.random.default_rng(4)
    for op, arity in ((P3, 1), (hypot, 2), (constant, 1)):
        compare(op, rng.uniform(0.7, 2.0, (300, arity)).tolist(), dtype=dtype)
