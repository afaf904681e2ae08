"""A page that plays backpropagation: one node a step, from the root down, with every product written out.

The page is `player.html`, complete in itself: the SVG, a few lines of style and script, no network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from ..autograd.by_hand import refuse_by_hand
from ..autograd.graph import pull_back
from ..errors import GraphError
from . import svg
from .naming import Box, number


def render(boxes: Sequence[Box], summary: str, stale: bool) -> str:
    """Return the page; of a graph that is too large, a page with its summary."""
    if stale:
        raise GraphError("a value was changed after the graph was computed; compute it again before it is played")
    # nothing inside a script element may look like its end
    data = json.dumps(_steps(boxes), ensure_ascii=False).replace("</", "<\\/")
    picture = svg.render(boxes, summary) if boxes else f"<p>{escape(summary)}</p>"
    page = (resources.files(__package__) / "player.html").read_text("utf-8")
    return page.replace("@SVG@", picture).replace("@STEPS@", data)


def _steps(boxes: Sequence[Box]) -> list[dict[str, Any]]:
    """Return what every step says, which gradients it sets, and which edges it follows."""
    if not boxes:
        return []
    root = len(boxes) - 1
    order = [i for i in range(root, -1, -1) if boxes[i].parents]
    for i in order:
        refuse_by_hand(boxes[i], "played")
    # how each box moves with its arguments, at the numbers that were drawn
    partials = {i: boxes[i].op.partials(boxes[i].data, *[boxes[p].data for p in boxes[i].parents]) for i in order}
    changes: dict[int, list[tuple[int, float, float]]] = {i: [] for i in order}  # (parent, before, after)

    def passed_on(i: int, gradient: float) -> list[tuple[int, float | None]]:
        return [(p, d if d is None else gradient * d) for p, d in zip(boxes[i].parents, partials[i], strict=True)]

    gradients = {**dict.fromkeys(range(root), 0.0), root: 1.0}
    pull_back(order, gradients, passed_on, lambda i, *change: changes[i].append(change))
    say = f"{boxes[root].name} moves with itself: d {boxes[root].name} / d {boxes[root].name} = 1"
    steps: list[dict[str, Any]] = [
        {"node": None, "say": "Every gradient starts at 0. Press Play, or Step.", "set": [], "edges": []},
        {"node": f"n{root}", "say": say, "set": [(f"n{root}", f"grad {svg.show(1.0)}")], "edges": []},
    ]
    for i in order:
        lines, shown = [f"{boxes[i].name} = {boxes[i].formula} passes its gradient {number(gradients[i])} on:"], []
        for (p, before, after), partial in zip(changes[i], partials[i], strict=True):
            if boxes[p].kind != "constant":
                product = f"{number(gradients[i])} · {number(partial or 0.0)}"
                lines.append(f"  {boxes[p].name}.grad = {number(before)} + {product} = {number(after)}")
                shown.append((f"n{p}", f"grad {svg.show(after)}"))
        edges = [f"e{i}-{argument}" for argument in range(len(boxes[i].parents))]
        steps.append({"node": f"n{i}", "say": "\n".join(lines), "set": shown, "edges": edges})
    return steps
