"""The visible table of pictures: what a model must have to show one, what is read of its run, and what draws it."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from ..errors import UsageError
from ..models.family import ENSEMBLE
from ..models.table import MODELS
from ..training.runs.run import Run
from .curves import loss_curves, member_curves, update_ratios
from .kinds import Kind
from .layers import activation_histograms, gradient_histograms, saturation_maps
from .letters import attention_maps, bigram_map, embedding_scatter, surprise_bars
from .numbers import attention, curve, dev_loss, embedding, inside, of_members, pairs, surprise, updates


def picture(run: Run, what: Kind, line: str | None = None) -> Figure:
    """A picture of a run. `line` is for those that show a line; by default the first one.

    Those of its training are drawn from its events. `UsageError` if this run's model cannot show that.
    """
    able = shown_by(what)
    if run.family not in able:
        raise UsageError(f"--what {what}: {run.family} has none to show; models that have: {', '.join(able)}")
    return PICTURES[what][1](run, line)


def shown_by(what: Kind) -> list[str]:
    """The models that can show a kind of picture, in the order of their table."""
    need = PICTURES[what][0]
    return [n for n, family in MODELS.items() if any(getattr(one, need, False) for one in (family, family.model))]


def _loss(run: Run, line: str | None) -> Figure:
    if run.family == ENSEMBLE:
        losses = {
            name: curve(events, "evaluation", "nats_per_char") for name, events in of_members(run, MODELS).items()
        }
        return member_curves(losses, dev_loss(run))
    both = [event for event in run.events if "new_lines" in event]  # earlier versions judged one way only
    return loss_curves(
        curve(run.events, "step", "nats_per_token"),
        curve(run.events, "evaluation", "nats_per_char"),
        curve(both, "evaluation", "new_lines"),
    )


def _activations(run: Run, line: str | None) -> Figure:
    layers = inside(run).layers
    return activation_histograms(
        {layer.name: layer.before for layer in layers if layer.before is not None},
        {layer.name: layer.after for layer in layers},
        [layer.name for layer in layers if layer.bounded],
    )


def _gradients(run: Run, line: str | None) -> Figure:
    found = inside(run)
    return gradient_histograms({layer.name: layer.gradient for layer in found.layers}, found.gradients)


def _saturation(run: Run, line: str | None) -> Figure:
    return saturation_maps({layer.name: layer.after for layer in inside(run).layers if layer.bounded})


PICTURES: dict[Kind, tuple[str, Callable[[Run, str | None], Figure]]] = {
    "loss": ("in_steps", _loss),
    "bigrams": ("log_probabilities", lambda run, line: bigram_map(*pairs(run), run.vocabulary.size)),
    "embedding": ("token_vectors", lambda run, line: embedding_scatter(*embedding(run))),
    "activations": ("inspect", _activations),
    "gradients": ("inspect", _gradients),
    "saturation": ("bounded", _saturation),
    "updates": ("learner", lambda run, line: update_ratios(*updates(run.events))),
    "attention": ("attention", lambda run, line: attention_maps(*attention(run, line))),
    "surprise": ("score", lambda run, line: surprise_bars(*surprise(run, line))),
}
"""For each kind what a family's row or the class of its model must have to show it (`models.inspection` says what
that is), and what draws it from a run and a line."""
