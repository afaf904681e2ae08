"""The visible table of pictures: what is read of a run, and what draws it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from ..training.inspection import attention, check_shown, curve, embedding, inside, pairs, surprise, updates
from ..training.runs.log import read_log
from ..training.runs.run import Run
from .curves import loss_curves, update_ratios
from .kinds import Kind
from .layers import activation_histograms, gradient_histograms, saturation_maps
from .letters import attention_maps, bigram_map, embedding_scatter, surprise_bars


def picture(run: Run, path: Path, what: Kind, line: str | None = None) -> Figure:
    """A picture of the run in a folder. `line` is for those that show a line; by default the first one."""
    check_shown(run, what)
    return PICTURES[what](run, path, line)


def _loss(run: Run, path: Path, line: str | None) -> Figure:
    events = read_log(path)
    return loss_curves(
        curve(events, "step", "nats_per_token"),
        curve(events, "evaluation", "nats_per_char"),
    )


def _bigrams(run: Run, path: Path, line: str | None) -> Figure:
    found = pairs(run)
    return bigram_map(found.symbols, found.counts, found.chances, run.vocabulary.size)


def _activations(run: Run, path: Path, line: str | None) -> Figure:
    layers = inside(run).layers
    return activation_histograms(
        {layer.name: layer.before for layer in layers if layer.before is not None},
        {layer.name: layer.after for layer in layers},
        [layer.name for layer in layers if layer.bounded],
    )


def _gradients(run: Run, path: Path, line: str | None) -> Figure:
    found = inside(run)
    return gradient_histograms({layer.name: layer.gradient for layer in found.layers}, found.gradients)


def _saturation(run: Run, path: Path, line: str | None) -> Figure:
    return saturation_maps({layer.name: layer.after for layer in inside(run).layers if layer.bounded})


PICTURES: dict[Kind, Callable[[Run, Path, str | None], Figure]] = {
    "loss": _loss,
    "bigrams": _bigrams,
    "embedding": lambda run, path, line: embedding_scatter(*embedding(run)),
    "activations": _activations,
    "gradients": _gradients,
    "saturation": _saturation,
    "updates": lambda run, path, line: update_ratios(*updates(read_log(path))),
    "attention": lambda run, path, line: attention_maps(*attention(run, line)),
    "surprise": lambda run, path, line: surprise_bars(*surprise(run, line)),
}
"""What draws each kind, from a run, its folder and a line."""
