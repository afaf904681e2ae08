"""Where the first NaN or infinity comes from, forward and backward (family 22)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient, Trial
from ...report import Finding, Page
from ...tape import Call, tensors_in

FORWARD = Page(
    id="nan-in-forward",
    number=22,
    severity="error",
    title="the loss is not a finite number",
    why="Every parameter becomes NaN with the first step, and stays so.",
    evidence="The first call on the tape that made NaN or infinity out of finite numbers, up to the loss.",
    legitimate="Never; −inf in a mask is not meant.",
    cure="Keep arguments inside the domain: `log(x + eps)`, `clamp`, `log_softmax` for `log(softmax)`, no empty "
    "softmax row.",
)
BACKWARD = Page(
    id="nan-in-backward",
    number=22,
    severity="error",
    title="the loss is finite but its gradient is not",
    why="One step makes every reached parameter NaN.",
    evidence="The last call whose incoming gradient is finite and whose outgoing gradient is not.",
    legitimate="Never.",
    cure="sqrt and norm have no derivative at 0 (add eps inside), and `where` does not stop NaN on the branch "
    "not taken "
    "(choose a safe argument before the function).",
)
INPUT = Page(
    id="nan-in-data",
    number=22,
    severity="error",
    title="the data hold NaN or infinity",
    why="What is computed from them is NaN.",
    evidence="How many numbers of the batch are not finite.",
    legitimate="Missing values that the model masks itself; then the loss is finite and this is a note.",
    cure="Clean the data, or fill missing values and tell the model with a mask.",
)
PAGES = (FORWARD, BACKWARD, INPUT)
_MASKS = frozenset(
    [
        "masked_fill",
        "full",
        "full_like",
        "fill",
        "where",
        "tensor",
        "triu",
        "tril",
        "log",
        "finfo",
        "zeros",
        "ones",
        "new_full",
        "baddbmm",
        "add",
    ]
)


def check(patient: Patient) -> Iterator[Finding]:
    """The batch, the forward pass, then the backward pass."""
    trial = patient.training
    bad = [tensor for tensor in tensors_in((patient.batch.args, patient.batch.kwargs, patient.batch.target))
           if tensor.is_floating_point() and not _finite(tensor)]  # fmt: skip
    finite = trial.loss is None or _finite(trial.loss)
    if bad:
        count = sum(int((~torch.isfinite(tensor)).sum()) for tensor in bad)
        yield INPUT.found(f"{count} numbers in {len(bad)} tensors", severity="note" if finite else "error")
        return
    if not finite:
        call = _first_bad(trial)
        what = f"`{call.name}`: {_describe(call)}" if call is not None else "no single call"
        yield FORWARD.found(f"loss {trial.value}; {what}", call.where if call is not None else None)
        return
    broken = [name for name, grad in trial.gradients.items() if grad is not None and not _finite(grad)]
    if broken:
        call = _first_bad_gradient(patient)
        at = f"`{call.name}` of {_range(call.inputs[0])}" if call is not None and call.inputs else "no single call"
        evidence = f"{len(broken)} parameters have gradients that are not finite; {at}"
        yield BACKWARD.found(evidence, call.where if call is not None else None)


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())


def _first_bad(trial: Trial) -> Call | None:
    """The first call that makes NaN, or infinity that is no mask, from finite numbers, and reaches the loss."""
    harmful = _ancestors(trial)
    for call in trial.tape.calls:
        floats = [tensor for tensor in call.outputs if tensor.is_floating_point()]
        if call.index not in harmful or all(_finite(tensor) for tensor in floats):
            continue
        nan = any(bool(torch.isnan(tensor).any()) for tensor in floats)
        from_nan = any(bool(torch.isnan(tensor).any()) for tensor in call.inputs if tensor.is_floating_point())
        infinite = any(not _finite(tensor) for tensor in call.inputs if tensor.is_floating_point())
        if (nan and not from_nan) or (not nan and not infinite and call.name not in _MASKS - {"log"}):
            return call
    return None


def _ancestors(trial: Trial) -> set[int]:
    """The calls that the loss was computed from."""
    wanted, calls = {id(trial.tape.calls[-1].out)} if trial.tape.calls else set(), set()
    for call in reversed(trial.tape.calls):
        if call.index == len(trial.tape.calls) - 1 or any(id(tensor) in wanted for tensor in call.outputs):
            calls.add(call.index)
            wanted.update(id(tensor) for tensor in call.inputs)
    return calls


def _first_bad_gradient(patient: Patient) -> Call | None:
    """Backwards, the first call that turns a finite gradient into one that is not."""
    with patient.borrowed(train=True):
        trial = patient.run(patient.batch)
        if trial.loss is None or not trial.loss.requires_grad:
            return None
        for call in reversed(trial.tape.calls):
            outs = [tensor for tensor in call.outputs if tensor.requires_grad and tensor.grad_fn is not None]
            ins = [tensor for tensor in call.inputs if tensor.requires_grad]
            if not outs or not ins:
                continue
            found = torch.autograd.grad(trial.loss, [*outs, *ins], retain_graph=True, allow_unused=True)
            after, before = found[: len(outs)], found[len(outs) :]
            arrived = [grad for grad in after if grad is not None]
            left = [grad for grad in before if grad is not None]
            if arrived and all(_finite(grad) for grad in arrived) and any(not _finite(grad) for grad in left):
                return call
    return None


def _describe(call: Call) -> str:
    result = next((tensor for tensor in call.outputs if not _finite(tensor)), None)
    count = 0 if result is None else int((~torch.isfinite(result.detach())).sum())
    given = ", ".join(_range(tensor) for tensor in call.inputs[:2] if tensor.is_floating_point())
    return f"{count} numbers of its result are not finite; it received {given}"


def _range(tensor: torch.Tensor) -> str:
    values = tensor.detach()
    if not values.numel():
        return "an empty tensor"
    return f"{float(values.min()):.3g} … {float(values.max()):.3g}"
