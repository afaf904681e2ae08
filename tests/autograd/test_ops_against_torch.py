"""Every row of the table against PyTorch's float64: values, first and second derivatives, and the edges."""

import math

import pytest
import torch
import torch.nn.functional as F

from spellout import Value, grad
from spellout.autograd import ops
from spellout.autograd.ops import BUILT_IN, TABLE

inf, nan = math.inf, math.nan

REFERENCE = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "abs": torch.abs,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "erf": torch.erf,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda x, slope: F.prelu(x.reshape(1), slope.reshape(1))[0],
    "elu": lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(torch.where(x > 0, 0.0, x))),
    "silu": F.silu,
    "gelu": F.gelu,
    # PyTorch replaces softplus by x above 20, an error of 2e-9 there; a threshold of 700 makes it exact
    "softplus": lambda x: F.softplus(x, threshold=700),
    "where": lambda x, a, b: torch.where(x > 0, a, b),
    "sum": lambda *xs: torch.stack(xs).sum(),
    "mean": lambda *xs: torch.stack(xs).mean(),
    "dot": lambda *xs: (
        torch.dot(*torch.stack(xs[: len(xs) // 2 * 2]).reshape(2, -1)) + (xs[-1] if len(xs) % 2 else 0.0)
    ),
    "largest": lambda *xs: torch.stack(xs).amax(0),
    "logsumexp": lambda *xs: torch.stack(xs).logsumexp(0),
    "log_softmax": lambda chosen, *xs: chosen - torch.stack(xs).logsumexp(0),
}
MANY = [(0.3,), (1.0, -2.0, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5), (700.0, 701.0, 699.5), (-2.0, 3.0, 1.5, 0.5)]
ONE = [-30.0, -3.7, -1.0, -0.6, -1e-9, 1e-9, 0.25, 0.5, 1.0, 1.9, 17.0, 100.0]
THREE = [(0.5, 2.0, 3.0), (-0.5, 2.0, 3.0), (0.0, 2.0, 3.0), (1e-9, -1.5, 0.25)]
TWO = [(2.0, 3.0), (-1.5, 4.0), (0.7, -2.2), (-3.0, -0.5), (5.0, 5.0), (1e-3, 7.0), (-2.0, 3.0), (8.0, 1 / 3)]


def points(op):
    if op.arity is None:
        return MANY[1:] if op.name in ("log_softmax", "dot") else MANY
    return {1: [(x,) for x in ONE], 2: TWO, 3: THREE}[op.arity]


def close(ours, theirs, tolerance=1e-12):
    if not math.isfinite(theirs):
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))


def both(op, numbers, upstream=1.0):
    """Return (value, gradients) of ours and of PyTorch's."""
    values = [Value(x) for x in numbers]
    out = op(*values)
    (out * upstream if upstream != 1.0 else out).backward()
    tensors = [torch.tensor(float(x), dtype=torch.float64, requires_grad=True) for x in numbers]
    reference = REFERENCE[op.name](*tensors)
    reference.backward(torch.tensor(upstream, dtype=torch.float64))
    theirs = [0.0 if t.grad is None else t.grad.item() for t in tensors]
    return (out.data, [v.grad for v in values]), (reference.item(), theirs)


def test_every_row_has_a_reference():
    assert set(REFERENCE) == BUILT_IN


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_values_and_derivatives_equal_pytorch(name):
    for numbers in points(TABLE[name]):
        (value, gradients), (reference, expected) = both(TABLE[name], numbers)
        assert close(value, reference), (name, numbers, value, reference)
        for ours, theirs in zip(gradients, expected, strict=True):
            assert close(ours, theirs), (name, numbers, gradients, expected)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_second_derivatives_equal_pytorch(name):
    op = TABLE[name]
    for numbers in points(op):
        if name == "pow" and numbers[0] < 0 and numbers[1] % 1:
            continue  # nan by any route
        values = [Value(x) for x in numbers]
        # a square on top, so that the first derivatives of linear operations depend on something
        first = grad(op(*values) ** 2, values, create_graph=True)
        tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
        reference = torch.autograd.grad(
            REFERENCE[name](*tensors) ** 2, tensors, create_graph=True, allow_unused=True, materialize_grads=True
        )
        for ours, theirs in zip(first, reference, strict=True):
            second = [g.data for g in grad(ours, values)]
            if not theirs.requires_grad:
                theirs = theirs + 0.0 * sum(tensors)
            expected = torch.autograd.grad(theirs, tensors, retain_graph=True, allow_unused=True)
            for a, b in zip(second, expected, strict=True):
                assert close(a, 0.0 if b is None else b.item(), 1e-11), (name, numbers, second, expected)


EDGES = {
    "pow": [
        *[(0, 0), (0, 1), (0, 0.5), (0, 2), (0, -1), (-0.0, -1), (0, inf), (-1, 0.5), (-2, 3), (-2, 0)],
        *[(1e300, 2), (-1e300, 3), (nan, 0), (1, nan), (inf, 0), (-8, 1 / 3), (1, inf), (inf, -1), (-inf, 3)],
    ],
    "div": [(1, 0), (-1, 0), (1, -0.0), (0, 0), (nan, 0), (1, inf), (inf, inf), (1e300, 1e-300)],
    "maximum": [(1, 1), (nan, 1), (1, nan), (2, 1), (0.0, -0.0), (inf, inf), (-inf, 3)],
    "minimum": [(1, 1), (nan, 1), (1, nan), (2, 1), (0.0, -0.0), (inf, inf), (-inf, 3)],
    "leaky_relu": [(0, 0.3), (-0.0, 0.3), (nan, 0.3), (inf, 0.3), (-1000, 0.3)],
    "largest": [(1, 1), (nan, 1), (1, nan), (2, 1, 2), (0.0, -0.0), (inf, inf), (-inf, 3), (-inf, -inf)],
    "logsumexp": [(-inf, -inf), (inf, 1), (-inf, 0), (nan, 0), (1000, 1000), (-1000, -1001)],
    "where": [(nan, 1, 2), (-0.0, 1, 2), (inf, 1, nan), (-inf, nan, 1), (1, inf, nan)],
    "mul": [(0, inf), (1e300, 1e300), (nan, 0)],
    "add": [(inf, -inf), (1e308, 1e308)],
}
UNARY_EDGES = [0.0, -0.0, nan, inf, -inf, 1000.0, -1000.0, -1.0, 710.0, -745.0]


@pytest.mark.parametrize(
    "name", sorted(set(EDGES) | {name for name, op in TABLE.items() if op.arity == 1 and name in BUILT_IN})
)
def test_edges_equal_pytorch(name):
    for numbers in EDGES.get(name) or [(x,) for x in UNARY_EDGES]:
        (value, gradients), (reference, expected) = both(TABLE[name], numbers)
        assert close(value, reference), (name, numbers, value, reference)
        for ours, theirs in zip(gradients, expected, strict=True):
            assert close(ours, theirs), (name, numbers, gradients, expected)


@pytest.mark.parametrize(("name", "numbers"), [("relu", (-1.0,)), ("maximum", (1.0, 2.0)), ("pow", (3.0, 0.0))])
def test_an_infinite_gradient_is_masked_and_not_multiplied_by_zero(name, numbers):
    (_, gradients), (_, expected) = both(TABLE[name], numbers, upstream=inf)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert close(ours, theirs)


def test_softmax_family_is_stable_and_equals_pytorch():
    from spellout.autograd.functions import log_softmax, softmax

    for numbers in [[1000.0, -1000.0, 999.0], [0.1, 0.2, -0.3], [-1e4, -1e4 - 1]]:
        for ours, theirs in ((softmax, torch.softmax), (log_softmax, torch.log_softmax)):
            for chosen in range(len(numbers)):
                values = [Value(x) for x in numbers]
                outs = ours(values)
                outs[chosen].backward()
                tensor = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
                reference = theirs(tensor, 0)
                reference[chosen].backward()
                assert all(close(a.data, b) for a, b in zip(outs, reference.tolist(), strict=True))
                assert all(close(v.grad, g) for v, g in zip(values, tensor.grad.tolist(), strict=True))


def test_rows_are_functions_of_plain_numbers_too():
    assert ops.exp(0.0) == 1.0
    assert ops.pow(2, 10) == 1024.0
    assert isinstance(ops.exp(Value(0.0)), Value)
    assert ops.leaky_relu(-1.0) == -0.01


def test_every_row_of_one_argument_is_a_method():
    for name in BUILT_IN:
        if TABLE[name].arity == 1:
            method = "__neg__" if name == "neg" else name
            assert getattr(Value(0.5), method)().op is TABLE[name]
