"""Where to put the boxes of a graph: layers from left to right, few crossings, short edges.

Sugiyama, Tagawa & Toda 1981, "Methods for visual understanding of hierarchical system structures": give
every node a layer, let long edges pass through a bend in each layer between, order each layer by the mean
height of its neighbours, then move everything as close to its neighbours as the order allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Point = tuple[float, float]

_GAP_X, _GAP_Y = 56.0, 18.0
_BEND_HEIGHT = 6.0
_MOST_BENDS = 6000  # beyond that long edges go straight, and the layout stays fast
_SWEEPS = 6


@dataclass(eq=False, slots=True)
class _Item:
    """A box, or the bend of a long edge in one layer."""

    layer: int
    height: float
    width: float = 0.0
    y: float = 0.0
    left: list[_Item] = field(default_factory=list)
    right: list[_Item] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """Where everything is.

    Attributes:
        corners: the upper left corner of every box.
        edges: for every (box, argument) the points that its edge passes, from the parent to the box.
        size: width and height of the whole.
    """

    corners: list[Point]
    edges: dict[tuple[int, int], list[Point]]
    size: Point


def arrange(parents: list[tuple[int, ...]], sizes: list[Point]) -> Layout:
    """Place boxes; box i was made from `parents[i]`, all of them before it, and the last box is the root."""
    layers_of = _layers(parents)
    items = [_Item(layer, height, width) for layer, (width, height) in zip(layers_of, sizes, strict=True)]
    bends = sum([max(0, layers_of[i] - layers_of[p] - 1) for i, ps in enumerate(parents) for p in ps])
    chains = {
        (i, argument): _connect(items[parent], items[i], bends <= _MOST_BENDS)
        for i, arguments in enumerate(parents)
        for argument, parent in enumerate(arguments)
    }
    layers = _order(items[-1], 1 + max(layers_of))
    for layer, wishes in _sweeps(layers, _SWEEPS):
        layer[:] = [layer[i] for i in sorted(range(len(layer)), key=wishes.__getitem__)]
        _stack(layer)
    for layer, wishes in _sweeps(layers, 2 * _SWEEPS):
        _spread(layer, wishes)
    return _measure(items, chains, layers)


def _layers(parents: list[tuple[int, ...]]) -> list[int]:
    """Return each box's layer: the longest distance from the leaves, which then move next to their first user."""
    layer = [0] * len(parents)
    for i, arguments in enumerate(parents):
        layer[i] = 1 + max([layer[p] for p in arguments]) if arguments else 0
    nearest: dict[int, int] = {}
    for i, arguments in enumerate(parents):
        for p in arguments:
            if not parents[p]:
                nearest[p] = min(nearest.get(p, layer[i]), layer[i])
    for p, user in nearest.items():
        layer[p] = user - 1
    return layer


def _connect(parent: _Item, child: _Item, with_bends: bool) -> list[_Item]:
    chain = [_Item(layer, _BEND_HEIGHT) for layer in range(parent.layer + 1, child.layer)] if with_bends else []
    for left, right in zip([parent, *chain], [*chain, child], strict=True):
        left.right.append(right)
        right.left.append(left)
    return chain


def _order(root: _Item, count: int) -> list[list[_Item]]:
    """Put items into layers in the order of a walk from the root: a tree then has no crossings at all."""
    layers: list[list[_Item]] = [[] for _ in range(count)]
    seen: set[_Item] = set()
    stack = [root]  # everything was made for the root, so that the walk comes to all
    while stack:
        item = stack.pop()
        if item not in seen:
            seen.add(item)
            layers[item.layer].append(item)
            stack += reversed(item.left)
    for layer in layers:
        _stack(layer)
    return layers


def _stack(layer: list[_Item]) -> None:
    y = 0.0
    for item in layer:
        item.y = y + item.height / 2
        y += item.height + _GAP_Y


def _wish(item: _Item, neighbours: list[_Item]) -> float:
    return sum([other.y for other in neighbours]) / len(neighbours) if neighbours else item.y


def _sweeps(layers: list[list[_Item]], count: int) -> Iterator[tuple[list[_Item], list[float]]]:
    """Yield layer after layer with the neighbours' mean heights, from the right and from the left in turn."""
    # from the root first: its one place is certain, the order of the leaves is not
    for sweep in range(count):
        for layer in layers if sweep % 2 else reversed(layers):
            yield layer, [_wish(item, item.left if sweep % 2 else item.right) for item in layer]


def _spread(layer: list[_Item], wishes: list[float]) -> None:
    """Move a layer's items as close to their wishes as order and distances allow (isotonic regression)."""
    offsets, offset = [], 0.0
    for above, item in zip([None, *layer], layer, strict=False):
        offset += (above.height + item.height) / 2 + _GAP_Y if above else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # (sum of wishes less offsets, count): neighbours that touch
    for wish, shift in zip(wishes, offsets, strict=True):
        total, count = wish - shift, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, many = blocks.pop()
            total, count = total + before, count + many
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    for item, start, shift in zip(layer, starts, offsets, strict=True):
        item.y = start + shift


def _measure(items: list[_Item], chains: dict[tuple[int, int], list[_Item]], layers: list[list[_Item]]) -> Layout:
    """Turn layers and heights into corners and the points of every edge."""
    widths = [max([item.width for item in layer], default=0.0) for layer in layers]  # a bend has none
    starts = [_GAP_Y]
    for width in widths:
        starts.append(starts[-1] + width + _GAP_X)
    top = min([item.y - item.height / 2 for layer in layers for item in layer]) - _GAP_Y
    bottom = max([item.y + item.height / 2 for layer in layers for item in layer]) + _GAP_Y

    # every box ends where its layer ends, so that no edge has to pass behind a wider neighbour
    corners = [
        (starts[item.layer] + widths[item.layer] - item.width, item.y - item.height / 2 - top) for item in items
    ]
    edges = {
        argument: [
            (x, bend.y - top)
            for bend in chain
            for x in (starts[bend.layer], starts[bend.layer] + widths[bend.layer])
        ]
        for argument, chain in chains.items()
    }
    return Layout(corners, edges, (starts[-1] - _GAP_X + _GAP_Y, bottom - top))
