"""`draw`: a graph as a picture (SVG), as DOT text for Graphviz, or as a page that plays backpropagation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..autograd.graph import nodes, overwritten
from ..autograd.value import CONSTANT, Value
from ..errors import UsageError, ValueTypeError
from . import dot, player, svg
from .naming import Box, formula, name_all


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """A picture of a graph, fixed when it was made; a notebook shows it by itself.

    Attributes:
        boxes: one per node, parents before their results, the root last; none if there are too many to draw.
        summary: the graph in one sentence.
        stale: whether a value was changed after others had been computed from it.
    """

    boxes: list[Box]
    summary: str
    stale: bool

    def svg(self) -> str:
        """Return the picture as SVG text, for a file or a page."""
        return svg.render(self.boxes, self.summary)

    def dot(self) -> str:
        """Return the graph in Graphviz's language."""
        return dot.render(self.boxes, self.summary)

    def html(self) -> str:
        """Return a page, complete in itself, that plays backpropagation from the root step by step."""
        return player.render(self.boxes, self.summary, self.stale)

    def render(self, kind: str) -> str:
        """Return the text for a kind of file: "svg", "dot" or "html"; UsageError for any other."""
        check_format(kind)
        return {"svg": self.svg, "dot": self.dot, "html": self.html}[kind]()

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"<drawing: {self.summary}>"


def check_format(kind: str) -> None:
    """Raise UsageError for a kind of file that no graph is drawn as."""
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
    order = nodes(root)
    summary = _summarise(order)
    if len(order) > limit:
        summary += f" That is too many to draw (the limit is {limit:,}); draw a part of it."
        return Drawing([], summary, stale=False)
    stale = any(True for _ in overwritten([node for node in reversed(order) if node.parents]))
    return Drawing(_boxes(order), summary, stale)


def _boxes(order: list[Value]) -> list[Box]:
    names = name_all(order)
    position = {node: index for index, node in enumerate(order)}
    boxes = []
    for node in order:
        # a root that was not computed from anything is drawn as the leaf that it is
        made = "root" if node is order[-1] else "result"
        kind = made if node.parents else "constant" if node.op is CONSTANT else "leaf"
        parents = tuple([position[parent] for parent in node.parents])
        text = formula(node, names)
        boxes.append(Box(names[node], text, node.label, kind, node.op, node.data, node.grad, parents))
    return boxes


def _summarise(order: list[Value]) -> str:
    made = Counter(node.op.name for node in order if node.parents)
    leaves = len(order) - made.total()
    parts = [f"{count:,} {name}" for name, count in made.most_common(8)]
    if len(made) > 8:
        parts.append(f"{len(made) - 8} more kinds")
    values = "value" if len(order) == 1 else "values"
    return f"A graph of {len(order):,} {values}: {', '.join([f'{leaves:,} given', *parts])}."
