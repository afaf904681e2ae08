"""Numbers over the steps of a training, or over learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .figure import colours, new_figure, plain

USUAL = -3.0
"""log10 of the update:data ratio at which matrices usually learn well (Karpathy's rule of thumb)."""


def loss_curves(
    training: tuple[Sequence[float], Sequence[float]],
    dev: tuple[Sequence[float], Sequence[float]],
    new: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Figure:
    """Losses over steps: of the training batches, nats per token, and of the dev lines, nats per character.

    Of the dev lines as it is, and `new` as a model of new lines, which decides which step is best. Each is steps
    and losses, and may be empty.
    """
    figure, (axes,) = new_figure(8, 4.5)
    blue, orange, green = colours(3)
    if training[0]:
        axes.plot(*training, color=blue, linewidth=1.2, label="training, per token, smoothed")
    if dev[0]:
        label = "dev as it is, per character" if new[0] else "dev, per character"
        axes.plot(*dev, color=orange, marker="o", markersize=4, linewidth=1.2, label=label)
        if new[0]:
            axes.plot(*new, color=green, marker="o", markersize=4, linewidth=1.2, label="dev, new lines")
        (steps, losses), colour = (new, green) if new[0] else (dev, orange)
        best = int(np.argmin(losses))
        axes.axhline(losses[best], color=colour, linewidth=0.8, linestyle=":")
        title = f"loss: best dev {losses[best]:.4f} nats per character after {steps[best]:,} steps"
    else:
        title = "loss"
    plain(axes, title, "step", "nats")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def member_curves(losses: Mapping[str, tuple[Sequence[float], Sequence[float]]], together: float | None) -> Figure:
    """Dev losses over steps of an ensemble's members, and a line where all together are; nats per character."""
    figure, (axes,) = new_figure(8, 4.5)
    for (name, (steps, nats)), colour in zip(losses.items(), colours(len(losses)), strict=True):
        axes.plot(steps, nats, color=colour, marker="o", markersize=4, linewidth=1.2, label=name)
    title = "dev loss of the members"
    if together is not None:
        axes.axhline(together, color="black", linewidth=1.0, linestyle="--", label="all together")
        title += f"; all together {together:.4f} nats per character"
    plain(axes, title, "step", "nats per character")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    return figure


def lr_curve(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float | None
) -> Figure:
    """The learning-rate finder: the loss of each batch and the smoothed loss, nats per token, at rising rates."""
    figure, (axes,) = new_figure(8, 4.5)
    blue, orange, green = colours(3)
    axes.plot(rates, losses, ".", color="#999999", markersize=3, label="of each batch")
    axes.plot(rates, smoothed, color=blue, linewidth=1.8, label="smoothed, without the noise of the batches")
    if suggestion is not None:
        axes.axvline(suggestion, color=orange, linestyle="--", label=f"suggestion {suggestion:.2g}")
        axes.axvline(10 * suggestion, color=green, linestyle=":", label=f"lowest at {10 * suggestion:.2g}")
    axes.set_xscale("log")
    if len(smoothed) > 1:  # an explosion should not hide where the loss fell
        low = min(smoothed[0], *smoothed, *losses)
        axes.set_ylim(low - 0.05, max(*losses[: max(1, len(losses) // 2)], smoothed[0]) + 0.3)
    title = "no rate lowered the loss" if suggestion is None else f"learning rates: try {suggestion:.2g}"
    plain(axes, title, "learning rate", "nats per token")
    axes.legend(frameon=False, loc="lower left")
    return figure


def update_ratios(steps: Sequence[int], ratios: Mapping[str, Sequence[float]]) -> Figure:
    """How much each step changed every matrix: log10 of the update:data ratio, with a line at -3."""
    figure, (axes,) = new_figure(10, 4.5)
    for (name, values), colour in zip(ratios.items(), colours(len(ratios)), strict=True):
        known = np.array(values, dtype=float)
        known[known <= 0] = np.nan  # the zeros of a last layer that has just begun
        axes.plot(steps, np.log10(known), color=colour, linewidth=1.2, label=name)
    axes.axhline(USUAL, color="black", linewidth=1.0, linestyle="--", label="about right")
    plain(axes, "update:data ratio of the matrices", "step", "log10 of deviations, update over data")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
