"""Units are twins if their weights and their gradients are equal to the last bit, and stay so (family 19)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page

TWINS = Page(
    id="symmetry-never-broken",
    number=19,
    title="units of a layer are identical and stay so",
    why="Units with the same weights in and out get the same gradients for ever; the layer is one unit wide.",
    evidence="All rows of a weight are equal, and so are all rows of its gradient.",
    legitimate="Zero weights in a last layer or at the end of a residual branch get different gradients "
    "and are not reported.",
    cure="Initialise with random numbers; only biases may start at one value.",
)
PAGES = (TWINS,)


def check(patient: Patient) -> Iterator[Finding]:
    """Rows that are equal now, and after two steps along the gradient."""
    suspects = {name for name, p in patient.trained.items() if _equal_rows(p.detach())}
    if not suspects or not patient.batch.inputs:  # without data, what is learned is a picture, and no weights
        return
    with patient.borrowed(train=True):
        optimizer = torch.optim.SGD([*patient.trained.values()], lr=0.1)
        for _ in range(3):
            torch.manual_seed(0)  # with the same dropout as in the pass before
            trial = patient.run(patient.batch, gradients=True, taped=False)
            if trial.error:
                return
            moving = {name: grad for name, grad in trial.gradients.items() if grad is not None}
            suspects &= {name for name, grad in moving.items() if _equal_rows(grad)}
            patient.descend(trial.gradients, [optimizer])
    # One weight alone that starts without a gradient (a zero layer behind another) is a choice.
    names, start = sorted(suspects), patient.training.gradients
    silent = all(float(grad.norm()) == 0 for name in names if (grad := start.get(name)) is not None)
    if names and not (silent and len(names) == 1):
        rows = patient.trained[names[0]].shape[0]
        yield TWINS.found(
            f"{', '.join(names[:3])}: all {rows} rows equal, and all rows of the gradient, for three steps"
        )


def _equal_rows(weight: torch.Tensor) -> bool:
    if weight.ndim < 2 or weight.shape[0] < 2:
        return False
    one, other = weight[0], weight[-1]  # two rows that differ spare the rest
    if float((one - other).abs().max()) > 1e-6 * float(one.abs().max() + other.abs().max()):
        return False
    spread = (weight - weight[:1]).abs().max()
    return bool(spread <= 1e-7 * weight.abs().max())
