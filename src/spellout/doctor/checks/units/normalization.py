"""BatchNorm cancels the bias before it, and needs batches that are large enough (families 17 and 25)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ...case import users_code
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, Call, Tape, words

CANCELLED = Page(
    id="bias-before-batchnorm",
    number=17,
    severity="note",
    title="a bias is cancelled by the normalisation after it",
    why="BatchNorm subtracts the mean over the batch, and with it any constant: "
    "the bias does nothing and learns nothing.",
    evidence="In float64 (in float32 if the model is huge) the bias's gradient is zero up to rounding, "
    "while its layer's weight has one.",
    legitimate="It does no harm but cost: usual in U-Nets and in VGG with BatchNorm.",
    cure="`bias=False` in the layer before the normalisation, which has a bias of its own.",
)
LAST_ONE = Page(
    id="last-batch-of-one",
    number=25,
    severity="warning",
    title="the last batch holds one sample, and the model has BatchNorm",
    why="One value per channel has no spread: torch raises, or the sample's output is a constant.",
    evidence="The length of the data set and the batch size.",
    cure="`DataLoader(…, drop_last=True)`.",
)
PAGES = (CANCELLED, LAST_ONE)

_AFFINE = words("linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d add")
_NORMS = ("batch_norm", "instance_norm")
_IN_FLOAT32 = 3e-5
"""What rounding leaves of a zero, relative to the weight's gradient; VGG at 224 x 224 leaves 4e-6 at most."""


def check(patient: Patient) -> Iterator[Finding]:
    """Biases in front of BatchNorm, written as a module or by hand."""
    suspects = list(_suspects(patient.training.tape))
    if suspects:
        # A copy in float64 and with noise is too much of a huge model, whose pass as it starts tells as well.
        trial = patient.training if patient.huge else patient.exact(train=True, gradients=True)
        gradients = {name: grad for name, grad in trial.gradients.items() if grad is not None}
        norms = {name: float(grad.norm()) for name, grad in gradients.items()}
        # What is left of a zero is rounding: relative to the weight's gradient far less than this.
        loose = 1e-9 if any(grad.dtype == torch.float64 for grad in gradients.values()) else _IN_FLOAT32
        for bias, weight, call in suspects:
            name, of_weight = (patient.names.get(id(tensor), "?") for tensor in (bias, weight))
            small, large = norms.get(name, 0.0), norms.get(of_weight, 0.0)
            if large > 0 and small <= loose * large:
                evidence = f"{name}: |gradient| {small:.1e}, its weight's {large:.1e}"
                yield CANCELLED.found(evidence, call.where)
    yield from _last_one(patient)


def _suspects(tape: Tape) -> Iterator[tuple[torch.Tensor, torch.Tensor, Call]]:
    """Bias, weight and call of every affine map whose result goes straight into a normalisation over the batch."""
    for call in tape.calls:
        by_hand = call.name == "sub" and len(call.inputs) > 1 and _is_mean_of(tape, call)
        if not by_hand and call.name not in _NORMS:
            continue
        source = tape.source(call.inputs[0], MOVES, call.index)
        if source is None or source.name not in _AFFINE:
            continue
        pair = _bias_and_weight(tape, source)
        if pair is not None:
            yield *pair, source


def _is_mean_of(tape: Tape, call: Call) -> bool:
    """x − x.mean(0, …): a normalisation over the batch, written by hand."""
    x, mean = call.inputs[:2]
    maker = tape.maker(mean, call.index)
    if maker is None or maker.name != "mean" or not maker.inputs or maker.inputs[0] is not x:
        return False
    dim = maker.argument(1, "dim", maker.kwargs.get("axis"))
    return dim == 0 or (isinstance(dim, tuple | list) and 0 in dim)


def _bias_and_weight(tape: Tape, call: Call) -> tuple[torch.Tensor, torch.Tensor] | None:
    if call.name != "add":
        weight, bias = call.argument(1, "weight"), call.argument(2, "bias")
        fits = isinstance(bias, torch.Tensor) and bias.requires_grad and isinstance(weight, torch.Tensor)
        return (bias, weight) if fits else None
    biases = [tensor for tensor in call.inputs if isinstance(tensor, nn.Parameter)]
    others = [tensor for tensor in call.inputs if not isinstance(tensor, nn.Parameter)]
    product = tape.maker(others[0], call.index) if len(biases) == len(others) == 1 else None
    if product is None or product.name not in ("matmul", "mm", "linear", "einsum"):
        return None
    weights = [tensor for tensor in product.inputs if isinstance(tensor, nn.Parameter)]
    return (biases[0], weights[0]) if weights else None


def _last_one(patient: Patient) -> Iterator[Finding]:
    loader = patient.case.batch
    if not isinstance(loader, torch.utils.data.DataLoader) or loader.batch_size is None or loader.drop_last:
        return
    with users_code():
        try:
            length = len(loader.dataset)  # type: ignore[arg-type]
        except TypeError:  # a stream has no length
            return
    has_norm = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for _, module in patient.modules())
    if has_norm and loader.batch_size > 1 and length % loader.batch_size == 1:
        yield LAST_ONE.found(f"{length} samples in batches of {loader.batch_size}: the last one holds 1")
