"""Is this gradient the derivative? It is compared with central differences, argument by argument, rule by rule.

(f(x + h) - f(x - h)) / 2h needs no calculus and no graph, so it disagrees when a rule is wrong. At a kink
(ReLU at 0) there is no single derivative: any number between the slopes on the left and on the right is
accepted there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from math import isfinite
from typing import Any

from ..errors import GradcheckError, ValueTypeError
from .by_hand import refuse_by_hand
from .gradients import grad
from .graph import interior, local_derivatives
from .listening import look
from .value import Value, lift

STEP = 6e-6  # about the cube root of a float's precision: truncation and rounding errors are equally small


@dataclass(frozen=True)
class Comparison:
    """One argument: where it was, the function a step to each side, and the two derivatives."""

    argument: str
    at: float
    step: float
    below: float
    above: float
    numeric: float
    analytic: float
    ok: bool
    note: str = ""

    def __str__(self) -> str:
        x, h = self.at, self.step
        return (
            f"{self.argument} = {x:.10g}: f({x - h:.10g}) = {self.below:.10g}, "
            f"f({x + h:.10g}) = {self.above:.10g}, difference / {2 * h:.3g} = {self.numeric:.8g}, "
            f"gradient = {self.analytic:.8g}: {self.verdict}"
        )

    @property
    def verdict(self) -> str:
        """The sentence's end: that the gradient is right, or by how much it is wrong."""
        if self.ok:
            return f"right{self.note}"
        if not isfinite(self.numeric) or not isfinite(self.analytic):
            return f"wrong{self.note}"
        off = abs(self.analytic - self.numeric)
        share = f" ({100 * off / abs(self.numeric):.2g} %)" if self.numeric else ""
        return f"wrong by {off:.3g}{share}{self.note}"


@dataclass(frozen=True)
class GradientCheck:
    """The comparisons of one function; true if all are right, and printed step by step."""

    name: str
    comparisons: tuple[Comparison, ...]

    def __bool__(self) -> bool:
        return all(comparison.ok for comparison in self.comparisons)

    def __str__(self) -> str:
        return "\n".join([f"gradient check of {self.name}", *[f"  {row}" for row in self.comparisons]])


def gradcheck(function: Callable[..., Any], *arguments: Any, tolerance: float = 1e-6) -> GradientCheck:
    """Compare the gradient of `function` with central differences at `arguments` and return the comparisons.

    Args:
        function: takes Values, returns one Value (or a number: gradient 0). An operation is one, too.
        arguments: numbers, Values, or lists of them. A Value is moved in place and put back, so what a model
            holds can be checked: `gradcheck(lambda *_: loss(model), *model.parameters())`.
        tolerance: the relative difference that is still right; below 3e-10 all differences are rounding.

    Raises:
        GradcheckError: a gradient is wrong. The message names the argument, how much it is wrong, what was
            expected, and the operation whose rule is wrong, if one is.
    """
    look("gradcheck(...)", "check the function outside the recording")
    leaves: list[tuple[str, Value]] = []
    given = [_as_leaves(name, thing, leaves) for name, thing in _named(function, arguments)]
    if not leaves:
        raise ValueTypeError("gradcheck needs at least one number to move")
    values = [value for _, value in leaves]

    def at(index: int, number: float) -> float:
        # past `.data`, which would make the graphs of others stale
        old, values[index]._data = values[index]._data, number
        try:
            return float(function(*given))
        finally:
            values[index]._data = old

    root = lift(function(*given))
    comparisons = [
        _compare(name, value.data, partial(at, i), root.data, gradient.data, tolerance)
        for i, ((name, value), gradient) in enumerate(zip(leaves, grad(root, values), strict=True))
    ]
    name = getattr(function, "__name__", None) or getattr(function, "name", "the function")
    check = GradientCheck(str(name), tuple(comparisons))
    if not check:
        raise GradcheckError(_complaint(check, root))
    return check


def check_rules(root: Value, tolerance: float = 1e-6) -> list[GradientCheck]:
    """Check, node by node, the local derivatives of every operation in the graph; oldest node first.

    This finds *which* rule is wrong where `gradcheck` sees only that the whole is.
    """
    return [_check_rule(node, tolerance) for node in interior(root)[::-1]]


def _check_rule(node: Value, tolerance: float) -> GradientCheck:
    refuse_by_hand(node, "checked")
    numbers = [parent.data for parent in node.parents]
    comparisons = []
    for i, (number, local) in enumerate(zip(numbers, local_derivatives(node), strict=True)):

        def moved(to: float, i: int = i) -> float:
            return node.op.forward(*numbers[:i], to, *numbers[i + 1 :])

        comparisons.append(_compare(f"argument {i + 1}", number, moved, node.data, float(local or 0.0), tolerance))
    return GradientCheck(f"operation {node.op.name}", tuple(comparisons))


def _compare(
    name: str, x: float, f: Callable[[float], float], here: float, analytic: float, tolerance: float
) -> Comparison:
    step = x + STEP * max(1.0, abs(x)) - x  # a step that x can really take
    below, above = f(x - step), f(x + step)
    numeric = (above - below) / (2.0 * step)
    halved = (f(x + step / 2) - f(x - step / 2)) / step  # the error of a central difference goes with step²
    truncation = 2.0 * abs(numeric - halved) if isfinite(halved) else 0.0
    rounding = 2e-15 * max(1.0, abs(above), abs(below)) / step  # of f, or of numbers near 1 on the way to it
    allowed = tolerance * max(abs(analytic), abs(numeric)) + rounding + truncation
    ok, note = abs(analytic - numeric) <= allowed, ""
    if not ok and isfinite(numeric):
        left, right = sorted(((here - below) / step, (above - here) / step))
        if right - left > 0.01 * max(abs(left), abs(right)) + rounding:  # they differ by far more than a curve's do
            ok = left - allowed <= analytic <= right + allowed
            note = f" (a kink: the slopes are {left:.6g} and {right:.6g})"
    elif not ok:
        note = " (the function is not finite a step away)"
    return Comparison(name, x, step, below, above, numeric, analytic, ok, note)


def _complaint(check: GradientCheck, root: Value) -> str:
    bad = next(row for row in check.comparisons if not row.ok)
    count = sum([not row.ok for row in check.comparisons])
    more = f" {count - 1} more of {len(check.comparisons)} arguments are wrong." if count > 1 else ""
    message = (
        f"the gradient of {check.name} for {bad.argument} at {bad.at:.10g} is {bad.analytic:.8g}, "
        f"expected {bad.numeric:.8g} by central differences: {bad.verdict}.{more}"
    )
    for rule in check_rules(root):
        for row in rule.comparisons:
            if not row.ok:
                return f"{message} The rule of {rule.name} is wrong: {row}"
    return f"{message} Every operation's own rule is right, so the graph misses part of the function"


def _named(function: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    try:
        names = [p.name for p in signature(function).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):  # a C function may have no signature
        names = []
    for i, argument in enumerate(arguments):
        yield (f"argument {i + 1} ({names[i]})" if i < len(names) else f"argument {i + 1}"), argument


def _as_leaves(name: str, thing: Any, leaves: list[tuple[str, Value]]) -> Any:
    """Return `thing` with Values for its numbers; append each with its name to `leaves`."""
    if isinstance(thing, list | tuple):
        return [_as_leaves(f"{name}[{i}]", item, leaves) for i, item in enumerate(thing)]
    value = thing if isinstance(thing, Value) else Value(thing)
    leaves.append((f"{name} {value.label!r}" if value.label else name, value))
    return value
