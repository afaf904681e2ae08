"""These checks look at the batch itself: scale, labels, leaks, chance and overlap (families 23 and 24)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ..batch import Batch
from ..case import users_code
from ..patient import Patient
from ..report import Finding, Page
from ..tape import AFFINE, MOVES, Tape
from .failures import ONE_HOT, is_one_hot, probabilities
from .objectives.labels import are_numbers_of_rows, has_simple_guess

UNSCALED = Page(
    id="inputs-not-scaled",
    number=23,
    severity="warning",
    title="the inputs are far from zero mean and unit scale",
    why="With inputs of 0 … 255 the first layer's outputs and gradients are a hundred times those "
    "that initialisation and learning rate were made for; a large offset makes all inputs look alike.",
    evidence="Minimum, maximum, mean and spread "
    "of an input that goes straight into a linear or convolutional layer.",
    legitimate="Models that normalise first (BatchNorm, a division inside forward) are not reported.",
    cure="`x.float() / 255`, or subtract the mean and divide by the spread of the training data.",
)
CONSTANT = Page(
    id="constant-features",
    number=23,
    severity="warning",
    title="features are the same for every sample",
    why="They carry nothing, and dividing by their spread gives NaN.",
    evidence="Columns with one single value that is neither 0 nor 1 nor one that other columns take too; "
    "an error where all samples are the same in every input.",
    legitimate="Constants such as a bias column of ones, rare categories that are 0 in this batch, "
    "or the border of pictures are not reported.",
    cure="Drop them, or look at the loading code.",
)
LEAK = Page(
    id="target-among-inputs",
    number=23,
    title="the target is one of the inputs",
    why="The model learns to copy it, and is useless where it is not given.",
    evidence="A feature equals the target in every sample of the batch.",
    legitimate="Autoencoders, whose target is the whole input, are not reported.",
    cure="Remove the column.",
)
SHUFFLED = Page(
    id="labels-look-shuffled",
    number=24,
    severity="warning",
    title="the labels fit the inputs no better than shuffled ones",
    why="Inputs and targets were perhaps permuted apart (shuffled or sorted separately, merged in another order).",
    evidence="The nearest neighbours' labels, a linear guess and a smooth one are right no more often than after "
    "shuffling the labels; asked of 200 samples or more.",
    legitimate="Hard problems where neighbours in input space say nothing.",
    cure="Check that row i of the inputs belongs to row i of the targets.",
)
OVERLAP = Page(
    id="held-out-overlap",
    number=24,
    severity="warning",
    title="held-out samples are also in the training batch",
    why="The evaluation measures memory.",
    evidence="Held-out rows that equal a training row, and how often training rows equal each other.",
    legitimate="Data whose samples repeat by nature, as names do; then training rows repeat as often.",
    cure="Split before augmenting, by distinct sample, or by group.",
)
PAGES = (UNSCALED, CONSTANT, LEAK, SHUFFLED, OVERLAP)

ENOUGH = 200
"""Samples, below which chance is not told from order."""


def check(patient: Patient) -> Iterator[Finding]:
    """All that needs only the batch and the tape."""
    yield from _labels(patient)
    yield from _scale(patient)
    target = patient.batch.targets
    if target is not None and target.ndim:
        yield from _leaks(patient, target)
        fitting = (x for x in patient.batch.inputs if x.is_floating_point() and x.shape[:1] == target.shape[:1])
        x = next(fitting, None)
        if x is not None:
            yield from shuffled(x, target)
    if patient.case.held_out is not None:
        yield from _overlap(patient)


def _labels(patient: Patient) -> Iterator[Finding]:
    for call in patient.training.tape.calls:
        if call.name in ("binary_cross_entropy_with_logits", "binary_cross_entropy"):
            yield from probabilities(call.argument(1, "target"), call.where)
        if call.name == "cross_entropy":
            target = call.argument(1, "target")
            if target.is_floating_point() and target.ndim > 1 and is_one_hot(target):
                yield ONE_HOT.found(f"targets of shape {tuple(target.shape)}, one 1 in every row", call.where)


def _scale(patient: Patient) -> Iterator[Finding]:
    tape = patient.training.tape
    products = [call for call in tape.calls if call.name in AFFINE and call.inputs]
    for x in patient.batch.inputs:
        if x.dtype == torch.bool or x.ndim < 2 or x.numel() < 8:
            continue
        direct = next((call for call in products if _is_moved(tape, call.inputs[0], x, call.index)), None)
        if direct is None:
            continue
        values = x.detach().float()
        low, high = float(values.min()), float(values.max())
        mean, spread = float(values.mean()), float(values.std())
        # Standardised data seldom pass 5 and stay below 30 even with heavy tails; pixels and years do not.
        if max(abs(low), abs(high)) > 30 and (spread > 10 or abs(mean) > 10 * (spread + 1e-12)):
            image = " (bytes of an image?)" if low >= 0 and 100 < high <= 255 else ""
            yield UNSCALED.found(f"{low:g} … {high:g}, mean {mean:.3g}, spread {spread:.3g}{image}", direct.where)
        yield from _constant(x, direct.where, all(map(_all_the_same, patient.batch.inputs)))


def _is_moved(tape: Tape, value: torch.Tensor, x: torch.Tensor, before: int) -> bool:
    """Is this tensor the input itself, only reshaped or cast?"""
    while value is not x:
        call = tape.maker(value, before)
        if call is None or call.name not in MOVES or not call.inputs:
            return False
        value, before = call.inputs[0], call.index
    return True


def _all_the_same(x: torch.Tensor) -> bool:
    """Is every sample the same?"""
    return x.ndim > 0 and bool((x == x[:1]).all())


def _constant(x: torch.Tensor, where: str | None, alone: bool) -> Iterator[Finding]:
    """Columns, or samples, that are all the same; `alone` says that no other input tells the samples apart."""
    size = x.shape[0]
    if size < 8 or not x.is_floating_point():
        return
    rows = x.detach().reshape(size, -1)
    same = (rows == rows[0]).all(0)
    odd = same & (rows[0] != 0) & (rows[0] != 1)  # a rare category is 0 here, a bias column 1
    if bool(same.all()):
        if alone:
            yield CONSTANT.found(f"all {size} samples of the batch are the same", where, severity="error")
    elif x.ndim == 2 and size >= 16 and bool(odd.any()):
        odd &= ~_is_background(rows, same)
        places = odd.nonzero().flatten().tolist()
        if places:
            yield CONSTANT.found(
                f"{len(places)} of {rows.shape[1]} columns: {places[:5]}, of {size} samples", where
            )


def _is_background(rows: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Which columns hold what some of those that vary hold too, as the border of a picture and its ground do?"""
    taken, times = torch.unique(rows[:, ~same], return_counts=True)
    return torch.isin(rows[0], taken[times > 1])


def _leaks(patient: Patient, target: torch.Tensor) -> Iterator[Finding]:
    flat = target.detach().reshape(-1).double()
    for x in patient.batch.inputs:
        if not x.is_floating_point():
            continue
        if x.ndim == 2 and 8 <= x.shape[0] == flat.numel() and x.shape[1] > 1 and len(torch.unique(flat)) > 1:
            equal = (x.detach().double() == flat[:, None]).all(0)
            if bool(equal.any()):
                yield LEAK.found(f"column {int(equal.nonzero()[0])} equals the target in all {x.shape[0]} samples")


def shuffled(x: torch.Tensor, target: torch.Tensor) -> Iterator[Finding]:
    """Rows and their labels: a finding where neither neighbours nor any simple guess know of each other."""
    size = len(target)
    if not x.is_floating_point() or target.numel() != size or size < ENOUGH or are_numbers_of_rows(target):
        return
    if not bool(torch.isfinite(x).all() and torch.isfinite(target).all()):
        return  # distances from nan say nothing, and are told elsewhere
    # All pairs are compared, so the cost grows with the square: a thousand samples take milliseconds.
    rows = x.detach().reshape(size, -1).double()[:1000]
    labels = target.detach().reshape(-1)[:1000].double()
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    if _is_noise(rows):
        return  # made up to try the program out
    neighbour = _distances(rows).topk(5, largest=False).indices
    generator = torch.Generator().manual_seed(0)
    observed = _agreement(labels, neighbour)
    # Forty orders give the spread of chance to about a tenth; more would only cost time.
    orders = (torch.randperm(len(labels), generator=generator) for _ in range(40))
    chance = torch.tensor([_agreement(labels[order], neighbour) for order in orders])
    mean, spread = float(chance.mean()), float(chance.std())
    # Of many columns neighbours may know nothing where a sum of a few of them does.
    if observed < mean + 2 * spread and not has_simple_guess(x, target):
        yield SHUFFLED.found(
            f"{len(labels)} samples: agreement with the five nearest {observed:.3f}, "
            f"shuffled {mean:.3f} ± {spread:.3f}"
        )


def _distances(rows: torch.Tensor) -> torch.Tensor:
    """How far each row is from each other one; from itself it is infinitely far."""
    return torch.cdist(rows, rows).fill_diagonal_(math.inf)


def _agreement(labels: torch.Tensor, neighbour: torch.Tensor) -> float:
    """How much nearer the neighbours' labels are than those of anyone: 1 is perfect, 0 chance."""
    if len(torch.unique(labels)) <= 20:
        return float((labels[neighbour] == labels[:, None]).double().mean())
    return 1 - float((labels[neighbour].mean(1) - labels).var() / labels.var())


def _is_noise(rows: torch.Tensor) -> bool:
    """Are the columns independent and of one shape, as `torch.randn` and `torch.rand` make them?"""
    size, width = rows.shape
    if width < 2:
        return False
    correlation = (rows.T @ rows / size).fill_diagonal_(0)
    pairs = width * (width - 1) / 2  # the largest of so many correlations of noise is about √(2 ln pairs / size)
    if float(correlation.abs().max()) > (1 + math.sqrt(2 * math.log(pairs + 1))) / math.sqrt(size):
        return False
    generator = torch.Generator().manual_seed(0)
    apart = torch.stack([column[torch.randperm(size, generator=generator)] for column in rows.T], 1)
    # Each column shuffled by itself has the same values and no structure: is a neighbour farther away then?
    near, far = (float(_distances(one).min(1).values.mean()) for one in (rows, apart))
    return near > 0.9 * far


def _overlap(patient: Patient) -> Iterator[Finding]:
    with users_code():  # held-out data may be a loader
        held = Batch.of(patient.case.held_out, patient.model)
    firsts = [x.detach() for inputs in (patient.batch.inputs, held.inputs) for x in inputs[:1] if x.ndim and len(x)]
    if len(firsts) != 2:
        return
    ours, theirs = ([tuple(row) for row in x.reshape(len(x), -1).tolist()] for x in firsts)
    known = set(ours)
    shared = sum(row in known for row in theirs) / len(theirs)
    natural = 1 - len(known) / len(ours)
    # Short rows repeat by chance; three times what the training rows do among themselves is no chance.
    if shared > max(0.01, 3 * natural):
        yield OVERLAP.found(
            f"{shared:.0%} of {len(theirs)} held-out samples are among {len(ours)} training samples, "
            f"of which {natural:.0%} repeat"
        )
