"""Formulas as text, `tanh(a*b + 1)`, become graphs: they are read as a syntax tree and never executed as Python."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from ..autograd import ops
from ..autograd.graph import nodes
from ..autograd.value import CONSTANT, Value, lift
from ..errors import ExpressionError, OperationError
from .explain import explain
from .naming import formula, name_all, number

_OPERATORS: dict[type[ast.operator], ops.Op] = {
    ast.Add: ops.add,
    ast.Sub: ops.sub,
    ast.Mult: ops.mul,
    ast.Div: ops.div,
    ast.Pow: ops.pow,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_OTHER_NAMES = {"max": ops.maximum, "min": ops.minimum}


def evaluate(text: str, numbers: Mapping[str, float]) -> Value:
    """Return the graph of a formula.

    Args:
        text: numbers, names, `+ - * / **`, brackets, and calls of operations. Several formulas
            may be joined by `;`, and all but the last given a name: `n = a*b + c; tanh(n)`.
        numbers: what the names stand for; each becomes one leaf with that label. `pi` and `e` are known.

    Raises:
        ExpressionError: the text is no formula, or names something unknown.
    """
    names = {name: Value(given, label=name) for name, given in numbers.items()}
    result: Value | None = None
    try:
        for statement in _parse(text):
            result = _run(statement, names)
    except OperationError as error:  # a wrong number of arguments
        raise ExpressionError(str(error)) from None
    except (RecursionError, MemoryError):
        raise ExpressionError(
            "the formula is nested too deeply; give parts of it names, as in 'n = a*b; tanh(n)'"
        ) from None
    if result is None:
        raise ExpressionError("the formula is empty")
    if result.parents and not result.label and "result" not in names:
        result.label = "result"
    return result


def read_numbers(assignments: Iterable[str]) -> dict[str, float]:
    """Return the numbers of `["a=2", "b=-3"]`; ExpressionError for anything else."""
    numbers: dict[str, float] = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if not name.isidentifier() or not text:
            raise ExpressionError(f"{assignment!r} is not a name and a number, as in a=2")
        if name in numbers:
            raise ExpressionError(f"{name!r} is given twice")
        try:
            numbers[name] = float(text)
        except ValueError:
            raise ExpressionError(f"{name} needs a number, got {text!r}") from None
    return numbers


def report(root: Value) -> str:
    """Return every value and gradient as a table, then the chain rule for every named leaf."""
    order = nodes(root)
    names = name_all(order)
    shown = [node for node in order if node.op is not CONSTANT]
    rows = [(names[node], formula(node, names), number(node.data), number(node.grad)) for node in shown]
    rows.insert(0, ("value", "formula", "data", "gradient"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        f"{name:<{widths[0]}}  {text:<{widths[1]}}  {data:>{widths[2]}}  {grad:>{widths[3]}}"
        for name, text, data, grad in rows
    ]
    leaves = [node for node in order if node.label and not node.parents and node is not root]
    return "\n\n".join(["\n".join(table), *[explain(root, leaf) for leaf in leaves]])


def _parse(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text.strip()).body
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is not a formula: {error.msg} (column {error.offset})") from None
    except ValueError as error:  # a null byte
        raise ExpressionError(f"{text!r} is not a formula: {error}") from None


def _run(statement: ast.stmt, names: dict[str, Value]) -> Value:
    if isinstance(statement, ast.Expr):
        return _evaluate(statement.value, names)
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        raise _unreadable(statement)
    name = statement.targets[0].id
    if name in names:
        raise ExpressionError(f"{name!r} has a value already")
    names[name] = result = _evaluate(statement.value, names)
    result.label = result.label or name  # in `b = a` they are one node, which keeps its first name
    return result


def _evaluate(tree: ast.expr, names: dict[str, Value]) -> Value:
    match tree:
        case ast.Constant(value=int() | float() as constant) if not isinstance(constant, bool):
            return lift(constant)
        case ast.Name(id=name):
            return _look_up(name, names)
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATORS:
            return Value._apply(_OPERATORS[type(kind)], (_evaluate(left, names), _evaluate(right, names)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inside = _evaluate(operand, names)
            return lift(-inside.data) if inside.op is CONSTANT else -inside
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand, names)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            result: Value = _function(name)(*[_evaluate(argument, names) for argument in arguments])
            return result
        case _:
            raise _unreadable(tree)


def _look_up(name: str, names: dict[str, Value]) -> Value:
    if name in names:
        return names[name]
    if name in _CONSTANTS:
        return lift(_CONSTANTS[name])
    if name in ops.TABLE:
        raise ExpressionError(f"{name} is an operation; write it as {name}(...)")
    raise ExpressionError(f"{name!r} has no value; give it one, as in {name}=2")


def _function(name: str) -> ops.Op:
    known = {**_OTHER_NAMES, **ops.TABLE}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"
    raise ExpressionError(f"no operation is called {name!r}{hint}")


def _unreadable(tree: ast.AST) -> ExpressionError:
    return ExpressionError(
        f"{ast.unparse(tree)!r} cannot be part of a formula; use numbers, names, + - * / ** and operations"
    )
