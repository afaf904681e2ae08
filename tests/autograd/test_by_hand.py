"""Values made by hand, with a `_backward`: what knows nothing of that function refuses them by a sentence."""

import copy
import math
import pickle

import pytest

from spellout import Value, check_rules, draw, explain, grad, hessian, record
from spellout.errors import GraphError, RecordingError, ValueTypeError


def cube(x):
    out = Value(x.data**3, (x,), "cube")

    def _backward():
        x.grad += 3 * x.data**2 * out.grad

    out._backward = _backward
    return out


def test_backward_goes_through_as_often_as_it_is_asked():
    x = Value(2.0)
    y = cube(x * 1.5) + cube(x)
    y.backward()
    assert y.data == 27.0 + 8.0
    assert x.grad == 3 * 9.0 * 1.5 + 3 * 4.0
    y.backward()
    assert x.grad == 2 * (3 * 9.0 * 1.5 + 3 * 4.0)
    y.zero_grad()
    assert x.grad == 0.0


def test_a_function_may_replace_that_of_an_ordinary_node():
    x = Value(2.0)
    y = x * x
    y._backward = lambda: setattr(x, "grad", x.grad + 100.0 * y.grad)
    (y * 2).backward()
    assert x.grad == 200.0
    assert y._op == "*"


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda x, y: grad(y, x), "differentiated by grad"),
        (lambda x, y: grad(y, x, create_graph=True), "differentiated by grad"),
        (lambda x, y: hessian(y, [x]), "differentiated by grad"),
        (lambda x, y: explain(y, x), "differentiated by grad"),
        (lambda x, y: check_rules(y), "checked"),
        (lambda x, y: draw(y).html(), "played"),
        (lambda x, y: copy.deepcopy(y), "copied"),
        (lambda x, y: pickle.dumps(y), "pickled"),
    ],
)
def test_what_knows_nothing_of_the_function_refuses(use, what):
    x = Value(2.0)
    y = cube(x) + 1.0
    with pytest.raises(GraphError, match=rf"made by hand \('cube'\) cannot be {what}.*spellout\.operation"):
        use(x, y)


def test_it_can_be_drawn():
    y = cube(Value(2.0, label="x"))
    assert "cube" in draw(y).svg()
    assert "cube" in draw(y).dot()


def test_a_recording_names_the_line():
    with pytest.raises(RecordingError, match=r"test_by_hand\.py:\d+ uses `\.data`"):
        record(cube, 1.0)
    with pytest.raises(RecordingError, match=r"test_by_hand\.py:\d+ uses `Value\(data, children, \.\.\.\)`"):
        record(lambda x: Value(1.0, (x,), "one"), 1.0)


def test_children_without_a_function_stop_backward_by_a_sentence():
    y = Value(8.0, (Value(2.0),), "cube") * 2.0
    with pytest.raises(GraphError, match=r"'cube'\) and has no `_backward`"):
        y.backward()


def test_a_function_on_a_value_without_children_would_never_be_called():
    x = Value(2.0)
    out = Value(math.exp(x.data))
    with pytest.raises(GraphError, match=r"has no children; .*Value\(data, \(x, y\), 'name'\)"):
        out._backward = lambda: setattr(x, "grad", out.data * out.grad)
    out._backward = None
    out._backward = lambda: None  # as micrograd's constructor does
    (out * 3).backward()
    assert (out.grad, x.grad) == (3.0, 0.0)


@pytest.mark.parametrize("children", [(1.0,), 2.0, [Value(1.0), None]])
def test_children_are_values(children):
    with pytest.raises(ValueTypeError, match="a tuple of Values"):
        Value(1.0, children, "op")


def test_a_leaf_may_say_what_it_is():
    x = Value(2.0, (), "input", label="x")
    (x * 3).backward()
    assert (x._op, x.label, x.grad, x._prev) == ("input", "x", 3.0, set())
    assert copy.deepcopy(x).data == pickle.loads(pickle.dumps(x)).data == 2.0


class Painted(Value):
    """At module level, for pickle."""


@pytest.mark.parametrize("clone", [copy.deepcopy, copy.copy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_keep_classes_and_attributes(clone):
    x = Painted(2.0, label="x")
    x.color, x.friends = "red", ["a"]
    y = x * 3 + 1
    y.note = {"depth": 2}
    twin = clone(y)
    leaf = next(v for v in twin.parents[0].parents if v.label == "x")
    assert (type(twin), twin.note, vars(twin)) == (Painted, {"depth": 2}, {"note": {"depth": 2}})
    assert (type(leaf), leaf.color, leaf.friends) == (Painted, "red", ["a"])
    twin.backward()
    assert leaf.grad == 3.0
    if clone is copy.deepcopy:
        assert leaf is not x
        assert leaf.friends is not x.friends


def test_a_backward_may_wrap_the_one_that_was_there():
    x = Value(3.0)
    y = x * x
    before = y._backward

    def halved():
        y.grad *= 0.5
        before()

    y._backward = halved
    (y * 1.0).backward()
    assert x.grad == 3.0
