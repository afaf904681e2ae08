"""A page that plays backpropagation: one node a step, from the root down, with every product written out.

The page is complete in itself: the SVG, a few lines of style and script, no network.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from ..autograd.by_hand import refuse_by_hand
from ..errors import GraphError
from .naming import number
from .svg import show

if TYPE_CHECKING:
    from .drawing import Drawing

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


def render(drawing: Drawing) -> str:
    """Return the page; of a graph that is too large, a page with its summary."""
    # nothing inside a script element may look like its end
    data = json.dumps(_steps(drawing), ensure_ascii=False).replace("</", "<\\/")
    svg = drawing.svg() if drawing.drawable else f"<p>{escape(drawing.summary)}</p>"
    return _PAGE.replace("@SVG@", svg).replace("@STEPS@", data)


def _steps(drawing: Drawing) -> list[dict[str, Any]]:
    """Return what every step says, which gradients it sets, and which edges it follows."""
    if not drawing.drawable:
        return []
    boxes = drawing.boxes
    if drawing.stale:
        raise GraphError("a value was changed after the graph was computed; compute it again before it is played")
    root = len(boxes) - 1
    grads = [0.0] * root + [1.0]
    say = f"{boxes[root].name} moves with itself: d {boxes[root].name} / d {boxes[root].name} = 1"
    steps: list[dict[str, Any]] = [
        {"node": None, "say": "Every gradient starts at 0. Press Play, or Step.", "set": [], "edges": []},
        {"node": f"n{root}", "say": say, "set": [(f"n{root}", f"grad {show(1.0)}")], "edges": []},
    ]
    for i in range(root, -1, -1):
        box = boxes[i]
        if not box.parents:
            continue
        refuse_by_hand(box, "played")
        partials = box.op.partials(box.data, *[boxes[p].data for p in box.parents])
        lines, changes = [f"{box.name} = {box.formula} passes its gradient {number(grads[i])} on:"], []
        for p, partial in zip(box.parents, partials, strict=True):
            local = float(partial or 0.0)
            before, grads[p] = grads[p], grads[p] + (grads[i] * local if partial is not None else 0.0)
            if boxes[p].kind != "constant":
                lines.append(
                    f"  {boxes[p].name}.grad = {number(before)} + {number(grads[i])} · {number(local)} "
                    f"= {number(grads[p])}"
                )
                changes.append((f"n{p}", f"grad {show(grads[p])}"))
        edges = [f"e{i}-{argument}" for argument in range(len(box.parents))]
        steps.append({"node": f"n{i}", "say": "\n".join(lines), "set": changes, "edges": edges})
    return steps
