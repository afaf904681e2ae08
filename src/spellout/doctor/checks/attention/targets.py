"""What must an output predict, and what does it see? Read off the loss's own call, wherever the shift is made.

Cross entropy is given logits and tokens. If these tokens are an input, moved by some places, each row of the
logits has a token to predict, and changing one place of the input at a time says which places the row sees. A
causal model sees all places before the one that it predicts, not that one, and not those after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from ...batch import Batch
from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import DROPOUTS, RANDOM, Call
from ..wiring.dependence import AHEAD
from ..wiring.unshifted import UNSHIFTED
from .reading import evaluated, precise

TWICE = Page(
    id="targets-shifted-twice",
    number=26,
    severity="warning",
    title="the targets are shifted twice",
    why="Loader and model (or loss) both shift: each output learns the token after the next, "
    "and what is sampled skips every other one.",
    evidence="The token that a row of the logits must predict lies two places after the last one that it sees.",
    legitimate="Heads that predict several tokens ahead; then one of them predicts the next.",
    cure="Shift in one place: `logits[:, :-1]` with `tokens[:, 1:]`, or targets that the loader has shifted.",
)
PAGES = (TWICE,)

_ASKED = 5
"""So many places are changed, one at a time."""
_GAPS: WeakKeyDictionary[Patient, list[Seen]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Seen:
    """What the rows of one loss see of the tokens around the one that they predict."""

    call: Call
    distance: int | None
    """How far after the last place that is seen the predicted one lies; None if places after it are seen."""
    itself: bool
    """The predicted place is seen."""
    length: int


def gap(patient: Patient) -> int | None:
    """How far ahead of what it sees a row predicts, for the first loss of which that is known; 1 is usual.

    0 where it sees what it predicts, whatever else it sees; None if the targets are no input.
    """
    seen = _seen(patient)
    return None if not seen else (0 if seen[0].itself or seen[0].distance is None else seen[0].distance)


def check(patient: Patient) -> Iterator[Finding]:
    """Losses of the next token: shifted twice, or not at all, or with the answer among the inputs."""
    known = {finding.id for finding in patient.findings}
    explained = any(one.page.number == TWICE.number and one.severity == "error" for one in patient.findings)
    found = _seen(patient)
    distances = [seen.distance for seen in found]
    for seen in found:
        if seen.distance is None:
            if seen.itself and AHEAD.id not in known and _nothing_is_causal(patient):
                yield AHEAD.found("outputs see the token that they predict and those after it", seen.call.where)
        elif seen.itself and UNSHIFTED.id not in known and not (explained or AHEAD.id in known):
            away = "the token itself" if seen.distance == 0 else f"the token {-seen.distance} before the last seen"
            yield UNSHIFTED.found(f"each output must predict {away}, which it sees", seen.call.where)
        elif seen.distance == 2 and 1 not in distances:
            yield TWICE.found(
                "each output must predict the token two places after the last that it sees", seen.call.where
            )


def _nothing_is_causal(patient: Patient) -> bool:
    """No attention hides what lies ahead, and nothing is drawn: else it may be an autoencoder."""
    _, found = evaluated(patient)
    square = [attention for attention in found if attention.square]
    drawn = any(call.name in RANDOM - DROPOUTS for call in patient.training.tape.calls)
    return bool(square) and not drawn and all(bool(attention.visible.triu(1).any()) for attention in square)


def _seen(patient: Patient) -> list[Seen]:
    if patient not in _GAPS:
        _GAPS[patient] = list(_measured(patient))
    return _GAPS[patient]


def _measured(patient: Patient) -> Iterator[Seen]:
    if not evaluated(patient)[1]:
        return
    batch, base = precise(patient)
    if base.error is not None or base.loss is None:
        return
    losses = [call for call in base.tape.calls if call.name in ("cross_entropy", "nll_loss")]
    for place, call in enumerate(losses[:4]):
        target = call.argument(1, "target")
        aligned = _aligned(batch, target) if isinstance(target, torch.Tensor) else None
        if aligned is None:
            continue
        which, moved = aligned
        x = batch.inputs[which]
        rows = target.numel() // x.shape[0]
        # The rows from which on a change shows, for some changed places.
        asked = sorted(
            {int(one) for one in torch.linspace(1, x.shape[1] - 1, 2 if patient.heavy else _ASKED).tolist()}
        )
        shown = {moment: _rows(patient, base, place, x, moment, rows) for moment in asked}
        if any(row is None for row in shown.values()):
            continue
        yield from _judged(call, {m: r for m, r in shown.items() if r is not None}, moved, rows)


def _judged(call: Call, shown: dict[int, torch.Tensor], moved: int, rows: int) -> Iterator[Seen]:
    """Row i predicts place i + moved; `shown` has for each changed place the rows that moved."""
    itself, firsts = False, set()
    for moment, seen in shown.items():
        own = moment - moved  # the row that predicts this place
        itself |= 0 <= own < rows and bool(seen[own])
        if seen.any():
            firsts.add(int(seen.nonzero()[0]) - moment)
    if firsts:
        # In a causal model the first row that sees a place moves along with that place.
        yield Seen(call, firsts.pop() + moved if len(firsts) == 1 else None, itself, rows)


def _aligned(batch: Batch, target: torch.Tensor) -> tuple[int, int] | None:
    """Which input the targets are, and by how many places moved: target i is input i + moved."""
    for which, x in enumerate(batch.inputs):
        if x.ndim != 2 or x.is_floating_point() or x.shape[1] < 5 or target.numel() % x.shape[0]:
            continue
        y = target.reshape(x.shape[0], -1) if target.ndim != 2 or len(target) == len(x) else None
        if y is None or not 3 < y.shape[1] <= x.shape[1] or len(torch.unique(x)) < 3:
            continue
        for moved in (1, 0, 2, -1):
            low, high = max(0, -moved), min(y.shape[1], x.shape[1] - moved)
            one, two = y[:, low:high], x[:, low + moved : high + moved]
            counted = one >= 0
            if bool(counted.any()) and bool((one == two)[counted].all()) and len(torch.unique(one)) > 2:
                return which, moved
    return None


def _rows(
    patient: Patient, base: Trial, place: int, x: torch.Tensor, moment: int, rows: int
) -> torch.Tensor | None:
    """Which rows of the logits move if this place of the input is changed in every sample."""
    other = x.clone()
    other[:, moment] = torch.where(x[:, moment] == x.max(), x.min(), x.max())

    def change(given: torch.Tensor) -> torch.Tensor:
        return other if given is x else given

    trial = patient.exact(precise(patient)[0].with_inputs(change), loss=True)
    if trial.error is not None:
        return None
    given = [
        [call.argument(0, "input") for call in one.tape.calls if call.name in ("cross_entropy", "nll_loss")]
        for one in (base, trial)
    ]
    if len(given[0]) != len(given[1]):
        return None
    one, two = given[0][place], given[1][place]
    if one.shape != two.shape or one.numel() % (x.shape[0] * rows):
        return None
    if one.ndim == 3:  # (B, classes, T)
        one, two = one.transpose(1, 2), two.transpose(1, 2)
    differ = (one - two).detach().abs() > 1e-9 * (one.detach().abs().max() + 1e-30)
    return differ.reshape(x.shape[0], rows, -1).any(-1).any(0)
