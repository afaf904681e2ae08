"""How C and JavaScript write what the rows of the table say.

The statements of both are the same, but for how a variable is declared; so a language is a few words, and the
functions that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import inf, isnan
from textwrap import wrap
from typing import Any

from ...autograd.formulas import PYTHON, call
from ...autograd.formulas import Language as Words
from ...autograd.ops import ELEMENTWISE

_WIDTH = 100


@dataclass(frozen=True)
class Language:
    """A language.

    Attributes:
        number, counter: what stands before a new variable.
        words: how formulas are written.
        array: a list of numbers, from its type, its name and the numbers.
        names: the types of floats and of whole numbers.
        lacking: functions that it has not, by name.
    """

    number: str
    counter: str
    words: Words
    array: str
    names: tuple[str, str]
    lacking: dict[str, str]

    def listed(self, whole: bool, name: str, numbers: Iterable[Any]) -> str:
        """Write a list of numbers, at least one."""
        return self.array.format(kind=self.names[whole], name=name, body=self.body(whole, numbers))

    def body(self, whole: bool, numbers: Iterable[Any]) -> str:
        """Write what stands in such a list."""
        written = [str(one) if whole else self.words["number"](one).strip("()") for one in numbers] or ["0"]
        return "\n  ".join(wrap(", ".join(written), _WIDTH))


def _number(number: float, infinity: str, nan: str) -> str:
    if isnan(number):
        return nan
    written = infinity if abs(number) == inf else repr(abs(number))
    return written if number > 0 or repr(number) == "0.0" else f"(-{written})"


_SHARED: dict[str, Any] = {
    **PYTHON,
    "div": PYTHON["/"],  # by zero gives an infinity, or nan
    "choose": "({} ? {} : {})".format,
    "&": "({} && {})".format,
    "|": "({} || {})".format,
}
_FUNCTIONS = [op.name for op in ELEMENTWISE if not op.meaning and op.name not in _SHARED]

_C: dict[str, Any] = {name: partial(call, name) for name in _FUNCTIONS}
_C |= {**_SHARED, "abs": partial(call, "fabs"), "number": partial(_number, infinity="HUGE_VAL", nan="NAN")}

_POWER = """// As C's: JavaScript's own has nan for 1 to the power of an infinity or nan.
const pow = (x, y) => x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : Math.pow(x, y);
"""
_ERF = """// A series of positive terms, so that nothing cancels.
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return (sum * 2) / Math.sqrt(Math.PI) * Math.exp(-x * x);
}
"""
_LACKING = {"pow": _POWER, "erf": _ERF}
_JS: dict[str, Any] = {name: partial(call, f"Math.{name}") for name in _FUNCTIONS}
_JS |= {name: partial(call, name) for name in _LACKING}
_JS |= {**_SHARED, "abs": partial(call, "Math.abs"), "number": partial(_number, infinity="Infinity", nan="NaN")}

LANGUAGES = {
    "c": Language(
        *("double ", "int ", _C),
        array="static const {kind} {name}[] = {{\n  {body}}};\n",
        names=("double", "int"),
        lacking={},
    ),
    "js": Language(
        *("let ", "let ", _JS),
        array="const {name} = [\n  {body}];\n",
        names=("", ""),
        lacking=_LACKING,
    ),
}
"""By the name that `export_program` is given."""
