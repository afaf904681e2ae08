"""A drawing in DOT, the language of Graphviz, for whoever has its programs."""

from __future__ import annotations

from collections.abc import Sequence

from .naming import Box, number

# what means something in a quoted record label
_ESCAPES = str.maketrans({"\n": "\\n", **{character: f"\\{character}" for character in '\\"{}|<>'}})


def render(boxes: Sequence[Box], summary: str) -> str:
    """Return DOT text: a record per value and, as in the lecture, a small node per operation."""
    lines = ["digraph spellout {", "  rankdir=LR;"]
    if not boxes:
        lines.append(f'  summary [shape=plaintext, label="{summary.translate(_ESCAPES)}"];')
    for i, box in enumerate(boxes):
        fields = [box.label.translate(_ESCAPES)] if box.label else []
        fields.append(f"data {number(box.data)}")
        if box.kind != "constant":
            fields.append(f"grad {number(box.grad)}")
        lines.append(f'  v{i} [shape=record, label="{" | ".join(fields)}"];')
        if box.parents:
            lines += [f'  op{i} [label="{box.op.symbol.translate(_ESCAPES)}"];', f"  op{i} -> v{i};"]
        lines += [f"  v{parent} -> op{i};" for parent in box.parents]
    return "\n".join([*lines, "}"]) + "\n"
