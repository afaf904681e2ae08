"""Do the labels belong to the rows beside them (family 24)? A linear guess across halves of the batch says so.

It also works where inputs are independent noise, of which neighbours say little.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from ...patient import Patient
from ...report import Finding, Page

MOVED = Page(
    id="labels-of-other-rows",
    number=24,
    severity="warning",
    title="the labels fit other rows than their own",
    why="Inputs and targets are shifted against each other, or one of them was turned round.",
    evidence="How well half of the batch predicts the other half linearly: as it is, shuffled, and moved.",
    legitimate="Series whose neighbouring rows nearly repeat; then they fit their own rows, too.",
    cure="Check that row i of the inputs belongs to row i of the targets.",
)
UNRELATED = Page(
    id="labels-unrelated-to-inputs",
    number=24,
    severity="note",
    title="a simple guess of the labels is no better than chance",
    why="Made-up labels, hard problems, or inputs and targets that were shuffled apart look like this.",
    evidence="How well half of the batch predicts the other half, linearly and by smooth functions, as it is and "
    "shuffled; asked only where four samples a column or more would show a link.",
    legitimate="What depends on several inputs at once in a way that is neither linear nor smooth.",
    cure="Check that row i of the inputs belongs to row i of the targets.",
)
PAGES = (MOVED, UNRELATED)
_ENOUGH, _MOST, _WIDTH = 200, 2000, 64
"""Samples needed and used; columns, more of which are mixed at random to so many."""
_A_COLUMN = 4
"""Samples for every column, with fewer of which chance looks like anything."""
_MOVES = (1, -1, 2, -2)


def check(patient: Patient) -> Iterator[Finding]:
    """Vectors and pictures with one label each."""
    target, inputs = patient.batch.targets, patient.batch.inputs
    size = len(target) if target is not None and target.ndim else 0
    x = next((x for x in inputs if x.is_floating_point() and x.ndim > 1 and len(x) == size), None)
    if target is None or x is None or target.numel() != size or size < _ENOUGH or x is target:
        return
    if are_numbers_of_rows(target):
        return
    rows, labels = _columns(x.detach()[:_MOST]), _answers(target.detach().reshape(-1)[:_MOST])
    if labels is None or not bool(torch.isfinite(rows).all()):
        return
    generator = torch.Generator().manual_seed(0)
    shuffled = [labels[torch.randperm(len(labels), generator=generator)] for _ in range(30)]
    moved = {f"moved by {step}": labels.roll(step, 0) for step in _MOVES} | {"turned round": labels.flip(0)}
    scores = _scores(rows, [labels, *moved.values(), *shuffled])
    chance = scores[1 + len(moved) :]
    mean, spread = float(chance.mean()), float(chance.std()) + 1e-9
    own, others = float(scores[0]), dict(zip(moved, scores[1 : 1 + len(moved)].tolist(), strict=True))
    best = max(others, key=lambda name: others[name])
    if own > mean + 3 * spread:
        return
    evidence = f"{len(labels)} samples: explained {own:.3f}, shuffled {mean:.3f} ± {spread:.3f}"
    if others[best] > mean + 8 * spread:
        yield MOVED.found(f"{evidence}, {best} {others[best]:.3f}")
    elif own < mean + 2 * spread and rows.shape[1] * _A_COLUMN <= len(rows) and not _smooth(rows, labels, shuffled):
        yield UNRELATED.found(evidence)


def are_numbers_of_rows(target: torch.Tensor) -> bool:
    """Is every whole number there once? Then they say which row is meant, and are no labels."""
    return not target.is_floating_point() and len(torch.unique(target.detach())) == target.numel()


def has_simple_guess(x: torch.Tensor, target: torch.Tensor) -> bool:
    """Does a linear guess of labels (S,) from rows (S, ...), or a smooth one, do better than chance?"""
    rows, labels = _columns(x.detach()[:_MOST]), _answers(target.detach().reshape(-1)[:_MOST])
    if labels is None or not bool(torch.isfinite(rows).all()):
        return False
    generator = torch.Generator().manual_seed(0)
    shuffled = [labels[torch.randperm(len(labels), generator=generator)] for _ in range(30)]
    scores = _scores(rows, [labels, *shuffled])
    beyond = float(scores[0]) > float(scores[1:].mean()) + 2 * float(scores[1:].std())
    return beyond or _smooth(rows, labels, shuffled)


def _smooth(rows: torch.Tensor, labels: torch.Tensor, shuffled: list[torch.Tensor]) -> bool:
    """Do random waves of the columns (Rahimi and Recht 2007) explain more than they explain of shuffled labels?"""
    generator = torch.Generator().manual_seed(2)
    count = min(_WIDTH, len(rows) // _A_COLUMN)
    waves = torch.randn(rows.shape[1], count, generator=generator, dtype=torch.float64).to(rows)
    scores = _scores(torch.cat([torch.cos(rows @ waves / scale) for scale in (1.0, 2.0)], 1), [labels, *shuffled])
    return float(scores[0]) > float(scores[1:].mean()) + 2 * float(scores[1:].std())


def _columns(x: torch.Tensor) -> torch.Tensor:
    """At most so many standardised columns, and one of ones."""
    rows = x.reshape(len(x), -1).double()
    if rows.shape[1] > _WIDTH:
        generator = torch.Generator().manual_seed(1)
        rows = rows @ torch.randn(rows.shape[1], _WIDTH, generator=generator, dtype=torch.float64).to(rows)
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    return torch.cat([rows, torch.ones_like(rows[:, :1])], 1)


def _answers(target: torch.Tensor) -> torch.Tensor | None:
    """Classes as columns of zeros and ones, numbers as one column; centred."""
    values, place = torch.unique(target, return_inverse=True)
    if len(values) < 2:
        return None
    classes = len(values) <= 20
    answers = F.one_hot(place).double() if classes else target.double()[:, None]
    return answers - answers.mean(0)


def _scores(rows: torch.Tensor, answers: list[torch.Tensor]) -> torch.Tensor:
    """The share of the variance explained in the half that was not used, mean of both halves, for each."""
    width = answers[0].shape[1]
    wanted = torch.cat(answers, 1)
    total = torch.zeros(len(answers), dtype=torch.float64, device=rows.device)
    for first in (0, 1):
        known, asked = slice(first, None, 2), slice(1 - first, None, 2)
        square = rows[known].T @ rows[known]
        ridge = square + len(rows) * 0.01 * torch.eye(len(square), dtype=rows.dtype, device=rows.device)
        guess = rows[asked] @ torch.linalg.solve(ridge, rows[known].T @ wanted[known])
        error = (wanted[asked] - guess).square().sum(0).view(-1, width).sum(1)
        total += 1 - error / wanted[asked].square().sum(0).view(-1, width).sum(1)
    return total / 2
