"""Activations stand where the loss does not want them, or softmax takes the wrong axis (families 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, REGRESSIONS, Call, Tape, span

SOFTMAX = Page(
    id="softmax-before-cross-entropy",
    number=7,
    title="softmaxed outputs go into a loss that expects logits",
    why="Cross entropy applies softmax itself. Of numbers between 0 and 1 it can make at most e/(e+C−1): "
    "the loss cannot fall below ln(1+(C−1)/e) and the gradients are small.",
    evidence="The tensor that cross entropy received came from the named call, or its rows are probabilities.",
    legitimate="Never; a log-softmax before cross entropy is harmless and not reported.",
    cure="Return logits from the model; apply softmax only where probabilities are shown.",
)
SIGMOID = Page(
    id="sigmoid-before-bce-with-logits",
    number=7,
    title="probabilities go into binary_cross_entropy_with_logits",
    why="The loss applies the sigmoid itself. Of numbers between 0 and 1 it makes 0.5 … 0.73, "
    "so the loss cannot fall below p·ln(1+1/e)+(1−p)·ln 2.",
    evidence="The tensor that the loss received came from a sigmoid or softmax, also one written by hand.",
    cure="Return logits, or use `F.binary_cross_entropy` on the probabilities (less stable).",
)
BOUNDED = Page(
    id="bounded-logits",
    number=7,
    severity="warning",
    title="logits went through a ReLU or tanh",
    why="ReLU lets no logit be negative and stops the gradient where it is zero; tanh keeps all within ±1.",
    evidence="The tensor that the loss received came from the named call.",
    legitimate="Logits capped on purpose are scaled after the tanh, and then not reported.",
    cure="Leave the last layer linear.",
)
NLL = Page(
    id="nll-without-log-softmax",
    number=7,
    title="nll_loss received something else than log-probabilities",
    why="nll_loss only picks −input[target]. "
    "Of logits it falls without bound; of probabilities it is never positive.",
    evidence="The rows of exp(input) do not add up to 1.",
    legitimate="Unnormalised models trained with another term that normalises them.",
    cure="`F.log_softmax(logits, dim=1)` before it, or `F.cross_entropy(logits, target)` instead.",
)
RANGE = Page(
    id="output-cannot-reach-targets",
    number=7,
    severity="warning",
    title="the last activation cannot produce the targets",
    why="ReLU gives nothing below 0, sigmoid nothing outside 0 … 1, tanh nothing outside ±1; the rest stays error.",
    evidence="The range of the activation, and the share of targets outside it.",
    legitimate="Targets that lie outside only by noise.",
    cure="Leave the last layer linear, or scale the targets into the range.",
)
SIZE_ONE = Page(
    id="softmax-over-one",
    number=8,
    title="softmax over an axis of size one",
    why="One number divided by itself: the result is 1 whatever the input, and the gradient is zero.",
    evidence="The shape and the axis.",
    legitimate="Attention to a single key, while a program is being tried out.",
    cure="Use the axis of the classes (or keys); with one logit use a sigmoid.",
)
BATCH_AXIS = Page(
    id="softmax-over-batch",
    number=8,
    title="softmax over the axis of the batch",
    why="The samples of a batch compete with each other; each gets another answer in other company.",
    evidence="The batch was given a size that nothing else has, and the softmax's axis had that size.",
    legitimate="Matrices of all pairs (contrastive losses) have two batch axes and are not reported.",
    cure="`dim=-1`, or the axis of the classes.",
)
IMPLICIT = Page(
    id="softmax-implicit-axis",
    number=8,
    title="softmax without dim",
    why="torch then takes axis 0 for one and three axes, otherwise axis 1: the batch, for a tensor (B, T, C).",
    evidence="`dim` is None; the axis that torch chose.",
    legitimate="Never; torch deprecated it.",
    cure="Say `dim=-1`, or the axis of the classes.",
)
PAGES = (SOFTMAX, SIGMOID, BOUNDED, NLL, RANGE, SIZE_ONE, BATCH_AXIS, IMPLICIT)

_RANGES = {"relu": (0.0, float("inf")), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0)}
_CLASSES = ("cross_entropy", "log_softmax", "logsumexp")
_SOFTMAXES = ("softmax", "log_softmax", "softmin")
_BINARY = "binary_cross_entropy_with_logits"
_STEPS, _WIDE = 8, 8
"""How far back a sigmoid written by hand is looked for, and among how many tensors at a time."""


def check(patient: Patient) -> Iterator[Finding]:
    """Both families, on the first training pass, on the pass with relabelled axes, and on the user's steps."""
    # A program that makes a text begins with one place; what it learns from has more.
    longer = {_place(one) for tape in patient.tapes for one in tape.calls if _chooses(one)}
    for tape in patient.tapes:
        yield from _on(tape, longer)
        if patient.runs and tape is patient.training.tape and patient.relabelled is not None:
            axes, trial = patient.relabelled
            for call in trial.tape.calls:
                if call.name in _SOFTMAXES and id(call.argument(0, "input")) in trial.dependent:
                    yield from _over_batch(call, axes.samples)


def _chooses(call: Call) -> bool:
    """Is it a softmax of more than one number?"""
    x, dim = call.argument(0, "input"), call.argument(1, "dim")
    return call.name in _SOFTMAXES and isinstance(dim, int) and x.ndim > 0 and x.shape[dim] > 1


def _on(tape: Tape, longer: set[tuple[Any, int]]) -> Iterator[Finding]:
    """Everything that one tape shows; `longer` are the places where a softmax is of more than one number."""
    for call in tape.calls:
        if call.name in (*_CLASSES, _BINARY):
            yield from _logits(tape, call)
        elif call.name == "nll_loss":
            yield from _nll(tape, call)
        elif call.name in REGRESSIONS:
            yield from _reach(tape, call)
        if call.name in _SOFTMAXES:
            yield from (one for one in _axis(call) if one.page is not SIZE_ONE or _place(call) not in longer)


def _logits(tape: Tape, call: Call) -> Iterator[Finding]:
    """What a loss that applies softmax or sigmoid itself was given."""
    logits, binary = call.argument(0, "input"), call.name == _BINARY
    page, loss = (SIGMOID, "the loss") if binary else (SOFTMAX, f"`{call.name}`")
    source = tape.source(logits, MOVES, call.index)
    name, where = (source.name, source.where or call.where) if source is not None else ("", call.where)
    returned = f"{loss} received what `{name}` returned: {span(logits)}"
    if name in ("softmax", "sigmoid"):
        yield page.found(returned, where)
    elif name in ("relu", "tanh") and call.name in ("cross_entropy", _BINARY):
        yield BOUNDED.found(returned, where)
    elif binary and _is_own_sigmoid(tape, logits, call.index):
        yield SIGMOID.found(f"the loss received the sigmoid of what was computed before: {span(logits)}", where)
    elif call.name == "cross_entropy" and _are_probabilities(logits):
        yield SOFTMAX.found(f"every row of the logits is ≥ 0 and adds up to 1: {span(logits)}", call.where)


def _is_own_sigmoid(tape: Tape, value: torch.Tensor, before: int) -> bool:
    """Is it the sigmoid, however written, of one of the tensors that it was computed from?"""
    shown = value.detach().double().reshape(-1)
    if shown.numel() < 2 or not bool(((shown > 0) & (shown < 1)).all()):
        return False
    front = [(value, before)]
    for _ in range(_STEPS):
        calls = [tape.maker(tensor, until) for tensor, until in front]
        front = [
            (one, call.index)
            for call in calls
            if call is not None
            for one in call.inputs
            if one.numel() == shown.numel() and one.is_floating_point()
        ][:_WIDE]
        for one, _ in front:
            made = torch.sigmoid(one.detach().double().reshape(-1))
            if bool(torch.isclose(made, shown, rtol=1e-4, atol=1e-6).all()):
                return True
    return False


def _nll(tape: Tape, call: Call) -> Iterator[Finding]:
    given = call.argument(0, "input")
    values = given.detach().double()
    worst = float(values.logsumexp(1 if values.ndim > 1 else 0).abs().max())
    if worst > 0.05:  # rounding in half precision stays below
        source = tape.source(given, MOVES, call.index)
        after = f"`{source.name}` made it; " if source is not None else ""
        yield NLL.found(
            f"{after}the logarithm of a row's sum of exp(input) is up to {worst:.3g}, not 0", call.where
        )


def _reach(tape: Tape, call: Call) -> Iterator[Finding]:
    output, target = call.argument(0, "input"), call.argument(1, "target")
    source = tape.source(output, MOVES, call.index)
    if source is None or source.name not in _RANGES or not isinstance(target, torch.Tensor) or target.requires_grad:
        return
    low, high = _RANGES[source.name]
    outside = float(((target < low - 1e-3) | (target > high + 1e-3)).double().mean())
    if outside >= 0.1:  # fewer may be noise around a bound
        yield RANGE.found(
            f"`{source.name}` gives {low:g} … {high:g}; {outside:.0%} of the targets lie outside: {span(target)}",
            source.where or call.where,
        )


def _place(call: Call) -> tuple[Any, int]:
    return call.code, call.instruction


def _axis(call: Call) -> Iterator[Finding]:
    x, dim = call.argument(0, "input"), call.argument(1, "dim")
    if dim is None:
        chosen = 0 if x.ndim in (0, 1, 3) else 1
        yield IMPLICIT.found(f"shape {tuple(x.shape)}, torch chose axis {chosen}", call.where)
    elif isinstance(dim, int) and x.ndim and x.shape[dim] == 1:
        yield SIZE_ONE.found(f"shape {tuple(x.shape)}, dim={dim}: every result is exactly 1", call.where)


def _over_batch(call: Call, samples: int) -> Iterator[Finding]:
    x, dim = call.argument(0, "input"), call.argument(1, "dim")
    if not isinstance(dim, int) or x.ndim < 2:
        return
    carries = [size % samples == 0 for size in x.shape]
    if carries[dim] and sum(carries) == 1:
        yield BATCH_AXIS.found(f"a batch of {samples} gave shape {tuple(x.shape)}, dim={dim}", call.where)


def _are_probabilities(logits: torch.Tensor) -> bool:
    if logits.ndim < 2 or logits.shape[1] < 2 or not logits.numel():
        return False
    values = logits.detach().double()
    return bool((values >= 0).all()) and bool(((values.sum(1) - 1).abs() < 1e-4).all())
