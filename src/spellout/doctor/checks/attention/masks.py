"""Masks of attention: do they hide anything, and do they hide what lies ahead?

The weights say what is visible. A mask of two values divides the places in two, and one of the two must have no
weight; a triangle of visible places tells a causal model, and its edge must be the diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from .reading import evaluated
from .seen import Attention
from .targets import gap

USELESS = Page(
    id="mask-does-not-mask",
    number=26,
    title="a mask of attention hides nothing",
    why="Added ones, zeros instead of −inf, or a factor of 0 on a score still leave exp(0) = 1: "
    "every place is seen, and the masked ones only a little less.",
    evidence="The mask has two values (or one), and the weights are above zero for both.",
    legitimate="A bias for one kind of places, added on purpose; then it is not a triangle.",
    cure="`scores.masked_fill(~keep, float('-inf'))` before the softmax, or a boolean `attn_mask`.",
)
AFTER = Page(
    id="mask-after-softmax",
    number=26,
    title="the mask is put on after the softmax",
    why="What was hidden has already taken its share: the weights left do not sum to one, "
    "and how much is missing tells about the hidden places.",
    evidence="A mask of zeros and ones is multiplied with the result of the softmax, "
    "and nothing divides by the new sum.",
    legitimate="Weights of padded queries that are thrown away anyway.",
    cure="Mask the scores with −inf before the softmax.",
)
OFF = Page(
    id="causal-mask-off-by-one",
    number=26,
    title="the causal mask is off by one",
    why="One place too many and the next token, which must be predicted, is seen; one too few "
    "and a place does not see itself, and the first one sees nothing (or everything).",
    evidence="The triangle of keys that have weight ends one place beside the diagonal.",
    legitimate="Strict triangles where the place's own token is what must be predicted; then it is not reported.",
    cure="`torch.tril(torch.ones(T, T))`, or `is_causal=True`.",
)
INVERTED = Page(
    id="causal-mask-inverted",
    number=26,
    title="the causal mask is the wrong way round",
    why="Every place sees only what comes after it: what must be predicted is among its inputs.",
    evidence="The keys that have weight form the upper triangle, while the targets are the next tokens.",
    legitimate="Models that read backwards; then the targets are the tokens before.",
    cure="`tril`, not `triu`; True means *hide* for nn.MultiheadAttention "
    "and *show* for `scaled_dot_product_attention`.",
)
PAGES = (USELESS, AFTER, OFF, INVERTED)


def check(patient: Patient) -> Iterator[Finding]:
    """The masks of all attentions in eval mode."""
    _, found = evaluated(patient)
    ahead = gap(patient)
    for attention in found:
        yield from _useless(attention)
        yield from _late(attention)
        if attention.square:
            yield from _edge(attention, ahead)


def _useless(attention: Attention) -> Iterator[Finding]:
    """A mask of two values, both of which have weight."""
    if not attention.normalised or attention.weights.shape[-1] < 4:
        return
    for mask in attention.masks:
        levels = _levels(mask, attention)
        if levels is None:
            continue
        low, high, places = levels
        weights = attention.weights.nan_to_num()
        # Rows of which nothing is left to see give the same weight to everything, and say nothing.
        mixed = (places.any(-1) & ~places.all(-1))[..., None]
        shares = [float((weights * (side & mixed)).amax()) for side in (places, ~places)]
        if min(shares) > 1e-6:
            triangle = _is_triangle(places)
            yield USELESS.found(
                f"its values are {low:g} and {high:g}, and the largest weights where it has them "
                f"{shares[1]:.2g} and {shares[0]:.2g}",
                attention.where,
                "error" if triangle else "warning",
            )
            return
    if attention.square and attention.masks and all(_is_nothing(mask, attention) for mask in attention.masks):
        yield USELESS.found(
            "the mask is zero everywhere, and every weight is above zero", attention.where, "warning"
        )


def _levels(mask: torch.Tensor, attention: Attention) -> tuple[float, float, torch.Tensor] | None:
    """Its two values, and where in W it has the larger one; None if it has not two, or does not fit."""
    values = torch.unique(mask.detach())
    if len(values) != 2 or mask.ndim < 2 or values.isnan().any():
        return None
    high = mask.detach() == values[1]
    try:
        places = high.expand(attention.weights.shape)
    except RuntimeError:
        shape = attention.weights.shape
        if high.ndim != 2 or high.shape != (shape[0], shape[-1]):
            return None
        # Padding: of each line, in all heads and for every query.
        places = high.view(shape[0], *[1] * (len(shape) - 2), shape[-1]).expand(shape)
    return float(values[0]), float(values[1]), places


def _is_triangle(places: torch.Tensor) -> bool:
    """Is it the lower or upper triangle, with the diagonal or without?"""
    one = places.flatten(0, -3)[0] if places.ndim > 2 else places
    if one.shape[0] != one.shape[1] or not bool((places == one).all()):
        return False
    whole = torch.ones_like(one)
    return any(torch.equal(one, side) for k in (-1, 0, 1) for side in (whole.tril(k), whole.triu(k)))


def _is_nothing(mask: torch.Tensor, attention: Attention) -> bool:
    square = mask.ndim > 1 and mask.shape[-2:] == attention.weights.shape[-2:]
    return square and mask.is_floating_point() and not bool(mask.any()) and bool((attention.weights > 0).all())


def _late(attention: Attention) -> Iterator[Finding]:
    """A product with zeros and ones after the softmax, and weights that no longer sum to one."""
    if attention.normalised or attention.own is None:
        return
    names = [step.name for step in attention.steps]
    if "softmax" not in names:
        return
    last = len(names) - 1 - names[::-1].index("softmax")
    for step in attention.steps[last + 1 :]:
        if step.name in ("mul", "masked_fill", "where", "tril", "triu"):
            sums = attention.weights.sum(-1)
            yield AFTER.found(
                f"`{step.name}` after the softmax; the weights of a query sum to "
                f"{float(sums.min()):.2g} … {float(sums.max()):.2g}",
                step.where,
                "error" if step.name == "tril" or _hides_ahead(attention) else "warning",
            )
            return


def _hides_ahead(attention: Attention) -> bool:
    return attention.square and bool((attention.visible == torch.ones_like(attention.visible).tril()).all())


def _edge(attention: Attention, ahead: int | None) -> Iterator[Finding]:
    """Where the triangle of visible places ends."""
    seen = attention.visible
    whole = torch.ones_like(seen)
    if torch.equal(seen, whole.tril(1)):
        yield OFF.found(
            "every place sees one beyond itself", attention.where, "error" if ahead is not None else "warning"
        )
    elif torch.equal(seen[1:], whole.tril(-1)[1:]) and ahead is not None:
        yield OFF.found("every place sees only those before it, not itself", attention.where, "warning")
    elif ahead is not None and torch.equal(seen[:-1].triu(1), whole[:-1].triu(1)) and not seen[:-1].tril(-1).any():
        yield INVERTED.found("every place sees only what comes after it", attention.where)
