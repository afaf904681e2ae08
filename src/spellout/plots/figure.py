"""A figure and its colours, and how it becomes a file. No window is opened and nothing global is changed."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..files import told

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
"""Okabe & Ito 2008: they differ for colour-blind eyes too."""
DPI = 144


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches, and its axes from left to right and from top to bottom."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    return figure, axes


def colours(count: int) -> list[Any]:
    """So many colours; beyond the seven that differ most, those of a scale from dark to light."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [colormaps["viridis"](0.95 * number / (count - 1)) for number in range(count)]


def plain(axes: Axes, title: str, across: str = "", up: str = "") -> None:
    """A title, the names of the axes, a light grid behind the numbers, and no frame above and on the right."""
    axes.set_title(title, fontsize=11, parse_math=False)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def name_positions(axes: Axes, symbols: list[str], up: bool = False, size: float = 9) -> None:
    """Symbols as the names of the positions 0, 1, ... across, and also `up`."""
    positions = range(len(symbols))
    axes.set_xticks(positions, symbols, fontsize=size, parse_math=False)
    if up:
        axes.set_yticks(positions, symbols, fontsize=size, parse_math=False)
    if max(map(len, symbols), default=0) > 3:  # words and bytes would run into each other
        axes.tick_params(axis="x", rotation=90)


def save_figure(figure: Figure, path: Path) -> None:
    """Write PNG, SVG or PDF by the name's ending, whole or not at all; `RunError` if that is not possible."""
    kind = path.suffix.removeprefix(".").lower()
    # The same numbers give the same file: no date in it, and no random names.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}")
    try:
        with (
            told(path, "written", remedy="choose another -o"),
            warnings.catch_warnings(),
            rc_context({"svg.hashsalt": "spellout"}),
        ):
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for what the font does not have
            figure.savefig(temporary, format=kind, dpi=DPI, metadata=metadata)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # its path may be no path at all
            temporary.unlink(missing_ok=True)
