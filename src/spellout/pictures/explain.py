"""The chain rule spelled out: every path from a result down to a leaf, its factors, and the sum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import Any

from ..autograd.gradients import grad
from ..autograd.graph import interior, local_derivatives, nodes
from ..autograd.value import Value
from ..errors import GraphError
from .naming import formula, name_all, number

_STEPS = 24  # of one path, before its middle is left out

Path = list[tuple[Value, int]]  # (node, which of its arguments comes next), from the root down


def explain(root: Value, leaf: Value, paths: int = 8) -> str:
    """Return in words and numbers how `root` moves with `leaf`.

    Args:
        root: the result.
        leaf: any node that it was computed from.
        paths: how many paths to write out; the others are counted and summed in one line.

    Raises:
        GraphError: `root` does not depend on `leaf`.
    """
    order = interior(root)
    ways = _count_paths(order, leaf)
    names = name_all(nodes(root))
    if leaf is root or not ways.get(root):
        raise GraphError(
            f"{names[root]} was not computed from {leaf.label or leaf!r}, so there is nothing to explain"
        )
    total = grad(root, leaf).data
    plural = "path" if ways[root] == 1 else "paths"
    moves = f"{names[root]} = {number(root.data)} moves with {names[leaf]} = {number(leaf.data)}"
    lines = [f"How {moves}: {ways[root]:,} {plural}"]
    shown = []
    for i, path in enumerate(islice(_walk(root, leaf, ways), paths)):
        factors = [float(local_derivatives(node)[argument] or 0.0) for node, argument in path]
        shown.append(prod(factors))
        lines += [f"path {i + 1}", *_steps(path, factors, names)]
        lines.append(f"  {' · '.join(_shorten([_signed(factor) for factor in factors], 12))} = {number(shown[-1])}")
    terms = [_signed(term) for term in shown]
    if ways[root] > len(shown):
        lines.append(f"{ways[root] - len(shown):,} more paths: {number(total - sum(shown))}")
        terms.append(_signed(total - sum(shown)))  # the others as one term, so that the sum still comes out
    spelled = f"{' + '.join(terms)} = " if len(terms) > 1 else ""
    return "\n".join([*lines, f"d {names[root]} / d {names[leaf]} = {spelled}{number(total)}"])


def _steps(path: Path, factors: list[float], names: dict[Value, str]) -> list[str]:
    formulas = [f"{names[node]} = {formula(node, names)}" for node, _ in path]
    width = max(map(len, formulas))
    lines = [
        f"  {text:<{width}}   d {names[node]} / d {names[node.parents[argument]]} = {number(factor)}"
        for text, (node, argument), factor in zip(formulas, path, factors, strict=True)
    ]
    return _shorten(lines, _STEPS)


def _shorten(items: list[str], limit: int) -> list[str]:
    if len(items) <= limit:
        return items
    half = limit // 2
    return [*items[:half], f"... {len(items) - 2 * half:,} more ...", *items[-half:]]


def _count_paths(order: list[Value], leaf: Value) -> dict[Value, int]:
    """Return, for every node that `leaf` leads to, along how many paths."""
    ways = {leaf: 1}
    for node in reversed(order):
        count = sum([ways.get(parent, 0) for parent in node.parents])
        if count and node is not leaf:
            ways[node] = count
    return ways


def _walk(root: Value, leaf: Value, ways: dict[Value, int]) -> Iterator[Path]:
    """Yield paths one by one, depth first, without recursion."""
    stack: list[tuple[Value, Any]] = [(root, None)]  # with the way there: its last step, and the way before that
    while stack:
        node, way = stack.pop()
        if node is leaf:
            path: Path = []
            while way is not None:
                step, way = way
                path.append(step)
            yield path[::-1]
        else:
            onward = [(parent, ((node, i), way)) for i, parent in enumerate(node.parents) if parent in ways]
            stack += reversed(onward)


def _signed(x: float) -> str:
    return f"({number(x)})" if x < 0 else number(x)
