"""A training run of this package as a case: its learner on some of its lines, where the training is now.

The learner itself steps, with its own optimizers and what they remember; only what it reads is laid out anew, as
lines or windows by the side of each other, so that samples and moments are axes that the checks can tell apart.

    B lines or windows · T longest line · C context · V vocabulary
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ExaminationError, RunError
from ..models.family import Family
from ..models.pytorch.learner import CLIP, TorchLearner
from ..models.pytorch.model import LineModel, TorchModel
from ..models.pytorch.optimizers import BETAS, MOMENTUM, Muon, TorchAdamW
from ..training.runs.checkpoint import Checkpoint
from ..training.runs.folder import LAST
from ..training.runs.run import Run, read_run
from ..training.schedule import Order
from .case import Case

LINES, LOGITS = 512, 1 << 22
"""So many training lines, evenly spread, are read at most, and so few that there are about so many logits."""
_NOWHERE = -100
"""The target after the end of a line, which cross-entropy leaves out."""


class Laid(nn.Module):
    """A network, what it reads, and what it starts from, with samples along the first axis."""

    def __init__(self, network: nn.Module, lines: bool) -> None:
        super().__init__()
        self.network: Any = network
        self.lines = lines

    def forward(self, tokens: Tensor, *more: Tensor) -> Tensor:
        """Windows (B, C) to logits (B, V), or lines (B, T) and their lengths (B,) to logits (B, T, V).

        Last, and shaped as the logits, the n-gram's log-probabilities, if there is one.
        """
        logits = self._read(tokens, more[0]) if self.lines else self.network(tokens)
        counted = more[1:] if self.lines else more
        if not counted:
            return logits
        both: Tensor = self.network.blend(logits, counted[0])
        return both

    def _read(self, tokens: Tensor, lengths: Tensor) -> Tensor:
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


class LaidLearner(TorchLearner):
    """A learner whose network reads what `Laid` reads."""

    def lay(self, lines: bool) -> None:
        """From now on. The optimizers become PyTorch's own, with the same groups and memory."""
        self.lines = lines
        self.optimizers = [_as_in_torch(optimizer, self._steps) for optimizer in self._optimizers]
        self.network = Laid(self.network, lines)

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """See `TorchLearner`."""
        with self._random(self._steps + 1):
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss = self.loss(chosen)
            torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._parameters.values(), CLIP)
        for optimizer in self.optimizers:
            optimizer.step()
        self._steps += 1
        return float(loss.detach())

    def read(self, chosen: np.ndarray) -> tuple[Tensor, ...]:
        """What the network reads of some examples, and last the targets (B, T) or (B,)."""
        inputs, targets, prior = self._read(chosen)
        counted = [] if prior is None else [prior]
        if not self.lines:
            return (*inputs, *counted, targets)
        tokens, sizes = inputs
        left = torch.arange(int(sizes[0])) < sizes[:, None]  # (T, B)
        tables = [_table(left, part) for part in (tokens, *counted)]
        return tables[0], left.sum(0).to(self.device), *tables[1:], _table(left, targets, _NOWHERE)

    def loss(self, chosen: np.ndarray) -> Tensor:
        """See `TorchLearner`."""
        if not isinstance(self.network, Laid):
            return super().loss(chosen)
        *inputs, targets = self.read(chosen)
        return loss_of(self.network(*inputs), targets)

    def evaluate(self, chosen: np.ndarray) -> float:
        """Mean nats per token of some examples as a trained network reads them."""
        self.network.eval()
        with torch.no_grad():
            value = float(self.loss(chosen))
        self.network.train()
        return value


def case_of_run(folder: Path, models: Mapping[str, Family]) -> Case:
    """The case of a training with PyTorch. `ExaminationError` for models that PyTorch does not train."""
    run = read_run(folder, models)
    if not isinstance(run.model, TorchModel):
        known = ", ".join(name for name, family in models.items() if issubclass(family.model, TorchModel))
        raise ExaminationError(
            f"{folder} holds a model of the family {run.family}, which is not trained with PyTorch; the doctor "
            f"examines runs of {known}, and your own programs: spellout doctor train.py:case"
        )
    if not run.lines:
        raise ExaminationError(f"{folder} has no training lines to examine its model with; train without streaming")
    learner = _learner(folder, run, run.model)
    training = run.facts.get("training") or {}
    examples = Order(learner.examples, training.get("batch") or learner.batch, 0).at(0)
    chosen = np.unique(examples)  # few lines may come more than once
    return case_of(learner, chosen, float(training.get("lr") or learner.lr))


def case_of(learner: LaidLearner, chosen: np.ndarray, lr: float) -> Case:
    """The case of a learner whose network is laid out, on some examples."""
    for optimizer in learner.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr * group["part"]
    return Case(
        model=learner.network,
        loss=loss_of,
        batch=learner.read(chosen),
        optimizer=learner.optimizers,
        step=partial(learner.step, chosen, lr),
        evaluate=partial(learner.evaluate, chosen),
        causal=learner.lines,
        batch_axis=0,
    )


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean nats per token, of windows (B, V) or of lines (B, T, V)."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=_NOWHERE)


def _learner(folder: Path, run: Run, model: TorchModel) -> LaidLearner:
    """The learner as the training left it, or, without a checkpoint, with the best weights."""
    assert run.lines is not None
    most = min(LINES, max(8, LOGITS // (model.vocabulary_size * (run.usual_length + 1))))
    lines = run.lines[:: max(1, len(run.lines) // most)][:most]
    stream = run.vocabulary.encode(lines)
    if model.prior is not None:
        for array in model.prior.arrays().values():
            array.flags.writeable = False  # what cannot change need not be kept and put back
    learner = LaidLearner(type(model), stream, model.vocabulary_size, model.config, model.prior, 0, "cpu")
    try:
        if (folder / LAST).exists():
            learner.load_state(Checkpoint.read(folder / LAST).learner)
        else:
            learner.network.load_state_dict({name: torch.tensor(a) for name, a in model.weights.items()})
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        raise RunError(f"{folder} is damaged: its files do not fit together ({error}); train again") from None
    learner.lay(isinstance(model, LineModel))
    return learner


def _as_in_torch(own: TorchAdamW | Muon, steps: int) -> torch.optim.Optimizer:
    """The optimizer of `torch.optim` that does the same, and remembers the same."""
    group = {"params": list(own.parameters.values()), "weight_decay": own.decay, "part": getattr(own, "part", 1.0)}
    optimizer: torch.optim.Optimizer
    if isinstance(own, TorchAdamW):
        optimizer, names = torch.optim.AdamW([group], betas=BETAS), {"mean": "exp_avg", "square": "exp_avg_sq"}
    else:
        optimizer, names = torch.optim.Muon([group], momentum=MOMENTUM), {"mean": "momentum_buffer"}
    if steps:
        for name, parameter in own.parameters.items():
            kept: dict[str, Tensor] = {names[key]: array.clone() for key, array in own.memory[name].items()}
            if isinstance(own, TorchAdamW):
                kept["step"] = torch.tensor(float(steps))
            optimizer.state[parameter] = kept
    return optimizer


def _table(left: Tensor, part: Tensor, empty: int = 0) -> Tensor:
    """(N, ...) of the places that are left (T, B), step by step, to lines (B, T, ...)."""
    table = part.new_full((*left.shape, *part.shape[1:]), empty)
    table[left.to(part.device)] = part
    return table.transpose(0, 1).contiguous()
