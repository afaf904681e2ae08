"""The printed listing of a program: it is read by people, so it is spelled out here."""

import pytest

from spellout import Value, operation, pick, record, where
from spellout.autograd.functions import logsumexp
from spellout.autograd.functions import sum as sum_of

LISTING = """\
program: 3 floats and 1 integers per example, 7 parameters, 9 instructions (2 dot, 1 tanh, 1 pick, 1 sub, \
1 where, 1 select, 1 div, 1 logsumexp)
    r0 = w·x0 + p1·x1 + b
    r1 = tanh(r0)
    r2 = table0[i0][0]
    r3 = x2 - 0.5
    r4 = where(r3, r1, r2)
    r5 = [x0, x1][i0]
    r6 = r5 / r4
    r7 = logsumexp(r1, r6, r4, r2, … 4 more)
    r8 = x0·r7 + x1·r7 + x0·x1 + x2·x2 + … 3 more
return r4, r8"""


def test_the_listing():
    w, b = [Value(1.0, label="w"), Value(2.0)], Value(3.0, label="b")
    table = [[Value(0.1), Value(0.2)], [Value(0.3), Value(0.4)]]

    def function(x, y, i):
        hidden = (w[0] * x[0] + w[1] * x[1] + b).tanh()
        row = pick(table, i)[0]
        chosen = where(y - 0.5, hidden, row)
        ratio = pick(x, i) / chosen
        total = logsumexp([hidden, ratio, chosen, row, hidden, hidden, ratio, 1.0])
        products = [x[0] * total, x[1] * total, x[0] * x[1], y * y, ratio * ratio, row * ratio, row * hidden]
        return [chosen, sum_of(products)]

    program = record(function, [1.0, 1.0], 1.0, 0)
    assert str(program) == LISTING


@pytest.mark.usefixtures("_table_restored")
def test_operations_of_ones_own_and_signs():
    square = operation("square_", lambda x: x * x, lambda x: 2 * x)
    a = Value(1.0, label="a")
    lines = str(record(lambda x: -(square(x - a) ** 3), 1.0)).splitlines()
    assert lines[0].endswith("6 instructions (2 mul, 1 sub, 1 own, 1 pow, 1 neg)")
    assert lines[1:] == [
        "    r0 = x0 - a",
        "    r1 = r0 * r0",
        "    r2 = 2 * r0",
        "    r3 = square_(r0)",
        "    r4 = r3 ** 3",
        "    r5 = neg(r4)",
        "return r5",
    ]


def test_every_instruction_knows_its_line():
    def function(x):
        y = x + 1
        return y.tanh() * y

    first = function.__code__.co_firstlineno
    lines = [i.line.rsplit("/")[-1] for i in record(function, 1.0).instructions if i.line]
    assert lines == [f"test_listing.py:{first + n}" for n in (1, 2, 2)]
