"""A drawing as SVG: boxes of label, data and gradient, ovals for operations, curves for arguments."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from .layout import Point, arrange
from .naming import Box

_CHAR = 7.3  # width of one character of the 12 px monospace font
_LINE = 16.0
_PAD = 8.0
_LONGEST = 22  # characters of a label before it is cut (the whole is in the tooltip)
_OP_HEIGHT = 24.0

STYLE = """
.spellout text { font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1f2933; }
.spellout .label { font-weight: bold; }
.spellout .name { fill: #7b8794; }
.spellout .grad { fill: #b03a2e; }
.spellout .box { stroke: #52606d; fill: #ffffff; }
.spellout .leaf .box { fill: #e3f2fd; }
.spellout .constant .box { fill: #f0f2f4; stroke: #9aa5b1; }
.spellout .root .box { fill: #fff3c4; stroke-width: 2; }
.spellout .op { fill: #fce5d8; stroke: #c05621; }
.spellout .edge { fill: none; stroke: #7b8794; stroke-width: 1.2; }
""".strip()


def render(boxes: Sequence[Box], summary: str) -> str:
    """Return a complete SVG document; of a graph that is too large, its summary."""
    if not boxes:
        lines = wrap(summary, 79, break_long_words=False, break_on_hyphens=False)
        texts = [f'<text x="{_PAD}" y="{20 + _LINE * i}">{escape(line)}</text>' for i, line in enumerate(lines)]
        return _document((80 * _CHAR, _LINE * len(lines) + 16), summary, texts)
    sizes = [_size(box) for box in boxes]
    layout = arrange([box.parents for box in boxes], sizes)
    parts = []
    for (i, argument), points in layout.edges.items():
        parent = boxes[i].parents[argument]
        port = (argument + 1) / (len(boxes[i].parents) + 1) - 0.5  # arguments arrive one below the other
        apart = port if boxes[i].parents.count(parent) > 1 else 0.0  # the two edges of a + a start apart, too
        start = _beside(layout.corners[parent], sizes[parent], 1.0, apart * sizes[parent][1])
        end = _beside(layout.corners[i], sizes[i], 0.0, port * 0.8 * _OP_HEIGHT)
        parts.append(f'<path class="edge" id="e{i}-{argument}" d="{_curve([start, *points, end])}"/>')
    parts += [_box(i, box, layout.corners[i], sizes[i]) for i, box in enumerate(boxes)]
    return _document(layout.size, summary, parts)


def _document(size: Point, title: str, parts: list[str]) -> str:
    width, height = [round(length, 1) for length in size]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="spellout" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">'
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def show(x: float) -> str:
    """Return a number with four decimals, or in scientific notation where that would hide it."""
    return f"{x:.4f}" if x == 0.0 or 1e-3 <= abs(x) < 1e6 else f"{x:.3e}"


def _lines(box: Box) -> list[tuple[str, str]]:
    """Return (class, text) of every line in a box."""
    if box.kind == "constant" and not box.label:
        return [("data", f"{box.data:g}")]
    lines = [("label" if box.label else "name", _cut(box.name)), ("data", f"data {show(box.data)}")]
    return lines if box.kind == "constant" else [*lines, ("grad", f"grad {show(box.grad)}")]


def _op_width(box: Box) -> float:
    return max(_OP_HEIGHT, _CHAR * len(_cut(box.op.symbol)) + 2 * _PAD) if box.parents else 0.0


def _size(box: Box) -> Point:
    lines = _lines(box)
    # room for a gradient that is longer than the present one, as a player's page will write it
    characters = max([len(text) for _, text in lines] + ([12] if box.kind != "constant" else []))
    joint = _PAD if box.parents else 0.0
    return _op_width(box) + joint + _CHAR * characters + 2 * _PAD, _LINE * len(lines) + _PAD


def _box(i: int, box: Box, corner: Point, size: Point) -> str:
    (x, y), (width, height) = corner, size
    op, middle = _op_width(box), y + height / 2
    parts = [f'<g class="node {box.kind}" id="n{i}">']
    tip = f"{box.name} = {box.formula}" if box.formula else box.name
    parts.append(f"<title>{_safe(tip)}</title>")
    if box.parents:
        top, center = middle - _OP_HEIGHT / 2, x + op / 2
        parts.append(
            f'<rect class="op" x="{x:.1f}" y="{top:.1f}" width="{op:.1f}" height="{_OP_HEIGHT}" rx="12"/>'
            f'<text x="{center:.1f}" y="{middle + 4:.1f}" text-anchor="middle">{_safe(_cut(box.op.symbol))}</text>'
            f'<path class="edge" d="M{x + op:.1f} {middle:.1f}h{_PAD}"/>'
        )
        x, width = x + op + _PAD, width - op - _PAD
    parts.append(f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"/>')
    for line, (kind, text) in enumerate(_lines(box)):
        parts.append(
            f'<text class="{kind}" x="{x + _PAD:.1f}" y="{y + _LINE * (line + 1):.1f}">{_safe(text)}</text>'
        )
    return "".join([*parts, "</g>"])


def _beside(corner: Point, size: Point, side: float, below: float) -> Point:
    """Return a point on the left (side 0) or right (side 1) edge of a box, `below` its middle."""
    return corner[0] + side * size[0], corner[1] + size[1] / 2 + below


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _safe(text: str) -> str:
    """Escape markup, and show what no XML document may hold (control characters) as a dot."""
    return escape("".join([character if character.isprintable() else "·" for character in text]))


def _curve(points: list[Point]) -> str:
    """Return a smooth path through `points` that leaves and arrives horizontally."""
    (x, y), *rest = points
    path = f"M{x:.1f} {y:.1f}"
    for to_x, to_y in rest:
        bend = (to_x - x) / 2
        path += f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return path
