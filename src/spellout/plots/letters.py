"""Pictures of symbols: which follows which, which are alike, and which surprise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figure import colours, name_positions, new_figure, plain

_CELL = 0.34
"""Inches of a cell of a map."""
_APART, _PUSHES = 0.045, 200
"""The least distance of two letters, as a part of the picture's width, and so many rounds to reach it."""
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
"""Behind numbers, so that no line crosses them."""


def bigram_map(
    symbols: Sequence[str], counts: np.ndarray, chances: np.ndarray | None = None, of: int | None = None
) -> Figure:
    """What follows what: `counts` (S, S), the row before and the column after, coloured by the row's shares.

    The symbols are the most frequent `of` so many, if not all. `chances` (S, S), a model's own probabilities,
    are drawn beside them in percent.
    """
    side = max(4.0, _CELL * len(symbols)) + 1.0
    maps = 1 if chances is None else 2
    figure, axes = new_figure(maps * side, side + 0.4, 1, maps)
    # a symbol that nothing follows has a row of zeros
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    some = f" ({len(symbols)} most frequent of {of:,} symbols)" if of and of > len(symbols) else ""
    texts = [[_short(count) for count in row] for row in counts.tolist()]
    _draw_map(axes[0], f"how often the column follows the row{some}", list(symbols), shares, texts)
    if chances is not None:
        percent = [[f"{100 * chance:.0f}" if chance >= 0.005 else "" for chance in row] for row in chances.tolist()]
        _draw_map(axes[1], "what the model expects, in percent", list(symbols), chances, percent)
    return figure


def _draw_map(axes: Axes, title: str, symbols: list[str], shares: np.ndarray, texts: list[list[str]]) -> None:
    axes.set_title(title, fontsize=11)
    shades = np.sqrt(shares)  # the eye sees small shares too
    axes.imshow(shades, cmap="Blues", vmin=0.0, vmax=max(float(shades.max()), 1e-9))
    name_positions(axes, symbols, up=True)
    axes.tick_params(length=0, top=True, labeltop=True)
    middle = 0.6 * float(shades.max())
    for row, cells in enumerate(texts):
        for column, text in enumerate(cells):
            colour = "white" if shades[row, column] > middle else "#333333"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)


def _short(count: int) -> str:
    """At most four letters: 123, 1.2k, 34k."""
    if count < 1000:
        return str(count) if count else ""
    return f"{count / 1000:.1f}k" if count < 10_000 else f"{count / 1000:.0f}k"


def embedding_scatter(symbols: Sequence[str], vectors: np.ndarray) -> Figure:
    """Symbols where their vectors (S, E) are; of more than two dimensions, the two along which they vary most.

    That is principal component analysis (Pearson 1901); the axes say which part of the variance they hold.
    """
    names = ["first number", "second number"]
    if vectors.shape[1] > 2:
        centred = vectors - vectors.mean(axis=0)
        _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
        shares = sizes**2 / max(float((sizes**2).sum()), 1e-30)
        points = centred @ directions[:2].T  # (S, 2)
        first, second = shares[:2].tolist()
        names = [f"first component, {first:.0%} of the variance", f"second component, {second:.0%} of the variance"]
    else:
        points = np.pad(vectors, ((0, 0), (0, 2 - vectors.shape[1])))
    figure, (axes,) = new_figure(8, 8)
    letters = _apart(points)
    blue = colours(1)[0]
    axes.scatter(letters[:, 0], letters[:, 1], s=300, color=blue, alpha=0.15, linewidths=0)
    for symbol, here, (x, y) in zip(symbols, points, letters.tolist(), strict=True):
        if np.abs((here - (x, y)) / np.ptp(points, axis=0).clip(1e-12)).max() > 0.005:  # it had to move
            axes.plot([here[0], x], [here[1], y], color=blue, linewidth=0.8, marker=".", markevery=[0])
        axes.text(x, y, symbol, ha="center", va="center", fontsize=12, parse_math=False)
    plain(axes, f"vectors of {vectors.shape[1]} numbers: what is near is used alike", *names)
    return figure


def _apart(points: np.ndarray) -> np.ndarray:
    """Places (S, 2) for letters that stay near their points (S, 2) and do not lie on each other: those closer than
    `_APART` push each other away."""
    scale = np.maximum(np.ptp(points, axis=0), 1e-12)
    moved = points / scale
    turn = np.arange(len(moved)) * 2.4  # letters of the same point leave in different directions
    moved = moved + 1e-4 * np.column_stack([np.cos(turn), np.sin(turn)])
    for _ in range(_PUSHES):
        gaps = moved[:, None] - moved  # (S, S, 2)
        lengths = np.hypot(gaps[..., 0], gaps[..., 1])
        push = np.clip(_APART - lengths, 0.0, None) / np.maximum(lengths, 1e-12)
        # nothing pushes itself
        np.fill_diagonal(push, 0.0)
        if not push.any():
            break
        # each of two goes half of the way
        moved = moved + 0.5 * (push[..., None] * gaps).sum(axis=1)
    return moved * scale


def surprise_bars(symbols: Sequence[str], bits: np.ndarray) -> Figure:
    """The surprise of each symbol of a line in bits (T,), and the average as a line."""
    figure, (axes,) = new_figure(max(5.0, 0.45 * len(symbols) + 1.5), 4)
    blue, orange = colours(2)
    axes.bar(range(len(symbols)), bits, color=blue, width=0.8)
    mean = float(np.mean(bits))
    axes.axhline(mean, color=orange, linestyle="--", linewidth=1.2, zorder=0.9, label=f"average {mean:.2f} bits")
    for position, number in enumerate(bits.tolist()):
        above = (position, number), (0, 3), "data", "offset points"
        axes.annotate(f"{number:.1f}", *above, ha="center", fontsize=8, bbox=_PAPER)
    plain(axes, f"surprise, {float(np.sum(bits)):.1f} bits in all; ¶ is the end", "", "bits")
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.15)
    name_positions(axes, list(symbols), size=12)
    axes.legend(frameon=False)
    return figure


def attention_maps(symbols: Sequence[str], maps: np.ndarray) -> Figure:
    """How much each position (row) looks at each (column), one map for every layer and head (L, H, T, T)."""
    layers, heads, length, _ = maps.shape
    side = max(2.2, 0.24 * length + 0.6)
    figure, axes = new_figure(heads * side + 1.0, layers * (side + 0.3) + 0.5, layers, heads)
    future = np.triu(np.ones((length, length), bool), 1)
    for number, one in enumerate(axes):
        layer, head = divmod(number, heads)
        one.set_facecolor("#eeeeee")
        shown = one.imshow(np.ma.masked_array(maps[layer, head], future), cmap="viridis", vmin=0.0, vmax=1.0)
        name_positions(one, list(symbols), up=True, size=8)
        one.tick_params(length=0)
        one.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=9)
    figure.colorbar(shown, ax=axes, shrink=0.6, label="part of the attention")
    figure.suptitle("each row looks at the columns", fontsize=11)
    return figure
