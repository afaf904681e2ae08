"""A page that plays backpropagation: one node a step, from the root down, with every product written out.

The page is complete in itself: the SVG, a few lines of style and script, no network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from ..autograd.by_hand import refuse_by_hand
from ..autograd.graph import pull_back
from ..errors import GraphError
from . import svg
from .boxes import Box
from .naming import number

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backpropagation, step by step</title>
<style>
body { font: 15px system-ui, sans-serif; margin: 0; color: #1f2933; background: #fff; }
header { position: sticky; top: 0; padding: 10px 16px; }
header { background: #f5f7fa; border-bottom: 1px solid #cbd2d9; }
button { font: inherit; padding: 4px 12px; }
#say { min-height: 4.5em; margin: 8px 0 0; white-space: pre-wrap; font-family: ui-monospace, monospace; }
main { overflow: auto; padding: 12px; }
.spellout .now .box { stroke: #b03a2e; stroke-width: 3; }
.spellout .changed .grad { font-weight: bold; }
.spellout .edge.now { stroke: #b03a2e; stroke-width: 3; }
.spellout .waiting .grad { opacity: 0.35; }
</style>
</head>
<body>
<header>
<button id="start">Start</button> <button id="back">Back</button>
<button id="play">Play</button> <button id="step">Step</button>
<label>Pace <input id="pace" type="range" min="1" max="10" value="4"></label>
<span id="count"></span>
<p id="say" aria-live="polite"></p>
</header>
<main>
@SVG@
</main>
<script>
"use strict";
const steps = @STEPS@;
const find = id => document.getElementById(id);
let at = 0, timer = null;

function show() {
  document.querySelectorAll(".node").forEach(node => {
    node.classList.remove("now", "changed");
    node.classList.add("waiting");
    const grad = node.querySelector(".grad");
    if (grad) grad.textContent = "grad 0.0000";
  });
  document.querySelectorAll(".edge").forEach(edge => edge.classList.remove("now"));
  steps.slice(0, at + 1).forEach((step, i) => step.set.forEach(([id, text]) => {
    const grad = find(id).querySelector(".grad");
    if (grad) grad.textContent = text;
    find(id).classList.remove("waiting");
    if (i === at) find(id).classList.add("changed");
  }));
  if (steps.length) {
    if (steps[at].node) find(steps[at].node).classList.add("now");
    steps[at].edges.forEach(id => find(id).classList.add("now"));
    find("say").textContent = steps[at].say;
    find("count").textContent = "step " + at + " of " + (steps.length - 1);
  }
}
function go(to) {
  at = Math.max(0, Math.min(to, steps.length - 1));
  show();
  if (at >= steps.length - 1) pause();
}
function pause() { clearTimeout(timer); timer = null; find("play").textContent = "Play"; }
function tick() { go(at + 1); if (timer !== null) timer = setTimeout(tick, 4000 / find("pace").value); }
function play() {
  if (timer !== null) return pause();
  if (at >= steps.length - 1) go(0);
  find("play").textContent = "Pause";
  timer = setTimeout(tick, 300);
}
find("start").onclick = () => { pause(); go(0); };
find("back").onclick = () => { pause(); go(at - 1); };
find("step").onclick = () => { pause(); go(at + 1); };
find("play").onclick = play;
show();
</script>
</body>
</html>
"""


def render(boxes: Sequence[Box], summary: str, stale: bool) -> str:
    """Return the page; of a graph that is too large, a page with its summary."""
    if stale:
        raise GraphError("a value was changed after the graph was computed; compute it again before it is played")
    # nothing inside a script element may look like its end
    data = json.dumps(_steps(boxes), ensure_ascii=False).replace("</", "<\\/")
    picture = svg.render(boxes, summary) if boxes else f"<p>{escape(summary)}</p>"
    return _PAGE.replace("@SVG@", picture).replace("@STEPS@", data)


def _steps(boxes: Sequence[Box]) -> list[dict[str, Any]]:
    """Return what every step says, which gradients it sets, and which edges it follows."""
    if not boxes:
        return []
    root = len(boxes) - 1
    order = [i for i in range(root, -1, -1) if boxes[i].parents]
    partials = {i: _partials(boxes, i) for i in order}
    changes: dict[int, list[tuple[int, float, float]]] = {i: [] for i in order}  # (parent, before, after)

    def passed_on(i: int, gradient: float) -> list[tuple[int, float | None]]:
        scaled = [None if partial is None else gradient * partial for partial in partials[i]]
        return list(zip(boxes[i].parents, scaled, strict=True))

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


def _partials(boxes: Sequence[Box], i: int) -> list[float | None]:
    """Return how box `i` moves with each of its arguments, at the numbers that were drawn."""
    refuse_by_hand(boxes[i], "played")
    partials = boxes[i].op.partials(boxes[i].data, *[boxes[p].data for p in boxes[i].parents])
    return [None if partial is None else float(partial) for partial in partials]
