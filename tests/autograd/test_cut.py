"""A graph that `math` cuts is told once for each place, with the line; taking a number on purpose is not."""

import math
import struct
import subprocess
import sys
import warnings
from math import sqrt

import numpy as np
import pytest

import spellout
from spellout import SpelloutError, Value
from spellout.errors import GraphCutWarning, SpelloutWarning


def lines_warned(function, *arguments):
    """What was warned about while a function ran: (lines from its first, messages)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    first = function.__code__.co_firstlineno
    assert all(w.category is GraphCutWarning and w.filename == __file__ for w in caught)
    return [w.lineno - first for w in caught], [str(w.message) for w in caught]


def test_the_line_the_function_and_the_remedy():
    def script(v):
        a = v * 2
        return math.exp(a)

    lines, (message,) = lines_warned(script, Value(1.0))
    assert lines == [2]
    assert "math.exp takes the plain number out of a Value, so no gradient goes through it" in message
    assert "use spellout.exp instead" in message
    assert spellout.exp(Value(1.0)).data == math.exp(1.0)
    assert issubclass(GraphCutWarning, SpelloutWarning)
    assert issubclass(GraphCutWarning, UserWarning)
    assert not issubclass(GraphCutWarning, SpelloutError)


def test_once_for_each_place():
    def script(values):
        for v in values:
            math.log(v)
        return [math.log(v) for v in values]

    values = [Value(x) for x in (1.0, 2.0, 3.0)]
    assert lines_warned(script, values)[0] == [2, 3]
    assert lines_warned(script, values)[0] == []


def test_however_the_function_is_called():
    import math as m

    def script(v, values):
        square_root = math.sqrt
        sqrt(v)
        m.sqrt(v)
        square_root(v)
        math.pow(2.0, v)
        max(1.0, math.sin(v) + 1.0)
        float(math.cos(v * 2))
        list(map(math.exp, values))
        for _ in map(math.tanh, values):
            pass
        math.fsum(values)
        math.atan2(v, 1.0)
        (lambda: math.erf(v))()
        list(map(square_root, values))
        call(math.expm1, v)

    def call(function, argument):
        function(argument)

    lines, messages = lines_warned(script, Value(0.5), [Value(0.5), Value(0.25)])
    assert [line for line in lines if line > 0] == [2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 17 + 1]
    assert ["spellout.operation" in m for m in messages].count(True) == 1  # atan2
    assert "math.pow" in messages[3]
    assert "use ** instead" in messages[3]


def test_taking_the_number_on_purpose_is_quiet():
    def script(v, values):
        float(v)
        float(v) + math.exp(1.0)
        math.exp(float(v)) + math.exp(v.data)
        max(float(v), math.exp(0.0))
        round(v, 2)
        print(f"{v:.3f}", "%.3f %.3f" % (v, math.exp(1.0)), format(v, ".2f"), v)  # noqa: UP031
        np.array([float(x) for x in values])
        np.array([math.exp(1.0), *values], dtype=float)
        np.float64(v)
        math.isnan(v), math.isfinite(v), math.isclose(v, 0.5), math.floor(v)
        struct.pack("d", v)
        np.array([v, {"sqrt": 1.0}["sqrt"]], dtype=float)
        spellout.exp(v), v.exp()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script(Value(0.5), [Value(0.5), Value(0.25)])


def test_without_positions_nothing_is_said():
    """Python can be told to leave the positions out; then nobody can know."""
    code = "import math\nfrom spellout import Value\nprint(math.exp(Value(0.0)))"
    done = subprocess.run([sys.executable, "-X", "no_debug_ranges", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1.0\n", "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1.0\n"
    assert "<string>:3: GraphCutWarning: math.exp" in done.stderr


@pytest.mark.usefixtures("_table_restored")
def test_an_operation_with_a_derivative_of_math_is_refused_and_not_warned_of():
    wave = spellout.operation("wave", math.sin, lambda x: math.cos(x))
    x = Value(0.5)
    y = wave(x)
    with pytest.raises(SpelloutError, match="cannot be differentiated again"):
        spellout.grad(y, x, create_graph=True)


def test_places_are_kept_only_so_many(monkeypatch):
    from spellout.autograd import conversion as cut

    monkeypatch.setattr(cut, "_MOST_PLACES", 3)
    monkeypatch.setattr(cut, "_looked_at", {})
    for i in range(10):
        names = {"v": Value(1.0)}
        exec(compile(f"a = {i}\nb = float(v)", "a cell", "exec"), names)
    assert len(cut._looked_at) <= 3
