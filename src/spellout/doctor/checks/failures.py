"""A program raises: mistakes that torch refuses to run are told in the words of training (families 23 and 25)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..patient import Patient
from ..place import Place, short
from ..report import Finding, Page
from ..tape import Call, is_users

DOES_NOT_RUN = Page(
    id="does-not-run",
    number=23,
    title="the program raises an exception",
    why="Nothing is trained.",
    evidence="The exception, at the user's line.",
    cure="Mend the line; the other checks need a program that runs.",
)
LABELS = Page(
    id="labels-out-of-range",
    number=23,
    title="labels lie outside the range that the loss allows",
    why="Class labels must be 0 … C−1 and probabilities 0 … 1; "
    "others raise, read foreign memory on a GPU, or reward the model without bound.",
    evidence="The smallest and largest target, and the number of classes.",
    legitimate="Never; `ignore_index` is not counted.",
    cure="Shift labels that begin at 1 by one; map {−1, 1} to {0, 1}; "
    "give the output layer as many units as classes.",
)
TOKENS = Page(
    id="tokens-out-of-range",
    number=23,
    title="an index lies outside the embedding table",
    why="On a CPU it raises; on a GPU the process dies without a line.",
    evidence="The largest index and the rows of the table.",
    cure="Make `num_embeddings` the size of the vocabulary, special tokens included.",
)
ONE_HOT = Page(
    id="one-hot-targets",
    number=23,
    severity="warning",
    title="one-hot targets for cross entropy",
    why="Cross entropy wants class indices; integer one-hot rows raise, "
    "floating-point ones work but cost C times the memory and switch off `ignore_index`.",
    evidence="Every row of the target holds one 1 and otherwise 0.",
    legitimate="Soft labels; then not every row is one-hot.",
    cure="Give indices: `target.argmax(-1)`.",
)
ONE_VALUE = Page(
    id="batchnorm-one-value",
    number=25,
    title="BatchNorm sees one value per channel",
    why="The mean of one value is that value: every output is the bias, whatever the input. torch refuses it.",
    evidence="The shape that reached BatchNorm in train mode.",
    legitimate="Never in train mode.",
    cure="Larger batches, `drop_last=True`, or a normalisation that does not mix samples (GroupNorm, LayerNorm).",
)
PAGES = (DOES_NOT_RUN, LABELS, TOKENS, ONE_HOT, ONE_VALUE)


def check(patient: Patient) -> Iterator[Finding]:
    """Do one training pass and the user's own steps run?"""
    trial = patient.training if patient.case.batch is not None else None
    if trial is not None and trial.error is not None:
        yield from explain(trial.error, trial.tape.phase, trial.tape.failed)
    if patient.recording.error is not None:
        yield from explain(patient.recording.error, patient.recording.phase, None)


def explain(error: Exception, phase: str, call: Call | None) -> Iterator[Finding]:
    """Say an exception in the words of training, if we know the mistake."""
    # The innermost frame of the user's is the line to mend; below it torch only refuses what it was given.
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code, trace.tb_lasti))
        trace = trace.tb_next
    where: str | None = next(
        (Place.of(code, instruction) for code, instruction in reversed(frames) if is_users(code)), None
    )
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{short(error.filename)}:{error.lineno}"  # of the file that could not be read as Python
    known = list(_known(call, where or call.where)) if call is not None else []
    if known:
        yield from known
    elif "more than 1 value per channel" in str(error):
        yield ONE_VALUE.found(str(error), where)
    else:
        again = " (a graph that was used before: is state kept from the last step without `detach()`?)"
        hint = again if "backward through the graph a second time" in str(error) else ""
        first = str(error).strip().split("\n")[0][:300]
        yield DOES_NOT_RUN.found(f"{type(error).__name__} in the {phase}: {first}{hint}", where)


def _known(call: Call, where: str | None) -> Iterator[Finding]:
    """What the call that raised shows."""
    if len(call.inputs) < 2:
        return
    first, second = call.inputs[:2]
    if call.name in ("cross_entropy", "nll_loss") and not second.is_floating_point():
        classes = first.shape[1] if first.ndim > 1 else first.shape[0]
        # Padding carries a label of its own, which no class has.
        counted = second[second != call.kwargs.get("ignore_index", -100)]
        if second.shape == first.shape and is_one_hot(second):
            yield ONE_HOT.found(
                f"integer targets of shape {tuple(second.shape)}, one 1 in every row", where, "error"
            )
        elif counted.numel() and (int(counted.min()) < 0 or int(counted.max()) >= classes):
            low, high = int(counted.min()), int(counted.max())
            yield LABELS.found(f"labels {low} … {high}, {classes} classes (0 … {classes - 1})", where)
    elif call.name == "embedding" and not first.is_floating_point():
        low, high = int(first.min()), int(first.max())
        if low < 0 or high >= second.shape[0]:
            yield TOKENS.found(f"indices {low} … {high}, {second.shape[0]} rows", where)
    elif call.name == "binary_cross_entropy":
        yield from probabilities(second, where)


def probabilities(target: torch.Tensor, where: str | None) -> Iterator[Finding]:
    """Targets of a binary cross entropy outside 0 … 1."""
    if target.is_floating_point() and target.numel() and (float(target.min()) < 0 or float(target.max()) > 1):
        low, high = float(target.min()), float(target.max())
        yield LABELS.found(f"targets {low:g} … {high:g}, allowed are probabilities from 0 to 1", where)


def is_one_hot(target: torch.Tensor) -> bool:
    """Every row (along the class axis 1, or the last of a matrix) holds one 1 and otherwise 0."""
    axis = 1 if target.ndim > 1 else 0
    binary = bool(((target == 0) | (target == 1)).all())
    return target.shape[axis] > 1 and binary and bool((target.sum(axis) == 1).all())
