"""`spellout draw`, and the formulas it reads."""

import math

import pytest

from spellout.app.cli import run_command
from spellout.errors import ExpressionError
from spellout.pictures.expression import evaluate


def test_values_gradients_and_every_path_on_stdout(capsys):
    assert run_command(["draw", "tanh(a*b + 7)", "a=2", "b=-3"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["value", "formula", "data", "gradient"]
    assert lines[1].split() == ["a", "2", "-1.25992"]
    assert "d result / d b = 0.839949" in out
    assert err == ""


@pytest.mark.parametrize(("suffix", "start"), [("svg", "<svg"), ("dot", "digraph"), ("html", "<!doctype html>")])
def test_a_file_is_written_by_its_ending(tmp_path, capsys, suffix, start):
    file = tmp_path / f"graph.{suffix}"
    assert run_command(["draw", "-a*2", "a=3", "-o", str(file)]) == 0
    assert file.read_text(encoding="utf-8").startswith(start)
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"wrote {file}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["a+b", "a=1"], 2, "'b' has no value; give it one, as in b=2"),
        (["a+", "a=1"], 2, "'a+' is not a formula"),
        (["a", "a=x"], 2, "a needs a number, got 'x'"),
        (["a", "a"], 2, "'a' is not a name and a number, as in a=2"),
        (["a", "a=1", "a=2"], 2, "'a' is given twice"),
        (["tnh(a)", "a=1"], 2, "no operation is called 'tnh'; did you mean tanh?"),
        (["tanh(a, a)", "a=1"], 2, "tanh needs 1 argument, got 2"),
        (["tanh + 1"], 2, "tanh is an operation; write it as tanh(...)"),
        (["__import__('os')"], 2, "no operation is called '__import__'"),
        (["a.real", "a=1"], 2, "'a.real' cannot be part of a formula"),
        (["[a for a in a]", "a=1"], 2, "cannot be part of a formula"),
        (["lambda: 1"], 2, "cannot be part of a formula"),
        (["2j"], 2, "'2j' cannot be part of a formula"),
        (["import os"], 2, "cannot be part of a formula"),
        (["a = 1; a", "a=1"], 2, "'a' has a value already"),
        ([""], 2, "the formula is empty"),
        (["+".join("a" * 9000), "a=1"], 2, "nested too deeply"),
        (["a\0"], 2, "not a formula"),
        (["a", "a=1", "-o", "graph.png"], 2, "svg, dot or html, not as 'png'"),
        (
            ["a", "a=1", "-o", "no/such/folder/graph.svg"],
            1,
            "no/such/folder/graph.svg cannot be written: there is no folder no/such/folder",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(capsys, arguments, code, sentence):
    assert run_command(["draw", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.startswith("spellout: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3 - 4/8", 6.5),
        ("-x**2", -9.0),
        ("2**-1", 0.5),
        ("+x - -x", 6.0),
        ("max(x, 4) + min(x, 1)", 5.0),
        ("sum(x, 1, 2) + mean(1, 3)", 8.0),
        ("sin(pi/2) + log(e)", 2.0),
        ("n = x*2; m = n; tanh(m - 6)", 0.0),
        ("leaky_relu(-x) + elu(x)", 2.97),
        ("1/0", math.inf),
    ],
)
def test_formulas(text, expected):
    assert evaluate(text, {"x": 3.0}).data == pytest.approx(expected, rel=1e-15)


def test_a_name_is_one_leaf_and_steps_become_labels():
    root = evaluate("n = a*a; m = n; m + n", {"a": 3.0})
    root.backward()
    n = root.parents[0]
    assert n is root.parents[1]
    assert (n.label, root.label) == ("n", "result")
    assert n.parents[0] is n.parents[1]
    assert n.parents[0].grad == 12.0
    with pytest.raises(ExpressionError):
        evaluate("print(1)", {})
