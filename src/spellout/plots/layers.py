"""Pictures of the layers of a network: how activations and gradients spread, and which units are stuck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..models.inspection import SATURATED
from .figure import colours, new_figure, plain

ROWS_SHOWN = 100
_BINS = 60


def activation_histograms(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], bounded: Sequence[str] = ()
) -> Figure:
    """The activations of each layer, and above them what the functions were given, where that is known.

    For the layers in `bounded` the part that is saturated is said.
    """
    figure, axes = new_figure(11, 4 * (1 + bool(before)), 1 + bool(before))
    shades = dict(zip(after, colours(len(after)), strict=True))
    if before:
        _histograms(axes[0], before, shades, {name: _moments(values) for name, values in before.items()})
        plain(axes[0], "before the function", "", "density")
    notes = {}
    for name, values in after.items():
        stuck = f", {float((np.abs(values) > SATURATED).mean()):.1%} saturated" if name in bounded else ""
        notes[name] = _moments(values) + stuck
    _histograms(axes[-1], after, shades, notes)
    plain(axes[-1], "after the function", "activation", "density")
    return figure


def gradient_histograms(units: Mapping[str, np.ndarray], matrices: Mapping[str, np.ndarray]) -> Figure:
    """The gradients of the activations of each layer, and below them those of each matrix."""
    figure, axes = new_figure(11, 8, 2)
    for one, arrays, title in zip(
        axes, (units, matrices), ("gradients of the activations", "gradients of the matrices"), strict=True
    ):
        notes = {name: f"deviation {float(values.std()):.2g}" for name, values in arrays.items()}
        _histograms(one, arrays, dict(zip(arrays, colours(len(arrays)), strict=True)), notes, log=True)
        plain(one, title, "gradient of the mean loss", "density")
    return figure


def saturation_maps(layers: Mapping[str, np.ndarray]) -> Figure:
    """White where a unit (column) is saturated at a position of the text (row), for layers (N, H) of numbers
    between -1 and 1. A white column is a dead neuron: nothing it is given can teach it."""
    figure, axes = new_figure(10, 3.0 * len(layers) + 0.4, len(layers))
    for one, (name, values) in zip(axes, layers.items(), strict=True):
        stuck = np.abs(values) > SATURATED
        one.imshow(stuck[:ROWS_SHOWN], cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        dead = int(stuck.all(axis=0).sum())
        one.set_title(
            f"{name}: {stuck.mean():.1%} saturated (white), {dead} of {stuck.shape[1]} units dead", fontsize=11
        )
        one.set_xlabel("unit")
        one.set_ylabel("place of the text")
    return figure


def _histograms(
    axes: Axes,
    arrays: Mapping[str, np.ndarray],
    shades: Mapping[str, object],
    notes: Mapping[str, str],
    log: bool = False,
) -> None:
    """A curve for each array over the same bins, which hold all but the last half percent on each side."""
    together = np.concatenate([values.ravel() for values in arrays.values()])
    low, high = np.quantile(together, [0.005, 0.995]).tolist()
    for name, values in arrays.items():
        # where all numbers are alike the range would have no width
        density, edges = np.histogram(values, _BINS, (low, high if high > low else low + 1e-12), density=True)
        if log:
            density[density == 0] = np.nan  # a gap, and not a fall without end
        axes.plot((edges[1:] + edges[:-1]) / 2, density, color=shades[name], label=f"{name}: {notes[name]}")
    if log:
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _moments(values: np.ndarray) -> str:
    return f"mean {float(values.mean()):+.2f}, deviation {float(values.std()):.2f}"
