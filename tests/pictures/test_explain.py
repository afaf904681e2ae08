"""The chain rule in words: every path, its product, and the sum."""

import pytest

from spellout import Value, explain
from spellout.errors import GraphError


def test_one_path():
    x, y = Value(2.0, label="x"), Value(5.0, label="y")
    z = (x * y).tanh() * 0 + x * 3
    z.label = "z"
    n = x * y
    n.label = "n"
    assert explain(n, x).splitlines() == [
        "How n = 10 moves with x = 2: 1 path",
        "path 1",
        "  n = x * y   d n / d x = 5",
        "  5 = 5",
        "d n / d x = 5",
    ]


def test_paths_add_up():
    a = Value(3.0, label="a")
    b = a + a
    b.label = "b"
    c = b * a
    c.label = "c"
    text = explain(c, a)
    assert "3 paths" in text
    assert text.endswith("d c / d a = 3 + 3 + 6 = 12")


def test_many_paths_are_counted_and_summed():
    x = Value(1.0, label="x")
    y = x
    for _ in range(40):
        y = y + y
    text = explain(y, x, paths=2)
    assert "1,099,511,627,776 paths" in text
    assert "1,099,511,627,774 more paths: 1.09951e+12" in text
    assert text.count("path ") == 2


def test_a_long_path_is_shortened():
    x = Value(1.0, label="x")
    y = x
    for _ in range(100_000):
        y = y * 1.0
    text = explain(y, x)
    assert "99,976 more" in text
    assert len(text.splitlines()) < 40


def test_any_node_between_and_negative_factors():
    x = Value(2.0, label="x")
    m = -x
    m.label = "m"
    y = m * m + m.maximum(5.0)
    assert "d v3 / d m = (-2) + (-2) + 0 = -4" in explain(y, m)
    assert explain(m, x).splitlines()[2] == "  m = -x   d m / d x = -1"


def test_what_was_not_used_cannot_be_explained():
    x = Value(2.0)
    with pytest.raises(GraphError, match="was not computed from 'y'"):
        explain(x * 2, Value(1.0, label="y"))
    with pytest.raises(GraphError, match="was not computed from"):
        explain(x, x)
