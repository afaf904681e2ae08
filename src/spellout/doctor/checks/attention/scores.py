"""The scores of attention: their scale, the axis of the softmax, and what is done to them that should not be.

A head's score is a sum of d products, so it grows with √d; 1/√d undoes that. The factor may stand anywhere between
the projections and the softmax, be learned, or lie in the weights (as T5's does): all that is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn

from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, RESHAPES, Call, span, words
from .fused import scale_of
from .reading import attentions, evaluated, summed
from .seen import Attention

UNSCALED = Page(
    id="attention-not-scaled",
    number=26,
    severity="warning",
    title="attention's scores are not scaled by 1/√d",
    why="Scores are sums of d products and grow with √d: the softmax is nearly one-hot from the start, "
    "and its gradient nearly zero.",
    evidence="No factor stands between the projections of queries and keys and the softmax, "
    "or another than 1/√d; the scores' spread over the keys.",
    legitimate="T5 has it in its initial weights (not reported); GPT-Neo trains without; "
    "a note where the spread is small.",
    cure="`scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])`, "
    "or `F.scaled_dot_product_attention` as it is.",
)
TWICE = Page(
    id="attention-scaled-twice",
    number=26,
    severity="warning",
    title="attention's scores are scaled by 1/√d twice",
    why="The weights are nearly equal for all keys; queries and keys learn slowly.",
    evidence="Two factors of 1/√d on the way to one softmax.",
    legitimate="A scale of 1/d in one place is muP's and is not reported.",
    cure="`F.scaled_dot_product_attention` scales by itself: give it the queries as they are.",
)
AXIS = Page(
    id="softmax-over-wrong-axis",
    number=26,
    title="attention's softmax is not over the keys",
    why="What each query gets are weights that do not sum to one; queries (or heads) compete for a key instead, "
    "and a query's answer depends on the other queries.",
    evidence="The weights sum to one over another axis than the one the values are summed over.",
    legitimate="Slot attention, which divides by the sum over the keys afterwards and is not reported.",
    cure="`scores.softmax(dim=-1)` for scores of shape (…, queries, keys).",
)
SOFTMAX_TWICE = Page(
    id="softmax-twice",
    number=26,
    title="attention's weights go through softmax twice",
    why="A softmax of probabilities is nearly the same for all keys, and gives back weight to what was masked.",
    evidence="The argument of a softmax is the result of another.",
    cure="Remove one of them.",
)
DROPPED = Page(
    id="dropout-on-scores",
    number=26,
    severity="warning",
    title="dropout on attention's scores instead of its weights",
    why="A score of 0 is not a key left out: after the softmax it may have more weight than before, "
    "and a masked key may come back.",
    evidence="Dropout between the product of queries and keys and the softmax.",
    cure="`weights = F.dropout(scores.softmax(-1), p, self.training)`.",
)
ONE_KEY = Page(
    id="attention-over-one-key",
    number=26,
    severity="warning",
    title="attention has one key to look at",
    why="The softmax of one score is 1: queries and keys do nothing and never learn.",
    evidence="In every attention of the model the axis of the keys has length 1.",
    legitimate="Data whose sequences happen to have one place.",
    cure="Give each feature (or patch, or moment) a place of its own: (batch, places, width).",
)
SATURATED = Page(
    id="attention-saturated",
    number=26,
    severity="warning",
    title="attention looks at one key only, before any training",
    why="Where the softmax is one-hot its gradient is zero: queries and keys do not learn.",
    evidence="The mean of the largest weight of each query, as training starts.",
    legitimate="Trained models.",
    cure="Smaller initial weights (standard deviation 0.02, or 1/√fan_in), 1/√d, a norm before the projections.",
    symptom=True,
)
PAGES = (UNSCALED, TWICE, AXIS, SOFTMAX_TWICE, DROPPED, ONE_KEY, SATURATED)

_FACTORS = words("mul div rdiv")
_PASSES = RESHAPES | MOVES | words("add sub neg cat stack dropout")
"""What rotary positions are made of, and other things that change no scale."""
_REGION = 60
"""So many calls before the product are looked at; rotary positions take about twenty."""


def check(patient: Patient) -> Iterator[Finding]:
    """All attentions of a pass in eval mode; dropout as a training pass has it."""
    trial, found = evaluated(patient)
    for attention in found:
        if attention.product is not None:
            yield from _axis(attention)
        yield from _scale(trial, attention)
    if found and all(one.weights.shape[-1] == 1 for one in found):
        yield ONE_KEY.found(f"all {len(found)} attentions, weights {tuple(found[0].weights.shape)}", found[0].where)
    yield from _order(patient)
    yield from _saturated(patient, found)


def _axis(attention: Attention) -> Iterator[Finding]:
    """Do the weights sum to one over another axis than that of the keys?"""
    own = attention.own
    if own is None or attention.normalised or (own < 0).any() or own.shape[attention.keys] == 1:
        return
    names = [step.name for step in attention.steps]
    if "softmax" not in names and "exp" not in names:
        return
    keys = attention.keys % own.ndim
    for axis in (axis for axis in range(own.ndim) if axis != keys and own.shape[axis] > 1):
        sums = own.nan_to_num().double().sum(axis)
        if bool((((sums - 1).abs() < 1e-3) | (sums.abs() < 1e-3)).all()) and bool((sums > 0.5).any()):
            shape = tuple(own.shape)
            yield AXIS.found(
                f"weights {shape} sum to 1 over axis {axis}; the values are summed over axis {keys}, "
                f"where the sums are {span(own.sum(keys).nan_to_num())}",
                attention.where,
                "error" if _both_projected(attention) else "warning",
            )
            return


def _both_projected(attention: Attention) -> bool:
    return all(tensor.requires_grad for tensor in attention.inputs[:2])


def _scale(trial: Trial, attention: Attention) -> Iterator[Finding]:
    """The factors between projections and softmax, and whether they make 1/√d."""
    if attention.call.name == "multi_head_attention_forward" or attention.weights.shape[-1] < 2:
        return
    product = attention.product or attention.call
    one, two = attention.inputs[:2]
    d = summed(product) if attention.product is not None else one.shape[-1]
    if d < 4 or not attention.normalised:
        return
    region = _Region(trial, [one, two], product.index)
    if attention.product is not None:
        region.between(attention)
        factors = region.factors
    else:
        factors = [*region.factors, scale_of(attention.call)]
    if region.scaled_otherwise:
        return
    root = d**-0.5
    if len(factors) > 1 and sum(math.isclose(factor, root, rel_tol=0.02) for factor in factors) > 1:
        yield TWICE.found(f"d = {d}, factors {_listed(factors)}", attention.where)
        return
    whole = math.prod(factors)
    width = one.shape[-3] * d if one.ndim == 4 else None
    if math.isclose(whole, root, rel_tol=0.02) or whole < root:
        if width is not None and width > d and math.isclose(whole, width**-0.5, rel_tol=0.02):
            evidence = f"d = {d}, but the factor is 1/√{width}, of all heads together"
            yield UNSCALED.found(evidence, attention.where, "note")
        return
    spread = _spread(one, two, attention) * whole
    if whole < 1.02 and (spread < 0.02 or _compensated(one, two, d) or _other_factor(factors)):
        return
    strong = spread > 1 or whole > 1.02  # below, the softmax is still soft
    said = f"the factor is {whole:.3g}" if factors else "there is no factor"
    yield UNSCALED.found(
        f"d = {d}: {said} instead of {root:.3g}; the scores of a query have a spread of {spread:.2g} over its keys",
        attention.where,
        "warning" if strong else "note",
    )


def _other_factor(factors: list[float]) -> bool:
    """A factor that is not 1 was chosen on purpose."""
    return any(not math.isclose(factor, 1.0, rel_tol=1e-6) for factor in factors)


def _listed(factors: list[float]) -> str:
    return ", ".join(f"{factor:.3g}" for factor in factors)


def _compensated(one: torch.Tensor, two: torch.Tensor, d: int) -> bool:
    """Do queries and keys start with scales that differ by about √d? Then the initial weights hold the factor."""
    left, right = (float(tensor.detach().double().std()) + 1e-30 for tensor in (one, two))
    return max(left, right) / min(left, right) > d**0.25


def _spread(one: torch.Tensor, two: torch.Tensor, attention: Attention) -> float:
    """The spread of the plain products of a query with its keys."""
    if attention.product is not None and isinstance(attention.product.out, torch.Tensor):
        return float(attention.product.out.detach().double().std(-1).mean())
    keys = two.detach().transpose(-2, -1).double()
    queries = one.detach().double()
    if queries.ndim > 2 and queries.shape[-3] != keys.shape[-3]:
        keys = keys.repeat_interleave(queries.shape[-3] // keys.shape[-3], -3)
    return float((queries @ keys).std(-1).mean())


class _Region:
    """What lies between the projections of queries and keys and the softmax."""

    def __init__(self, trial: Trial, ends: list[torch.Tensor], before: int) -> None:
        self.trial = trial
        self._found: dict[int, float] = {}
        self.scaled_otherwise = False
        """By a norm, by something learned, or by something computed."""
        reached = [self._walk(end, before) for end in ends]
        self.scaled_otherwise |= not all(reached)  # without a projection there is nothing to hold to the rule

    @property
    def factors(self) -> list[float]:
        """The numbers that are multiplied with."""
        return list(self._found.values())

    def _walk(self, end: torch.Tensor, before: int) -> bool:
        """Back to the projections; is there one?"""
        pending, reached, seen = [(end, before)], False, set[int]()
        while pending and len(seen) < _REGION:
            tensor, index = pending.pop()
            call = self.trial.tape.maker(tensor, index)
            if call is None or call.index in seen or id(tensor) not in self.trial.dependent:
                continue
            seen.add(call.index)
            if any(isinstance(one, nn.Parameter) and one.ndim > 1 for one in call.inputs):
                self._project(call)
                reached = True
                continue
            self._look(call)
            pending.extend((one, call.index) for one in call.inputs)
        return reached

    def _project(self, call: Call) -> None:
        """Only a projection of the places by a matrix is held to the rule, not a convolution or a recurrent net."""
        self.scaled_otherwise |= call.name not in ("linear", "matmul", "einsum", "addmm", "add")

    def _look(self, call: Call) -> None:
        if call.name in _FACTORS:
            factor = _factor(call)
            if factor is None:
                self.scaled_otherwise |= any(one.requires_grad and one.numel() <= 4096 and isinstance(
                    one, nn.Parameter) for one in call.inputs)  # fmt: skip
            else:
                self._found[call.index] = factor
        elif call.name not in _PASSES:
            self.scaled_otherwise = True

    def between(self, attention: Attention) -> None:
        """The steps from the product to the softmax."""
        assert attention.product is not None
        if attention.product.name == "baddbmm":
            self._found[attention.product.index] = float(attention.product.kwargs.get("alpha", 1))
        for step in attention.steps:
            if step.name in ("softmax", "exp"):
                return
            if step.name in _FACTORS:
                factor = _factor(step)
                if factor is not None:
                    self._found[step.index] = factor
                elif any(one.requires_grad and one.numel() < 4096 for one in step.inputs[1:]):
                    self.scaled_otherwise = True
            elif step.name in ("tanh", "sigmoid", "clamp", "relu"):
                self.scaled_otherwise = True


def _factor(call: Call) -> float | None:
    """The one number that a tensor is multiplied with or divided by."""
    other = next((one for one in (call.argument(1, "other"), call.argument(0, "input")) if _is_number(one)), None)
    if other is None:
        return None
    value = float(other)
    return value if call.name == "mul" else 1 / value if value else None


def _is_number(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and not value.requires_grad
    return isinstance(value, int | float)


def _order(patient: Patient) -> Iterator[Finding]:
    """Softmax of a softmax, and dropout before it, in a training pass."""
    for attention in attentions(patient.training):
        soft = [step for step in attention.steps if step.name == "softmax"]
        for one, two in pairwise(soft):
            between = attention.steps[attention.steps.index(one) + 1 : attention.steps.index(two)]
            if all(step.name in RESHAPES | {"dropout"} for step in between):
                yield SOFTMAX_TWICE.found("two softmax on the way from scores to weights", two.where)
        before = attention.steps[: attention.steps.index(soft[0])] if soft else []  # a graph's layer has none
        for step in before:
            if step.drops > 0:
                yield DROPPED.found(f"p = {step.drops:g}, before the softmax", step.where)


def _saturated(patient: Patient, found: list[Attention]) -> Iterator[Finding]:
    """Weights that are nearly one-hot in every attention, as training starts."""
    if any(optimizer.state for optimizer in patient.optimizers):
        return
    largest = []
    for attention in found:
        visible = (attention.weights > 1e-30).sum(-1)
        rows = attention.weights[visible >= 4]
        if len(rows) < 8 or not attention.normalised:
            return
        largest.append(float(rows.max(-1).values.mean()))
    if largest and min(largest) > 0.9:
        evidence = f"the largest weight of a query is {min(largest):.2f} on average, of at least 4 keys"
        yield SATURATED.found(evidence, found[0].where)
