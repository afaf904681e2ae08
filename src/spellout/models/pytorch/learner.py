"""A network in PyTorch in training: the learner that the loop drives.

All tokens are one tensor on the device and batches are made by index. Matrices decay and, with Muon, move by
orthogonal updates; everything else moves as AdamW does. With a prior, the logits are weighed with the n-gram's
log-probabilities of every training position without itself, and the network learns to do well both with them and
without: if only the whole counts, it leaves to the n-gram what it should have learned. Of a large vocabulary, and
without a prior, some tokens stand for all (`candidates.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..candidates import MANY_TOKENS, Candidates
from ..contract import Callback, LanguageModel
from ..counts.left_out import left_out
from ..counts.priors import Prior
from ..learner import UPDATES_EVERY, update_ratio
from ..parameters import LONGEST_GRADIENT
from ..weights import under
from .batches import corpus_of
from .device import chosen_device, reproducible
from .layers import Head, TiedHead
from .optimizers import optimizers_of

ALONE = 0.15
"""With a prior, the part of the loss that is the network's own. On dev lines of the course's names, 4,000 steps of
gru:128+ngram end at 1.909 nats a character with 0, 1.902 with 0.15, 1.906 with 0.5; 5,000 of transformer+ngram at
1.922 and 1.898 (bench/torch_family.py)."""
POSITIONS_JUDGED = 4096
"""From so many training positions the first loss is estimated."""
NUMBERS_JUDGED = 1 << 20
"""With a large vocabulary fewer: so many of its tokens in all."""
EXAMPLES_CALIBRATED = 1 << 14
"""So many examples are measured together when a network is calibrated."""
_IGNORED = -100
"""A target that the losses of PyTorch leave out."""
_STEPS, _NETWORK, _OPTIMIZER = "steps", "network/", "optimizer/"


class TorchLearner:
    """A network in training.

    `model` is the class of its model, a `TorchModel`, which knows its layers. With `soft_targets`, probabilities
    (positions, V), it learns what a teacher says at each position, instead of the token that came.
    """

    def __init__(
        self,
        model: type[Any],
        stream: np.ndarray,
        vocabulary_size: int,
        config: Any,
        prior: Prior | None,
        seed: int,
        device: str = "auto",
        threads: int = 1,
        callback: Callback = lambda event: None,
        soft_targets: np.ndarray | None = None,
    ) -> None:
        self.device, self.threads = chosen_device(device, threads, callback), threads
        self.batch, self.lr = config.batch, config.lr
        self._model, self._vocabulary_size, self._prior = model, vocabulary_size, prior
        self._seed, self._steps = seed, 0
        self._corpus = corpus_of(stream, config, self.device)
        self.examples = self._corpus.examples
        if getattr(config, "places", 0) is None:  # as many as the longest line has
            config = replace(config, places=int(np.diff(np.flatnonzero(stream == 0)).max(initial=1)))
        self._config = config
        targets = np.append(stream[1:].astype(np.int64), _IGNORED)  # the last one is at `NOWHERE`
        self._targets = torch.as_tensor(targets, device=self.device)
        if soft_targets is not None:
            assert prior is None, "a student starts from nothing"
            nowhere = np.zeros((1, vocabulary_size), soft_targets.dtype)
            self._targets = torch.as_tensor(np.concatenate([soft_targets, nowhere]), device=self.device)
        self._rows = None if prior is None else left_out(prior, stream)
        with self._random(0), reproducible(self.device, threads):  # drawn on the CPU: the same for every device
            self.network: Any = model.build(config, vocabulary_size, prior is not None).to(self.device)
        self._parameters = dict(self.network.named_parameters())
        self._candidates: Candidates | None = None
        head = getattr(self.network, "head", None)
        many = vocabulary_size > MANY_TOKENS and prior is None and soft_targets is None
        if many and isinstance(head, Head | TiedHead):
            self._candidates = Candidates(stream, vocabulary_size, seed)
            # At first, tokens are as likely as they are frequent: from equal chances, that would take an epoch.
            often = torch.bincount(self._targets[:-1], minlength=vocabulary_size) + 0.5
            head.bias.data.copy_((often / often.sum()).log())
        self._optimizers = optimizers_of(self._parameters, config)
        self.updates: dict[str, float] = {}
        self._tell_first_loss(callback)

    def loss(self, chosen: np.ndarray) -> Tensor:
        """Mean nats per token of some examples, with a gradient."""
        return self._losses(*self._read(chosen))[0]

    def _read(self, chosen: np.ndarray) -> tuple[tuple[Tensor, ...], Tensor, Tensor | None]:
        """Give of some examples what the network reads, the targets, (N,) or (N, V), and what the n-gram says of
        each, without the token itself: (N, V) log-probabilities."""
        inputs, positions = self._corpus.at(chosen)
        targets = self._targets[torch.as_tensor(positions, device=self.device)]
        counted = None if self._rows is None else torch.as_tensor(self._rows.at(positions), device=self.device)
        return inputs, targets, counted

    def _losses(self, inputs: tuple[Tensor, ...], targets: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor]:
        """The loss, and what training makes small."""
        if self._candidates is not None and self.network.training:
            estimate = self._estimate(inputs, targets, self._candidates)
            return estimate, estimate
        logits = self.network(*inputs)  # (N, V)
        alone = _cross_entropy(logits, targets)
        if counted is None:
            return alone, alone
        loss = nn.functional.cross_entropy(self.network.blend(logits, counted), targets)
        return loss, torch.lerp(loss, alone, ALONE)

    def _estimate(self, inputs: tuple[Tensor, ...], targets: Tensor, candidates: Candidates) -> Tensor:
        """Estimate the loss from the logits of some tokens."""
        known = targets.clamp(min=0)  # ignored ones have no place of their own, and need none
        drawn = candidates.draw(self._steps, known.cpu().numpy())
        tokens, correction, places = (torch.as_tensor(array, device=self.device) for array in drawn)
        self.network.head.chosen = tokens
        logits = self.network(*inputs)  # (N, T)
        self.network.head.chosen = None
        own = logits.gather(1, places[:, None])
        corrected = (logits + correction).scatter(1, places[:, None], own)
        return nn.functional.cross_entropy(corrected, torch.where(targets < 0, _IGNORED, places))

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """Learn from the examples `chosen` (N,) at a learning rate; the mean nats per token before the step.

        If the loss or the gradient is not finite, it gives nan, and nothing has moved.
        """
        with reproducible(self.device, self.threads):
            return self._step(chosen, lr)

    def _step(self, chosen: np.ndarray, lr: float) -> float:
        # The means and deviations of BatchNorm move while the network reads, before the loss is known.
        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        with self._random(self._steps + 1):
            loss, objective = self._losses(*self._read(chosen))
            for parameter in self._parameters.values():
                parameter.grad = None  # and not zero: then the first gradient is not added to anything
            torch.autograd.backward(objective)
        length = nn.utils.clip_grad_norm_(self._parameters.values(), LONGEST_GRADIENT)
        value = float(loss.detach())
        if not math.isfinite(value) or not math.isfinite(float(length)):
            for name, buffer in self.network.named_buffers():
                buffer.copy_(buffers[name])
            return math.nan
        before = self._matrices() if self._steps % UPDATES_EVERY == 0 else {}
        for optimizer in self._optimizers:
            optimizer.step(lr, self._steps + 1)
        after = self._matrices() if before else {}
        self.updates = {name: update_ratio(array, after[name]) for name, array in before.items()}
        self._steps += 1
        return value

    def _matrices(self) -> dict[str, np.ndarray]:
        return _arrays({name: p for name, p in self._parameters.items() if p.ndim == 2})

    def model(self) -> LanguageModel:
        """The model with the weights of now, in NumPy, on which later steps have no effect."""
        calibrated = getattr(self._config, "statistics", "") == "calibrated"
        network = self._calibrated() if calibrated else self.network
        return self._model(self._config, self._vocabulary_size, _arrays(network.state_dict()), self._prior)

    def state(self) -> dict[str, np.ndarray]:
        """Copies of the weights, the optimizers' memory and the number of steps, by name."""
        state = {_STEPS: np.array([self._steps])}
        state |= {_NETWORK + name: array for name, array in _arrays(self.network.state_dict()).items()}
        for optimizer in self._optimizers:
            for name, memory in optimizer.memory.items():
                state |= {f"{_OPTIMIZER}{name}/{key}": array for key, array in _arrays(memory).items()}
        return state

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` returned. `ValueError` or `KeyError` if it does not fit this network."""
        self.network.load(under(_NETWORK, state))
        self._steps = int(state[_STEPS][0])
        for optimizer in self._optimizers:
            for name, memory in optimizer.memory.items():
                for key, tensor in memory.items():
                    remembered = torch.tensor(state[f"{_OPTIMIZER}{name}/{key}"])
                    if remembered.shape != tensor.shape:
                        raise ValueError(f"the optimizer's memory of {name} has another shape")
                    tensor.copy_(remembered)

    def _calibrated(self) -> nn.Module:
        """A copy whose means and deviations are those of the training set with the weights of now."""
        network = deepcopy(self.network).eval()
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm1d):
                norm.train().reset_running_stats()
                norm.momentum = None  # every batch counts the same
        with torch.no_grad(), reproducible(self.device, self.threads):
            for part in np.array_split(np.arange(self.examples), math.ceil(self.examples / EXAMPLES_CALIBRATED)):
                network(*self._corpus.at(part)[0])
        return network

    @contextmanager
    def _random(self, number: int) -> Iterator[None]:
        """What is random here depends on the seed and a number alone, and nothing else depends on it."""
        # A counter of its own for each step: going on from a checkpoint needs no state of a generator.
        seed = int(np.random.Philox(key=self._seed, counter=[0, number, 0, 0]).random_raw()) >> 1
        generators = [torch.default_generator]  # not `torch.manual_seed`, which costs as much as a small step
        if self.device.type == "cuda":
            generators.append(torch.cuda.default_generators[self.device.index or torch.cuda.current_device()])
        before = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)

    def _tell_first_loss(self, callback: Callback) -> None:
        """Before any step, all tokens should be equally likely, or as likely as the n-gram or their counts say."""
        judged = min(self.examples, POSITIONS_JUDGED, max(1, NUMBERS_JUDGED // self._vocabulary_size))
        inputs, targets, counted = self._read(np.arange(judged))
        with torch.no_grad(), self._random(0), reproducible(self.device, self.threads):
            self.network.eval()
            first = float(self._losses(inputs, targets, counted)[0])
            self.network.train()
            expected = math.log(self._vocabulary_size)
            if self._candidates is not None:
                rows = self.network.head.bias.log_softmax(0).expand(len(targets), -1)
                expected = float(nn.functional.nll_loss(rows, targets))
            if counted is not None:
                expected = float(nn.functional.nll_loss(counted, targets))
        callback({"event": "first_loss", "nats_per_token": first, "expected": expected})


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean nats of logits (N, V) against tokens (N,), or against distributions (N, V), which are zero at positions
    that do not count."""
    if targets.ndim == 1:
        return nn.functional.cross_entropy(logits, targets)
    targets = targets.to(logits.dtype)
    return -(targets * logits.log_softmax(dim=-1)).sum() / targets.sum()


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Copies, without BatchNorm's count of batches, which nothing depends on."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in kept.items()}
