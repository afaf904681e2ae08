"""One operation is one row: what is added to the table exists everywhere at once.

A copy of the package gets two rows more, one made of other operations and one that every language has a word for.
It runs in a process of its own, as compiled code has the rows that the table had when it was imported.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import spellout

ROWS = """
cosh = _made("cosh", 1, lambda x: 0.5 * (exp(x) + exp(-x)), lambda out, x: (0.5 * (exp(x) - exp(-x)),))
atan = _primitive("atan", 1, math.atan, lambda out, x: (1.0 / (1.0 + x * x),))
"""
BEFORE = "\n# Activation functions"
EVERYWHERE = """
import math

import numpy as np

from spellout import Value, check_rules, grad, gradcheck, record
from spellout.autograd import ops
from spellout.autograd.ops import atan, cosh
from spellout.nn.layers import MLP
from spellout.pictures.expression import evaluate
from spellout.programs.machine.machine_code import eligible
from spellout.programs.optimizers import SGD
from spellout.programs.trainer import Trainer

DERIVATIVES = {  # of math's function of the same name: the first and the second
    "cosh": (math.sinh, math.cosh),
    "atan": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
}
POINTS = [-2.0, -0.3, 0.0, 0.5, 3.0]


def close(ours, theirs):
    return np.allclose(ours, theirs, rtol=1e-14, atol=1e-15)


for name, (first, second) in DERIVATIVES.items():
    of_numbers, row = getattr(math, name), ops.TABLE[name]
    for point in POINTS:  # eagerly: a function, a method, derivatives of every order, the gradient check
        x = Value(point)
        y = getattr(x, name)()
        y.backward()
        assert y.op is row
        assert type(row(point)) is float
        assert close([row(point), y.data, x.grad], [of_numbers(point), of_numbers(point), first(point)])
        slope = grad(row(x), x, create_graph=True)
        assert close([slope.data, grad(slope, x).data], [first(point), second(point)])
        assert all(check_rules(row(x)))
        assert gradcheck(row, point)
    assert name in dir(Value)
    assert name in getattr(Value, name).__doc__
    assert name in str(record(lambda x: row(x), 0.5))

    # recorded, by the kernels and as machine code: values and the gradient of their mean
    w = Value(0.7)
    program = record(lambda x: row(w * x), 0.5, parameters=[w])
    x = np.array(POINTS)
    assert close(program(x), [of_numbers(0.7 * p) for p in POINTS])
    mean, gradient = program.gradient(x)
    wanted = np.mean([first(0.7 * p) * p for p in POINTS])
    assert close(gradient, [wanted])
    trainer = Trainer(program, SGD(lr=1.0), compiled=True)
    assert eligible(program) and trainer.compiled
    assert close(trainer.step(x), mean)
    assert close(trainer.weights, [0.7 - wanted])

    # derivatives inside a program, a network's activation, a formula of the command line
    inside = record(lambda x: grad(row(x), x, create_graph=True), 0.5)
    assert close(inside(x), [first(p) for p in POINTS])
    assert MLP(1, [2, 1], activation=name)([0.5]).data
    assert close(evaluate(f"{name}(a)", {"a": 0.5}).data, of_numbers(0.5))
assert cosh(1000.0) == math.inf
"""


def test_a_row_is_all_that_a_new_operation_takes(tmp_path):
    home = Path(spellout.__file__).parent
    shutil.copytree(home, tmp_path / "spellout", ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "spellout" / "autograd" / "ops.py"
    text = table.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    table.write_text(text.replace(BEFORE, ROWS + BEFORE), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", EVERYWHERE],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
