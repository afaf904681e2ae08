"""`draw`: a graph as a picture (SVG), as DOT text for Graphviz, or as a page that plays backpropagation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..autograd.graph import nodes, overwritten
from ..autograd.ops import Op
from ..autograd.value import CONSTANT, Value
from ..errors import UsageError, ValueTypeError
from .naming import formula, name_all


@dataclass(frozen=True)
class Box:
    """One node as it was when it was drawn.

    Attributes:
        name, formula: what it is called and how it was computed.
        label: its own label, if it has one.
        kind: "leaf", "constant", "result" or "root".
        op: the operation that made it.
        data, grad: its numbers.
        parents: the places of its parents in the drawing, one per argument.
    """

    name: str
    formula: str
    label: str
    kind: str
    op: Op
    data: float
    grad: float
    parents: tuple[int, ...]


class Drawing:
    """A picture of a graph, fixed when it was made; a notebook shows it by itself.

    Attributes:
        boxes: one per node, parents before their results, the root last; none if there are too many to draw.
        summary: the graph in one sentence.
        stale: whether a value was changed after others had been computed from it.
    """

    def __init__(self, root: Value, limit: int) -> None:
        order = nodes(root)
        self.summary = _summarise(order)
        self.drawable = len(order) <= limit
        if not self.drawable:
            self.summary += f" That is too many to draw (the limit is {limit:,}); draw a part of it."
            order = []
        self.boxes = _boxes(order)
        self.stale = any(True for _ in overwritten([node for node in reversed(order) if node.parents]))

    def svg(self) -> str:
        """Return the picture as SVG text, for a file or a page."""
        from .svg import render

        return render(self)

    def dot(self) -> str:
        """Return the graph in Graphviz's language."""
        from .dot import render

        return render(self)

    def html(self) -> str:
        """Return a page, complete in itself, that plays backpropagation from the root step by step."""
        from .player import render

        return render(self)

    def render(self, kind: str) -> str:
        """Return the text for a kind of file: "svg", "dot" or "html"; UsageError for any other."""
        check_format(kind)
        return {"svg": self.svg, "dot": self.dot, "html": self.html}[kind]()

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"<drawing: {self.summary}>"


def check_format(kind: str) -> None:
    """`UsageError` for a kind of file that no graph is drawn as."""
    if kind not in ("svg", "dot", "html"):
        raise UsageError(f"a graph is drawn as svg, dot or html, not as {kind!r}")


def draw(root: Value, limit: int = 1000) -> Drawing:
    """Draw everything that `root` was made from: labels, operations, data, and the gradients as they are now.

    Shared nodes are drawn once; `a + a` has two edges. More than `limit` nodes become one sentence.

    Raises:
        ValueTypeError: `root` is not a Value.
    """
    if not isinstance(root, Value):
        raise ValueTypeError(f"draw needs a Value, got {root!r} ({type(root).__name__})")
    return Drawing(root, limit)


def _boxes(order: list[Value]) -> list[Box]:
    names = name_all(order)
    place = {node: index for index, node in enumerate(order)}
    boxes = []
    for node in order:
        kind = "constant" if node.op is CONSTANT else "result" if node.parents else "leaf"
        boxes.append(
            Box(
                names[node],
                formula(node, names),
                node.label,
                "root" if node is order[-1] and node.parents else kind,
                node.op,
                node.data,
                node.grad,
                tuple([place[parent] for parent in node.parents]),
            )
        )
    return boxes


def _summarise(order: list[Value]) -> str:
    made = Counter(node.op.name for node in order if node.parents)
    leaves = len(order) - made.total()
    parts = [f"{count:,} {name}" for name, count in made.most_common(8)]
    if len(made) > 8:
        parts.append(f"{len(made) - 8} more kinds")
    values = "value" if len(order) == 1 else "values"
    return f"A graph of {len(order):,} {values}: {', '.join([f'{leaves:,} given', *parts])}."
