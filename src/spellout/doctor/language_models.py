"""A training run of this package becomes a case: its own learner goes on, on some of its lines.

The learner steps as it does in training, with its own batches, optimizers and what they remember. Only for the
checks its network also reads lines by the side of each other: then samples and moments are axes that they can tell
apart.

    B lines or windows · T longest line · C context · V vocabulary · N places of all lines, step by step
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ExaminationError, RunError, UsageError
from ..models.ensembles.ensemble import Ensemble
from ..models.family import Family, parse
from ..models.pytorch.learner import TorchLearner
from ..models.pytorch.model import LineModel, TorchModel
from ..models.pytorch.optimizers import Muon, TorchAdamW
from ..training.held_out import counted_anew
from ..training.runs.checkpoint import Checkpoint
from ..training.runs.folder import LAST, fitting
from ..training.runs.members import parted
from ..training.runs.run import Run, read_run
from ..training.schedule import Order
from .case import Case

LINES, LOGITS = 512, 1 << 22
"""So many training lines, evenly spread, are read at most, and so few that there are about so many logits."""
_NOWHERE = -100
"""The target after the end of a line, which cross-entropy leaves out."""


class Laid(nn.Module):
    """A learner's network that also reads samples along the first axis."""

    def __init__(self, network: Any, lines: bool) -> None:
        super().__init__()
        self.network, self.lines = network, lines

    def forward(self, tokens: Tensor, *more: Tensor) -> Tensor:
        """Windows (B, C) to logits (B, V), or lines (B, T) and their lengths (B,) to logits (B, T, V).

        Last, and shaped as the logits, the n-gram's log-probabilities, if there is one. The learner itself gives
        lines as tokens (N,) and sizes, and gets logits (N, V).
        """
        if self.lines and tokens.ndim == 1:
            return self.network(tokens, *more)
        logits = self._side_by_side(tokens, more[0]) if self.lines else self.network(tokens)
        counted = more[1:] if self.lines else more
        return self.blend(logits, *counted) if counted else logits

    def blend(self, logits: Tensor, counted: Tensor) -> Tensor:
        """The logits weighed with what the n-gram says."""
        return self.network.blend(logits, counted)

    def _side_by_side(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The lines as the learner gives them: the longest first, step by step. After its end a line repeats
        its last answer, which no target asks for."""
        lengths = lengths.clamp(1, tokens.shape[1])
        order = lengths.argsort(descending=True, stable=True)
        steps = torch.arange(tokens.shape[1], device=tokens.device)[:, None]
        left = steps < lengths[order]  # (T, B)
        sizes = left.sum(1)
        logits = self.network(tokens.T[:, order][left], sizes[sizes > 0].cpu())  # (N, V)
        begun = sizes.cumsum(0) - sizes  # where each step begins among the N
        return logits[begun[torch.minimum(steps, lengths - 1)] + order.argsort()].transpose(0, 1)


class Shown(torch.optim.Optimizer):
    """One of a learner's own optimizers, as torch's hooks and the checks know optimizers; it steps as it is."""

    def __init__(self, own: TorchAdamW | Muon, lr: float, taken: int) -> None:
        self._part, self._taken, self._update = getattr(own, "part", 1.0), taken, own.step
        super().__init__([{"params": [*own.parameters.values()], "lr": lr * self._part}], {})
        if taken:
            self.state.update({parameter: own.memory[name] for name, parameter in own.parameters.items()})
        own.step = self._numbered  # type: ignore[method-assign]  # so that the steps of the learner are seen

    def _numbered(self, lr: float, number: int) -> None:
        self.param_groups[0]["lr"], self._taken = lr * self._part, number - 1
        self.step()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """The next step, at the group's learning rate."""
        self._taken += 1
        self._update(self.param_groups[0]["lr"] / self._part, self._taken)


def cases_of_run(folder: Path, models: Mapping[str, Family]) -> dict[str, Case]:
    """Make the cases of a training by their names: of an ensemble one of each member that PyTorch trains.

    The name of a training of one model is empty; `models` is the table of families. `ExaminationError` if PyTorch
    trains none of them.
    """
    run = read_run(folder, models)
    if not isinstance(run.model, Ensemble):
        return {"": _case(folder, run, models)}
    if not run.lines or not (folder / LAST).exists():
        raise ExaminationError(f"{folder} does not keep where the trainings of its members ended; train again")
    with fitting(folder, UsageError):
        asked = parse(run.facts["specification"], models).members
        kept = parted(Checkpoint.read(folder / LAST), len(asked))
    stream = run.vocabulary.encode(run.lines)
    cases = {}
    for number, (one, member) in enumerate(zip(asked, kept, strict=True), 1):
        if member is None or not one.family.torch:
            continue
        with fitting(folder):
            model = one.family.model.restore(member.checkpoint.settings, member.checkpoint.best)
        (model,) = counted_anew([model], stream)
        facts = run.facts | {"training": asdict(member.training)}
        alone = replace(run, family=one.family.name, model=model, facts=facts, last=member.checkpoint)
        cases[f"{number}. {one.text}"] = _case(folder, alone, models)
    if not cases:
        raise ExaminationError(f"{folder} is an ensemble without a member that PyTorch trains, or that has begun")
    return cases


def _case(folder: Path, run: Run, models: Mapping[str, Family]) -> Case:
    """Make the case of a run, whose checkpoint is in its folder if it does not hold it."""
    if not isinstance(run.model, TorchModel):
        known = ", ".join(name for name, family in models.items() if issubclass(family.model, TorchModel))
        raise ExaminationError(
            f"{folder} holds a model of the family {run.family}, which is not trained with PyTorch; "
            f"the doctor examines runs of {known}, and your own programs: spellout doctor train.py:case"
        )
    if not run.lines:
        raise ExaminationError(f"{folder} has no training lines to examine its model with; train without streaming")
    learner = _learner(folder, run, run.model)
    training = run.facts.get("training") or {}
    order = Order(learner.examples, training.get("batch") or learner.batch, 0)
    chosen = _drawn(order, 0)
    lr = float(training.get("lr") or learner.lr)
    lines = isinstance(run.model, LineModel)
    learner.network = Laid(learner.network, lines)
    return Case(
        model=learner.network,
        loss=loss_of,
        batch=_laid(*learner._read(chosen), lines),
        optimizer=[Shown(own, lr, learner._steps) for own in learner._optimizers],
        step=partial(_step, learner, order, lr, [0]),
        evaluate=partial(_evaluate, learner, chosen),
        causal=lines,
        batch_axis=0,
    )


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean nats per token, of windows (B, V) or of lines (B, T, V)."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=_NOWHERE)


def _learner(folder: Path, run: Run, model: TorchModel) -> TorchLearner:
    """The learner as the training left it, or, without a checkpoint, with the best weights."""
    assert run.lines is not None
    most = min(LINES, max(8, LOGITS // (model.vocabulary_size * (run.usual_length + 1))))
    lines = run.lines[:: max(1, len(run.lines) // most)][:most]
    if model.prior is not None:
        for array in model.prior.arrays().values():
            array.flags.writeable = False  # what cannot change need not be kept and put back
    stream = run.vocabulary.encode(lines)
    learner = model.learner(stream, model.vocabulary_size, model.config, model.prior, 0, "cpu")
    try:
        last = run.last or (Checkpoint.read(folder / LAST) if (folder / LAST).exists() else None)
        if last is not None:
            learner.load_state(last.learner)
        else:
            learner.network.load_state_dict({name: torch.tensor(a) for name, a in model.weights.items()})
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        raise RunError(f"{folder} is damaged: its files do not fit together ({error}); train again") from None
    return learner


def _drawn(order: Order, number: int) -> np.ndarray:
    """The examples of a step; few lines may come more than once."""
    return np.unique(order.at(number))


def _step(learner: TorchLearner, order: Order, lr: float, taken: list[int]) -> None:
    """The learner's next step; `taken` holds how many there were, in a list so that it can be put back."""
    learner.step(_drawn(order, taken[0]), lr)
    taken[0] += 1


def _evaluate(learner: TorchLearner, chosen: np.ndarray) -> float:
    """Mean nats per token of some examples as a trained network reads them."""
    learner.network.eval()
    with torch.no_grad():
        value = float(learner.loss(chosen))
    learner.network.train()
    return value


def _laid(inputs: tuple[Tensor, ...], targets: Tensor, counted: Tensor | None, lines: bool) -> tuple[Tensor, ...]:
    """What the learner's network reads, what the n-gram says, and the targets (B, T) or (B,), for `Laid`."""
    prior = () if counted is None else (counted,)
    if not lines:
        return *inputs, *prior, targets
    tokens, sizes = inputs
    left = torch.arange(int(sizes[0])) < sizes[:, None]  # (T, B)

    def table(part: Tensor, empty: int = 0) -> Tensor:
        """(N, ...) to (B, T, ...)"""
        places = part.new_full((*left.shape, *part.shape[1:]), empty)
        places[left] = part
        return places.transpose(0, 1).contiguous()

    return table(tokens), left.sum(0), *map(table, prior), table(targets, _NOWHERE)
