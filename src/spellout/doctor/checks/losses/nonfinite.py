"""The first NaN or infinity is looked for, forward and backward (family 22)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...case import users_code
from ...finite import bad, first_bad
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, span, tensors_in

FORWARD = Page(
    id="nan-in-forward",
    number=22,
    title="the loss is not a finite number",
    why="Every parameter becomes NaN with the first step, and stays so.",
    evidence="The first call on the tape that made NaN or infinity out of finite numbers, up to the loss.",
    legitimate="Never; −inf in a mask is not meant.",
    cure="Keep arguments inside the domain: `log(x + eps)`, `clamp`, `log_softmax` for `log(softmax)`, "
    "no empty softmax row.",
)
BACKWARD = Page(
    id="nan-in-backward",
    number=22,
    title="the loss is finite but its gradient is not",
    why="One step makes every reached parameter NaN.",
    evidence="The last call whose incoming gradient is finite and whose outgoing gradient is not.",
    cure="sqrt and norm have no derivative at 0 (add eps inside), "
    "and `where` does not stop NaN on the branch not taken (choose a safe argument before the function).",
)
INPUT = Page(
    id="nan-in-data",
    number=22,
    title="the data hold NaN or infinity",
    why="What is computed from them is NaN.",
    evidence="How many numbers of the batch are not finite.",
    legitimate="Missing values that the model masks itself; then the loss is finite and this is a note.",
    cure="Clean the data, or fill missing values and tell the model with a mask.",
)
PAGES = (FORWARD, BACKWARD, INPUT)


def check(patient: Patient) -> Iterator[Finding]:
    """The batch, the forward pass, then the backward pass, as training starts."""
    trial, batch = patient.training, patient.batch
    wrong = [tensor for tensor in tensors_in((batch.args, batch.kwargs, batch.target)) if bad(tensor)]
    finite = trial.loss is None or not bad(trial.loss)
    broken = [name for name, grad in trial.gradients.items() if grad is not None and bad(grad)]
    if wrong:
        yield INPUT.found(
            f"{sum(map(bad, wrong))} numbers in {len(wrong)} tensors", severity="note" if finite else "error"
        )
    elif trial.loss is not None and not finite:
        call = first_bad(trial.tape.calls, trial.loss)
        what = f"`{call.name}`: {_describe(call)}" if call is not None else "no single call"
        yield FORWARD.found(f"loss {trial.value}; {what}", call.where if call is not None else None)
    elif broken:
        call = _first_bad_gradient(patient)
        at = f"`{call.name}` of {span(call.inputs[0])}" if call is not None else "no single call"
        evidence = f"{len(broken)} parameters have gradients that are not finite; {at}"
        yield BACKWARD.found(evidence, call.where if call is not None else None)


def _first_bad_gradient(patient: Patient) -> Call | None:
    """Backwards, the first call that turns a finite gradient into one that is not."""
    # The pass is repeated with its graph alive, so that gradients can be asked for at every call of the tape.
    with patient.borrowed(train=True):
        trial = patient.run(patient.batch)
        for call in reversed(trial.tape.calls if trial.learns else []):
            outs = [tensor for tensor in call.outputs if tensor.requires_grad and tensor.grad_fn is not None]
            ins = [tensor for tensor in call.inputs if tensor.requires_grad]
            if not outs or not ins:
                continue
            with users_code():  # the user's own backward may raise
                found = torch.autograd.grad(trial.loss, [*outs, *ins], retain_graph=True, allow_unused=True)  # type: ignore[arg-type]
            arrived, left = (
                [g for g in part if g is not None] for part in (found[: len(outs)], found[len(outs) :])
            )
            if arrived and not any(map(bad, arrived)) and any(map(bad, left)):
                return call
    return None


def _describe(call: Call) -> str:
    count = next(filter(None, map(bad, call.outputs)), 0)
    given = ", ".join(span(tensor) for tensor in call.inputs[:2] if tensor.is_floating_point())
    return f"{count} numbers of its result are not finite; it received {given}"
