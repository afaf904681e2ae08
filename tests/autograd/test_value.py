"""Value: what it accepts, how gradients accumulate, depth, copies, micrograd's counterexamples."""

import copy
import gc
import math
import operator
import pickle
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from spellout import SpelloutError, Value
from spellout.autograd.functions import dot, mean, sum
from spellout.errors import GraphError, ShapeError, ValueTypeError

builtin_sum = sum.__globals__["__builtins__"]["sum"]


@pytest.mark.parametrize(
    "number",
    [
        *[3, 3.0, True, Fraction(3, 2), Decimal("1.5"), np.float64(2), np.float32(2), np.float16(2)],
        *[np.int8(2), np.uint64(2), np.longdouble(2), np.bool_(True)],
    ],
    ids=lambda number: type(number).__name__,
)
def test_every_real_scalar_is_accepted(number):
    assert Value(number).data == float(number)
    assert type(Value(number).data) is float
    x = Value(2.0)
    for op in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        assert op(x, number).data == op(2.0, float(number))
        assert op(number, x).data == op(float(number), 2.0)
    x.data = number
    assert type(x.data) is float


@pytest.mark.parametrize(
    ("thing", "fragment"),
    [
        ("2", "convert text"),
        (None, "forget to return"),
        (2j, "real numbers"),
        ([1.0], "one number"),
        (np.array([1.0, 2.0]), "one number"),
        (np.array(1.0), "one number"),
        (Value(1.0), "is a Value already"),
        (torch.tensor(1.0), "one number"),
        (10**400, "too large"),
        (object(), "give an int"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_anything_else_is_refused_with_a_sentence(thing, fragment):
    with pytest.raises(ValueTypeError, match=fragment) as caught:
        Value(thing)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, SpelloutError)
    if not isinstance(thing, Value | np.ndarray):  # with an array, arithmetic goes element by element
        with pytest.raises(ValueTypeError, match=fragment):
            Value(1.0) * thing


def test_a_label_is_text():
    with pytest.raises(ValueTypeError, match=r"spellout\.operation"):
        Value(1.0, label=3)
    with pytest.raises(ValueTypeError, match=r"a label is given as label="):
        Value(1.0, 3)
    assert Value(1.0, label="a").label == "a"
    assert repr(Value(1.5, "a")) == "Value(data=1.5, grad=0.0, label='a')"
    assert f"{Value(1.23456):.2f}" == "1.23"


def tensor(x):
    return torch.tensor(float(x), dtype=torch.float64, requires_grad=True)


def test_a_node_used_twice():
    a, t = Value(3.0), tensor(3)
    b, s = a + a, t + t
    (b + b).backward()
    (s + s).backward()
    assert a.grad == t.grad.item() == 4.0


def test_backward_twice_accumulates_in_leaves_only():
    a, t = Value(2.0), tensor(2)
    y, s = (a * 1.0) ** 1, (t * 1.0) ** 1
    y.backward()
    y.backward()
    s.backward(retain_graph=True)
    s.backward()
    assert a.grad == t.grad.item() == 2.0


def test_two_roots_that_share_a_node():
    x, t = Value(3.0), tensor(3)
    shared, theirs = x * x, t * t
    (shared * 2.0).backward()
    (shared * 1.5).backward()
    (theirs * 2.0).backward(retain_graph=True)
    (theirs * 1.5).backward()
    assert x.grad == t.grad.item() == 21.0


def test_a_leaf_zeroed_between_two_calls():
    x, t = Value(3.0), tensor(3)
    y, s = x * x * x, t * t * t
    y.backward()
    x.grad = 0
    y.backward()
    s.backward(retain_graph=True)
    t.grad = None
    s.backward()
    assert x.grad == t.grad.item() == 27.0


def test_zero_grad_reaches_every_node():
    x = Value(3.0)
    y = x * x + x
    y.backward()
    y.zero_grad()
    assert [x.grad, y.grad, *[p.grad for p in y.parents]] == [0.0] * 4


def test_backward_of_a_leaf():
    x = Value(3.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0


def test_division_is_exact_where_a_reciprocal_is_not():
    wrong = 0
    for a in range(1, 100):
        for b in range(1, 100):
            assert (Value(a) / Value(b)).data == a / b
            wrong += a * b**-1 != a / b
    assert wrong > 1000  # the product with a reciprocal is not the quotient


def test_never_a_zero_division_nor_a_complex_number():
    assert (Value(0) ** -1).data == math.inf
    assert math.isnan((Value(-1) ** 0.5).data)
    assert (1 / Value(0)).data == math.inf
    assert (Value(1000).exp()).data == math.inf
    assert Value(0).log().data == -math.inf
    assert (0 ** Value(0)).data == 1.0


def test_stable_at_a_thousand():
    for x in (-1000.0, 1000.0):
        for method in ("tanh", "sigmoid", "softplus", "silu", "gelu", "elu"):
            v = Value(x)
            y = getattr(v, method)()
            y.backward()
            assert math.isfinite(y.data)
            assert math.isfinite(v.grad)


def test_comparisons_look_at_the_data_and_hashes_at_the_identity():
    a, b, c = Value(1.0), Value(2.0), Value(1.0)
    assert a < b
    assert b >= 2
    assert a <= c
    assert a == c == 1
    assert a != b
    assert a < np.int64(3)
    assert max(a, b, c) is b
    assert [v.data for v in sorted([b, a, Value(-3)])] == [-3.0, 1.0, 2.0]
    assert len({a, c}) == 2
    assert (a == "1") is False
    assert not Value(0.0)
    assert Value(math.nan) != Value(math.nan)
    with pytest.raises(TypeError):
        assert a < "1"


def test_item_float_and_names_of_micrograd():
    a = Value(3.0)
    b = a**2 + 1
    assert b.item() == float(b) == 10.0
    assert b._op == "+"
    assert {node._op for node in b._prev} == {"**2", ""}
    assert a._prev == set()
    assert a._op == ""


def test_a_leaf_changed_after_the_forward_pass_is_noticed():
    x, w = Value(2.0, label="x"), Value(3.0)
    y = x * w
    x.data = 5.0
    with pytest.raises(GraphError, match=r"'x' was changed \(to 5\) after '\*' had used it"):
        y.backward()
    (x * w).backward()
    assert w.grad == 5.0


def test_training_and_new_graphs_do_not_trip_the_check():
    x = Value(1.0)
    y = x * 2
    other = Value(1.0)
    other.data = 2.0  # newer than y, but no part of it
    y.backward()
    for _ in range(3):
        loss = (x * other - 1) ** 2
        x.grad = other.grad = 0.0
        loss.backward()
        x.data -= 0.1 * x.grad
        other.data -= 0.1 * other.grad
    assert loss.data < 1.0


def test_an_interior_node_overwritten_is_noticed():
    x = Value(2.0)
    e = x.exp()
    y = e * 3
    e.data = 1.0
    for root in (y, e):
        with pytest.raises(GraphError, match="changed"):
            root.backward()


def test_a_million_operations_in_a_row():
    x = Value(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + 1.0
    y.backward()
    assert y.data == 1_000_001.0
    assert x.grad == 1.0
    del y  # freeing it must not recurse either


def test_a_sum_of_a_hundred_thousand_terms():
    terms = [Value(i) for i in range(100_000)]
    for total in (builtin_sum(terms), sum(terms), dot(terms, [1.0] * len(terms)), mean(terms) * len(terms)):
        for term in terms:
            term.grad = 0.0
        total.backward()
        assert total.data == 4_999_950_000.0
        assert all(abs(term.grad - 1.0) < 1e-12 for term in terms)


def deep_graph():
    x = Value(1.5, label="x")
    y = x
    for _ in range(50_000):
        y = y * 0.9999 + x
    return x, y


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))], ids=["copy", "pickle"])
def test_copies_of_a_graph_a_hundred_thousand_deep(clone):
    x, y = deep_graph()
    y.label = "y"
    y.backward()
    twin_x, twin = clone([x, y])
    assert twin is not y
    assert (twin.data, twin.grad, twin.label, twin_x.label) == (y.data, 1.0, "y", "x")
    assert twin_x.grad == x.grad
    twin_x.grad = 0.0
    twin.backward()
    assert twin_x.grad == x.grad  # the leaf beside the root in the list is the leaf in its graph


def test_a_deep_copy_keeps_what_is_shared():
    x = Value(2.0)
    inner = x * 3
    a, b, middle = copy.deepcopy([inner + 1, inner + 2, inner])
    assert a.parents[0] is b.parents[0] is middle
    copied = copy.copy(x)
    assert copied is not x
    assert copied.data == 2.0


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))], ids=["copy", "pickle"])
def test_a_stale_graph_stays_stale_in_a_copy(clone):
    x = Value(2.0)
    y = x * x + 1.0
    x.data = 3.0
    with pytest.raises(GraphError):
        clone(y).backward()
    e = Value(1.0).exp()
    f = e + 1
    e.data = 0.0
    with pytest.raises(GraphError):
        clone(f).backward()


def test_the_garbage_collector_finds_nothing():
    from spellout import MLP, grad

    gc.collect()
    gc.disable()
    try:
        model = MLP(3, [4, 1])
        loss = builtin_sum((model([1.0, x, -x]) - 1) ** 2 for x in (0.5, 1.5))
        loss.backward()
        first = grad(loss, model.parameters(), create_graph=True)
        grad(first[0], model.parameters())
        del model, loss, first
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_last_bits_are_the_same_in_every_process():
    code = (
        "import random; from spellout import MLP, Value; random.seed(3); m = MLP(3, [8, 8, 1]);"
        "loss = sum((m([a, a * a, 1 / a]) - a).tanh() ** 2 / a.exp() for a in map(Value, (0.3, 0.7, 1.9)));"
        "loss.backward(); print([p.grad.hex() for p in m.parameters()])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(runs) == 1


def test_importing_the_engine_imports_neither_numpy_nor_torch():
    lines = [
        "import sys, spellout as s",
        "s.Value(2.0).tanh().backward()",
        "s.MLP(2, [2, 1])([1.0, 2.0]).backward()",
        "s.draw(s.Value(1.0) + 1).html()",
        "s.gradcheck(lambda x: x * x, 3.0)",
        "print([name for name in ('numpy', 'torch', 'numba', 'safetensors') if name in sys.modules])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_many_argument_functions_say_what_is_wrong():
    with pytest.raises(ShapeError, match="3 and 2 numbers"):
        dot([1, 2, 3], [1, 2])
    with pytest.raises(ShapeError, match="at least one"):
        mean([])
    assert sum([]).data == 0.0


def test_comparisons_take_every_real_number():
    assert Value(1.0) == Decimal(1)
    assert (Value(1.0) != Decimal(1)) is False
    assert Value(1.0) == np.bool_(True)
    assert Value(2.0) > Decimal("1.5")
    assert Value(1.0) != "1"
    with pytest.raises(TypeError):
        Value(1.0) < "2"  # noqa: B015
