"""Formulas as data: what a row of the table says, when it is asked with letters instead of numbers.

A row is a Python function without branches: `choose(x <= 0.0, 0.0, x)` stands for `0.0 if x <= 0.0 else x`. Asked
with letters it answers with a formula, and `write` writes that in any language: as Python for floats (`ops.py`), as
the loops that Numba compiles, and as LLVM's instructions. A rule is written once, and a language is a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

Language = Mapping[str, Callable[..., Any]]
"""How to write each operation, from its arguments as they are written; `number` writes a plain number, or None."""


def _operator(name: str, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def written(self: Formula, other: Any) -> Formula:
        return Formula(name, (other, self) if swapped else (self, other))

    return written


class Formula:
    """An operation and its arguments, which are formulas or plain numbers; a letter has none."""

    __slots__ = ("arguments", "meaning", "name")

    def __init__(self, name: str, arguments: tuple[Any, ...] = (), meaning: Any = None) -> None:
        self.name = name
        self.arguments = arguments
        self.meaning = meaning
        """The same made of simpler operations, for a language that has no word for this one."""

    # `/` apart from the operation div: on floats it may not divide by zero, and is faster
    __add__, __radd__ = _operator("add"), _operator("add", swapped=True)
    __sub__, __rsub__ = _operator("sub"), _operator("sub", swapped=True)
    __mul__, __rmul__ = _operator("mul"), _operator("mul", swapped=True)
    __truediv__, __rtruediv__ = _operator("/"), _operator("/", swapped=True)
    __lt__, __le__, __gt__, __ge__ = _operator("<"), _operator("<="), _operator(">"), _operator(">=")
    __eq__, __ne__ = _operator("=="), _operator("!=")
    __and__, __or__ = _operator("&"), _operator("|")
    __hash__ = object.__hash__

    def __neg__(self) -> Formula:
        return Formula("neg", (self,))

    def choose(self, a: Any, b: Any) -> Formula:
        """Return a where this condition holds, else b."""
        return Formula("choose", (self, a, b))

    @staticmethod
    def _apply(op: Any, arguments: tuple[Any, ...]) -> Formula:
        return Formula(op.name, arguments, op.meaning)


OUT, GRADIENT, *LETTERS = [Formula(letter) for letter in ("out", "g", "a", "b", "c")]
"""The result of an operation, the gradient that arrives at it, and its arguments."""


def choose(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds, else b. Both were computed; one that is not chosen does no harm.

    As a partial derivative, either may be None.
    """
    if condition is True:  # of floats, and of Values outside a recording
        return a
    return b if condition is False else condition.choose(a, b)


def _passed_on(partial: Any) -> Any:
    """Return what an argument's gradient gets. The choice is made last: None masks even an infinite gradient."""
    if not isinstance(partial, Formula):  # a constant: no multiplication by 1
        return {None: 0.0, 1.0: GRADIENT, -1.0: -GRADIENT}.get(partial, GRADIENT * (partial or 0.0))
    if partial.name != "choose":
        return GRADIENT * partial
    condition, yes, no = partial.arguments
    return Formula("choose", (condition, _passed_on(yes), _passed_on(no)))


@cache
def gradients_of(op: Any) -> list[Any]:
    """Return what the gradient of each argument of an operation gets: a formula, or None for nothing."""
    partials = op.partials(OUT, *LETTERS[: op.arity])
    return [None if by_argument is None else _passed_on(by_argument) for by_argument in partials]


def write(formula: Any, letters: Mapping[str, Any], language: Language) -> Any:
    """Write a formula, given how its letters are written. What it uses twice is written once, and used twice."""
    known: dict[int, Any] = {}

    def written(part: Any) -> Any:
        if not isinstance(part, Formula):
            return language["number"](part)
        if part.name in letters:  # before the language: no operation has the name of a letter
            return letters[part.name]
        if id(part) not in known:
            if part.name in language:
                known[id(part)] = language[part.name](*[written(argument) for argument in part.arguments])
            else:
                known[id(part)] = written(part.meaning(*part.arguments))
        return known[id(part)]

    return written(formula)


def call(function: str, *arguments: str) -> str:
    """Write a call in Python."""
    return f"{function}({', '.join(arguments)})"


def _infix(symbol: str) -> Callable[..., str]:
    return f"({{}} {symbol} {{}})".format


PYTHON: Language = {
    **{name: _infix(symbol) for name, symbol in (("add", "+"), ("sub", "-"), ("mul", "*"))},
    **{symbol: _infix(symbol) for symbol in ("/", "<", "<=", ">", ">=", "==", "!=")},
    "neg": "(-{})".format,
    "abs": partial(call, "abs"),
    "number": repr,
}
"""What is the same for floats and for Numba."""
_FLOATS: Language = {
    **PYTHON,
    "choose": "({1} if {0} else {2})".format,  # Python's own branch, the fastest
    "&": "({} and {})".format,
    "|": "({} or {})".format,
}


def forward_on_floats(op: Any, functions: Mapping[str, Callable[..., float]]) -> Callable[..., float]:
    """Compile what an operation means, where functions of floats stand for the operations that it is made of."""
    names, as_they_are, language = _for_floats(op, functions)
    return eval(f"lambda {names}: {write(op.meaning(*LETTERS[: op.arity]), as_they_are, language)}", {**functions})


def partials_on_floats(op: Any, functions: Mapping[str, Callable[..., float]]) -> Callable[..., Any]:
    """Compile the partial derivatives likewise: `backward` asks for them. All but floats get them as written."""
    names, as_they_are, language = _for_floats(op, functions)
    partials = [write(by, as_they_are, language) for by in op.partials(OUT, *LETTERS[: op.arity])]
    on_floats = f"({', '.join(partials)},) if type(out) is float"
    as_written = f"as_written(out, {names})"
    return eval(f"lambda out, {names}: {on_floats} else {as_written}", {**functions, "as_written": op.partials})


def _for_floats(op: Any, functions: Mapping[str, Any]) -> tuple[str, dict[str, str], Language]:
    names = [letter.name for letter in LETTERS[: op.arity]]
    language: Language = {**{name: partial(call, name) for name in functions}, **_FLOATS}
    return ", ".join(names), {name: name for name in (OUT.name, *names)}, language
