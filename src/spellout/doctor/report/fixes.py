"""A cure as a small diff, where it is one line and certain: the expression is known, and its meaning."""

from __future__ import annotations

import ast
import difflib
import linecache
import re
from collections.abc import Callable

from ..place import Place, short
from .findings import Finding
from .source import Position, position

_ATOMS = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
"""What needs no parentheses anywhere."""


def fix(finding: Finding) -> str:
    """A unified diff; empty where the cure needs a decision, or the place of the change is not known."""
    there, change = position(finding.where), _CHANGES.get(finding.id)
    if change is None or there is None or not isinstance(finding.where, Place) or not there.text:
        return ""
    if finding.where.more or finding.where.end_line != finding.where.line or finding.where.column is None:
        return ""  # a module inside the expression, or one over several lines: the text does not show it alone
    try:
        expression = ast.parse(there.text[there.start : there.end], mode="eval").body
    except SyntaxError:
        return ""
    new = change(finding, there, expression)
    before = linecache.getlines(there.file)
    before = [line if line.endswith("\n") else f"{line}\n" for line in before]
    if new is None:
        return ""
    after = [*before[: there.line - 1], *(f"{line}\n" for line in new), *before[there.line :]]
    name = short(there.file)
    return "".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"))


def _zeroed(finding: Finding, there: Position, call: ast.expr) -> list[str] | None:
    """`optimizer.step()` alone in its line: the gradients are zeroed after it."""
    if not isinstance(call, ast.Call) or there.text.strip() != there.text[there.start : there.end]:
        return None
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "step" or call.args or call.keywords:
        return None
    indent = there.text[: there.start]
    return [there.text, f"{indent}{ast.unparse(call.func.value)}.zero_grad()"]


def _dropped(finding: Finding, there: Position, call: ast.expr) -> list[str] | None:
    """`F.softmax(x, dim=1)`, `torch.sigmoid(x)`, `x.softmax(1)`: the argument alone."""
    if not isinstance(call, ast.Call):
        return None
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    named = {word.arg: word.value for word in call.keywords}
    inner: ast.expr | None = named.get("input") or (call.args[0] if call.args else None)
    if inner is None or _is_number(inner):  # a method, whose first argument is the axis
        inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name not in ("softmax", "sigmoid") or inner is None:
        return None
    before, after = there.text[: there.start], there.text[there.end :]
    alone = before.rstrip().endswith(("=", "return", "(", ",")) and after.strip()[:1] in ("", ")", ",")
    text = ast.unparse(inner)
    if not isinstance(inner, _ATOMS) and not (alone and isinstance(inner, ast.BinOp)):
        text = f"({text})"
    return [f"{before}{text}{after}"]


def _squeezed(finding: Finding, there: Position, call: ast.expr) -> list[str] | None:
    """`F.mse_loss(output, target)` of shapes (N, 1) and (N): the output without its last axis."""
    shapes = re.search(r"\((\d+), 1\)\D+\((\d+),?\)", finding.evidence)
    if shapes is None or shapes[1] != shapes[2] or not isinstance(call, ast.Call) or len(call.args) < 2:
        return None
    call.args[0] = ast.Call(ast.Attribute(call.args[0], "squeeze"), [ast.Constant(-1)], [])
    return [there.text[: there.start] + ast.unparse(ast.fix_missing_locations(call)) + there.text[there.end :]]


def _is_number(value: ast.expr) -> bool:
    inner = value.operand if isinstance(value, ast.UnaryOp) else value
    return isinstance(inner, ast.Constant) and isinstance(inner.value, int)


_CHANGES: dict[str, Callable[[Finding, Position, ast.expr], list[str] | None]] = {
    "stale-gradients": _zeroed,
    "softmax-before-cross-entropy": _dropped,
    "sigmoid-before-bce-with-logits": _dropped,
    "broadcast-output-target": _squeezed,
}
