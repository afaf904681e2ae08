"""Programs as C and JavaScript: numbers and gradients of the program itself, and of Values where it has none."""

import ctypes
import json
import math
import random
import shutil
import subprocess
from itertools import product

import numpy as np
import pytest

from compilers import COMPILERS, STRICT, compiled, needs
from spellout import MLP, Value, export_program, grad, operation, pick, record, where
from spellout.autograd.functions import dot, largest, log_softmax, logsumexp, mean, softmax
from spellout.autograd.functions import sum as sum_of
from spellout.autograd.ops import ELEMENTWISE
from spellout.errors import SpelloutError, UsageError
from spellout.nn import Embedding
from spellout.nn.losses import cross_entropy

_CODE = """
const fs = require("fs"), {{ {name}, {name}_parameters }} = require(process.argv[1]);
const read = one => one === "nan" ? NaN : one === "inf" ? Infinity : one === "-inf" ? -Infinity : Number(one);
const shown = one => String(one).replace("Infinity", "inf").replace("NaN", "nan");
const found = JSON.parse(fs.readFileSync(0, "utf8")).map(given => {{
  const [p, x, n, seeds] = given.map(one => one.map(read)), gradient = p.map(() => 0);
  const results = {name}({call});
  return [[results].flat().map(shown), gradient.map(shown)];
}});
console.log(JSON.stringify([found, {name}_parameters.map(shown)]));
"""


class Exported:
    """A program that was written in a language, and can be asked."""

    def __init__(self, program, language, folder, name="asked"):
        self.program, self.language, self.name = program, language, name
        self.several, self.count = program.shape != (), len(program.parameters)
        self.now = [one.data for one in program.parameters]
        self.given = [kind for kind in ("p", "x", "n") if self._there(kind)]
        self.path = folder / f"{name}.{language}"
        self.path.write_text(export_program(program, language, name))
        if language == "c":
            needs("gcc")
            library = compiled(self.path, folder / f"{name}.so", "gcc", "-shared", "-fPIC")
            self.library = ctypes.CDLL(str(library))
            self.function = getattr(self.library, name)
            self.function.restype = None if self.several else ctypes.c_double
        elif shutil.which("node") is None:
            pytest.skip("Node is not installed: apt-get install nodejs")

    def _there(self, kind):
        counts = {"p": self.count, "x": self.program.inputs("float"), "n": self.program.inputs("integer")}
        return counts[kind] > 0

    def of(self, parameters, example, seeds=None):
        """Results and gradient of one example."""
        floats, integers = [], []
        for argument, one in zip(self.program.arguments, example, strict=True):
            (floats if argument.kind == "float" else integers).extend(np.ravel(one).tolist())
        seeds = list(seeds if seeds is not None else [1.0] * len(self.program.outputs))
        run = self._in_c if self.language == "c" else self._in_js
        return run(list(parameters), floats, integers, seeds)

    def _in_c(self, p, x, n, seeds):
        arrays = {
            "p": (ctypes.c_double * len(p))(*p),
            "x": (ctypes.c_double * len(x))(*x),
            "n": (ctypes.c_int * len(n))(*n),
        }
        given = [arrays[kind] for kind in self.given]
        gradient, results = (ctypes.c_double * max(len(p), 1))(), (ctypes.c_double * len(seeds))()
        if self.several:
            self.function(*given, results, (ctypes.c_double * len(seeds))(*seeds), gradient)
        else:
            results = [self.function(*given, gradient)]
            assert str(self.function(*given, None)) == str(results[0])
        return np.array(list(results)), np.array(list(gradient)[: len(p)])

    def _in_js(self, p, x, n, seeds):
        call = ", ".join([*self.given, *(["seeds"] if self.several else []), "gradient"])
        asked = json.dumps([[[str(one) for one in several] for several in (p, x, n, seeds)]])
        script = _CODE.format(name=self.name, call=call)
        done = subprocess.run(
            ["node", "-e", script, str(self.path)], input=asked, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr[-2000:]
        ((results, gradient),), parameters = json.loads(done.stdout)
        assert list(map(float, parameters[: self.count])) == self.now
        return np.array(list(map(float, results))), np.array(list(map(float, gradient)))


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


W = [Value(0.7), Value(-0.4), Value(1.3), Value(0.2)]
TABLE = [[Value(0.1 * row - 0.3 * column + 0.05 * row * column) for column in range(3)] for row in range(4)]
NET = MLP(2, [16, 16, 1], rng=random.Random(1))
LETTERS = Embedding(4, 3, random.Random(2))
WIDE = MLP(6, [5, 4], activation="tanh", rng=random.Random(3))
CUBE = operation("exported_cube", lambda x, y: x * x * x * y, lambda x, y: (3.0 * x * x * y, x * x * x))


def letter_loss(context, target):
    return cross_entropy(WIDE([number for token in context for number in LETTERS(token)]), target)


def greeks(spot, rate, volatility, years):
    spread = volatility * years.sqrt()
    first = ((spot / (100.0 * W[0])).log() + (rate + volatility**2 / 2) * years) / spread
    chances = [0.5 * (1 + (one / math.sqrt(2)).erf()) for one in (first, first - spread)]
    price = spot * chances[0] - 100.0 * W[0] * (-rate * years).exp() * chances[1]
    return [price, grad(price, spot, create_graph=True)]


PROGRAMS = {
    "moons": (lambda x, y: (1 - y * NET(x)).relu(), [([0.3, -0.9], 1.0), ([1.5, 0.2], -1.0)]),
    "letters": (letter_loss, [([0, 1], 2), ([3, 3], 0), ([1, 2], 3)]),
    "greeks": (greeks, [(80.0, 0.02, 0.2, 1.0), (120.0, 0.01, 0.3, 2.0)]),
    "sums": (
        lambda x: (
            sum_of([x[0], *W]) * mean([*x, W[1]]) + dot(W, [x[0], x[1], x[0], W[3]]) - dot(W[:2], [x[1], 2.0], W[2])
        ),
        [([0.5, -2.0],), ([3.0, 1.0],)],
    ),
    "softmax": (
        lambda x: logsumexp([x[0] * W[0], W[1], W[2]]) * log_softmax([W[0], x[1] * W[3], 3.0])[1] + softmax(W)[2],
        [([0.5, -2.0],), ([900.0, 1.0],)],
    ),
    "largest": (lambda x: largest([x[0], W[0], W[0] * 1.0, x[1] * W[2]]) * W[3], [([0.1, 0.2],), ([5.0, 9.0],)]),
    "chosen": (
        lambda x, i: where(x - W[0], W[1] * x, W[2] * x * x).maximum(W[3]) + pick([W[0] * x, W[1], x, 2.0], i),
        [(0.5, 0), (0.9, 1), (-3.0, 2), (0.2, 3)],
    ),
    "tables": (
        lambda i, x: sum_of([pick(TABLE, i[0])[column] * x for column in range(3)]) * pick(TABLE, i[1])[2],
        [([0, 3], 0.5), ([2, 2], -1.0)],
    ),
    "own": (lambda x: CUBE(W[0] * x, W[1]) + CUBE(x, x), [(0.5,), (-2.0,)]),
    "parameter": (lambda: W[0], [()]),
    "constants": (lambda x: x * 0.1 + 3.0, [(0.5,)]),
    "several": (lambda x: [[x * W[0], W[1] * W[2]], [W[0].tanh(), x.exp()]], [(0.5,), (-1.0,)]),
}


@pytest.mark.parametrize("language", ["c", "js"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_numbers_and_gradients_are_those_of_the_program(name, language, tmp_path):
    function, examples = PROGRAMS[name]
    program = record(function, *examples[0])
    exported = Exported(program, language, tmp_path)
    parameters = [one.data for one in program.parameters]
    for example in examples:
        arrays = [np.array(one)[None] for one in example]
        results, gradient = exported.of(parameters, example)
        close(results, program(*arrays).ravel())
        if not program.shape and parameters:
            close(gradient, program.gradient(*arrays)[1])


@pytest.mark.parametrize("language", ["c", "js"])
def test_of_several_results_the_gradient_is_of_a_sum_that_is_given(language, tmp_path):
    for name in ("several", "greeks"):
        function, examples = PROGRAMS[name]
        program = record(function, *examples[0])
        exported, seeds = Exported(program, language, tmp_path, name), [2.0, -1.0, 0.5, 3.0][: len(program.outputs)]
        weighted = record(
            lambda *given, function=function, seeds=seeds: sum_of(
                [seed * one for seed, one in zip(seeds, np.ravel(np.array(function(*given), object)), strict=True)]
            ),
            *examples[0],
            parameters=program.parameters,
        )
        for example in examples:
            _, gradient = exported.of([one.data for one in program.parameters], example, seeds)
            close(gradient, weighted.gradient(*[np.array(one)[None] for one in example])[1])


POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 40.0, -800.0, 1e-300, math.inf, -math.inf, math.nan]
FEWER = [0.0, -1.0, 0.5, 2.0, math.inf, math.nan]
_ROWS = """
const fs = require("fs"), asked = JSON.parse(fs.readFileSync(0, "utf8"));
const texts = fs.readFileSync(process.argv[1], "utf8").split("//// ");
const read = one => Number(one.replace("inf", "Infinity").replace("nan", "NaN"));
const shown = one => String(one).replace("Infinity", "inf").replace("NaN", "nan");
console.log(JSON.stringify(asked.map(([name, numbers]) => {
  const gradient = numbers.map(() => 0);
  const text = texts.find(one => one.startsWith(name)).slice(name.length);
  const result = new Function("module", `${text} return ${name.trim()};`)({});
  return [result(numbers.map(read), gradient), ...gradient].map(shown);
})));
"""


def rows_asked():
    """Every row of the table with a fixed number of arguments, and the numbers that it is asked with."""
    for op in ELEMENTWISE:
        for numbers in product(POINTS if op.arity == 1 else FEWER, repeat=op.arity):
            yield op, list(numbers)


def row_programs(language):
    for op in ELEMENTWISE:
        given = [Value(0.5) for _ in range(op.arity)]
        text = export_program(
            record(lambda op=op, given=given: op(*given), parameters=given), language, f"row_{op.name}"
        )
        yield f"row_{op.name}", text


def said_by_c(folder):
    needs("gcc")
    (folder / "rows.c").write_text("\n".join(text for _, text in row_programs("c")))
    library = ctypes.CDLL(str(compiled(folder / "rows.c", folder / "rows.so", "gcc", "-shared", "-fPIC")))
    for op, numbers in rows_asked():
        function, kind = getattr(library, f"row_{op.name}"), ctypes.c_double * len(numbers)
        function.restype, gradient = ctypes.c_double, kind()
        yield [function(kind(*numbers), gradient), *gradient]


def said_by_js(folder):
    if shutil.which("node") is None:
        pytest.skip("Node is not installed: apt-get install nodejs")
    (folder / "rows.js").write_text("".join(f"//// {name}\n{text}" for name, text in row_programs("js")))
    asked = json.dumps([[f"row_{op.name}\n", list(map(str, numbers))] for op, numbers in rows_asked()])
    command = ["node", "-e", _ROWS, str(folder / "rows.js")]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return [list(map(float, one)) for one in json.loads(done.stdout)]


@pytest.mark.parametrize("said", [said_by_c, said_by_js])
def test_every_row_of_the_table_at_every_edge(said, tmp_path):
    for (op, numbers), found in zip(rows_asked(), said(tmp_path), strict=True):
        values = [Value(number) for number in numbers]
        out = op(*values)
        out.backward()
        wanted = [out.data, *[value.grad for value in values]]
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=0, err_msg=f"{op.name} at {numbers}")


@pytest.mark.parametrize("language", ["c", "js"])
def test_what_is_not_finite_is_what_values_say(language, tmp_path):
    x, y = Value(0.5), Value(0.5)
    cases = {
        "division": lambda: x / y,
        "power": lambda: x**y,
        "log": lambda: x.log() * y,
        "masked": lambda: (x / 0.0).relu() * y,
        "largest": lambda: largest([x, y, x * y]),
        "logsumexp": lambda: logsumexp([x, y, x + y]),
        "log_softmax": lambda: log_softmax([x, y])[0],
        "sqrt": lambda: x.sqrt() + y.sqrt(),
        "where": lambda: where(x, x.log(), y),
    }
    edges = [
        (0.0, 0.0),
        (-1.0, 0.5),
        (math.inf, 1.0),
        (-math.inf, -math.inf),
        (math.nan, 2.0),
        (1.0, math.nan),
        (0.0, -0.0),
    ]
    for name, function in cases.items():
        exported = Exported(record(function, parameters=[x, y]), language, tmp_path, f"edge_{name}")
        for numbers in edges[:: 1 if language == "c" else 2]:
            x.data, y.data = numbers
            x.grad = y.grad = 0.0
            out = function()
            out.backward()
            results, gradient = exported.of(numbers, ())
            np.testing.assert_allclose(results, [out.data], rtol=1e-13, err_msg=name)
            np.testing.assert_allclose(gradient, [x.grad, y.grad], rtol=1e-13, err_msg=f"{name} at {numbers}")
        x.data = y.data = 0.5


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_takes_them_several_in_one_file(compiler, tmp_path):
    needs(compiler)
    texts = [
        export_program(record(function, *examples[0]), "c", f"f_{name}")
        for name, (function, examples) in PROGRAMS.items()
    ]
    source = tmp_path / "all.c"
    source.write_text(
        "\n".join(texts) + "\nint main(void) { return f_parameter(f_parameter_parameters, NULL) != 0.7; }\n"
    )
    program = compiled(source, tmp_path / "all", compiler)
    assert subprocess.run([str(program)]).returncode == 0


def test_moons_are_a_page_of_c():
    text = export_program(record(*[PROGRAMS["moons"][0], *PROGRAMS["moons"][1][0]]), "c", "loss")
    code = text[text.index("static void") :]
    assert len(code.strip().split("\n")) < 60
    assert "-std=c99" in STRICT


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((PROGRAMS, "c"), "takes what record returned, got dict"),
        ((None, "python"), "written in c or js, got 'python'"),
        ((None, "c", "double"), "means nothing else, got 'double'"),
        ((None, "c", "a b"), "got 'a b'"),
        ((None, "js", "x"), "got 'x'"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence):
    program, *others = arguments
    with pytest.raises(UsageError, match=sentence) as caught:
        export_program(program or record(lambda x: x * 2, 0.5), *others)
    assert isinstance(caught.value, SpelloutError)
