"""mlp trained by PyTorch: the same weights, formula and optimizer as the program's, so that both can be compared.

Bengio et al. 2003, "A Neural Probabilistic Language Model". What comes out is an `MlpModel`, as from the program.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .contract import Listener
from .leave_one_out import LeaveOneOut
from .mlp import MlpConfig, MlpModel
from .ngram import NgramModel
from .ngram_counts import context_windows
from .torch_device import chosen_device, reproducible
from .torch_optimizers import AdamW

_STEPS = "steps"


class TorchMlpLearner:
    """Trains an mlp on every position of a stream (see `learner.Learner`)."""

    def __init__(
        self,
        stream: np.ndarray,
        vocabulary_size: int,
        config: MlpConfig,
        prior: NgramModel | None,
        seed: int,
        device: str = "auto",
        threads: int = 1,
        tell: Listener = lambda event: None,
    ) -> None:
        self.device, self.threads = chosen_device(device, threads, tell), threads
        self.examples = len(stream) - 1
        self.batch, self.lr = min(config.batch, self.examples), config.lr
        self._config, self._vocabulary_size, self._prior = config, vocabulary_size, prior
        random = np.random.Generator(np.random.Philox(seed))
        weights = MlpModel.start(config, vocabulary_size, random, prior is not None)
        self._weights = {
            name: torch.tensor(array, dtype=torch.float32, device=self.device, requires_grad=True)
            for name, array in weights.items()
        }
        self._adamw, self._steps = AdamW(self._weights, config.weight_decay), 0
        windows = context_windows(stream, config.context)  # (N, C)
        self._windows = torch.as_tensor(windows, device=self.device)
        self._targets = torch.as_tensor(stream[1:].astype(np.int64), device=self.device)
        self._left_out = LeaveOneOut(prior, stream) if prior else None

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """See `Learner`."""
        places = torch.as_tensor(chosen, device=self.device)
        prior = None if self._left_out is None else torch.as_tensor(self._left_out.at(chosen), device=self.device)
        with reproducible(self.device, self.threads):
            members = [self._logits(member, places, prior) for member in range(self._config.members)]
            loss = torch.stack([F.cross_entropy(logits, self._targets[places]) for logits in members]).sum()
            for weight in self._weights.values():
                weight.grad = None
            torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self._weights.values(), 1.0)
        mean = float(loss.detach()) / self._config.members
        if not (math.isfinite(mean) and math.isfinite(float(norm))):
            return math.nan
        self._steps += 1
        self._adamw.step(lr, self._steps)
        return mean

    def _logits(self, member: int, places: Tensor, prior: Tensor | None) -> Tensor:
        """What one member says of some positions, (N, V)."""
        w = {name: self._weights[f"{member}.{name}"] for name in ("embedding", "hidden.weight", "hidden.bias")}
        vectors = w["embedding"][self._windows[places]].flatten(1)  # (N, C * E)
        hidden = F.linear(vectors, w["hidden.weight"], w["hidden.bias"]).tanh()  # (N, H)
        logits = F.linear(hidden, self._weights[f"{member}.out.weight"], self._weights[f"{member}.out.bias"])
        if prior is None:
            return logits
        scale = hidden @ self._weights[f"{member}.prior.weight"] + self._weights[f"{member}.prior.bias"]  # (N,)
        return logits + scale[:, None] * prior

    def model(self) -> MlpModel:
        """See `Learner`."""
        return MlpModel(self._config, self._vocabulary_size, self._arrays(self._weights), self._prior)

    def state(self) -> dict[str, np.ndarray]:
        """See `Learner`."""
        state = {_STEPS: np.array([self._steps])} | self._arrays(self._weights)
        for name, memory in self._adamw.memory.items():
            state |= {f"{key}/{name}": array for key, array in self._arrays(memory).items()}
        return state

    @torch.no_grad()
    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """See `Learner`."""
        self._steps = int(state[_STEPS][0])
        for name, weight in self._weights.items():
            kept = {name: weight} | {f"{key}/{name}": part for key, part in self._adamw.memory[name].items()}
            for key, tensor in kept.items():
                if state[key].shape != tuple(tensor.shape):
                    raise ValueError(f"{key} has the shape {state[key].shape}, not {tuple(tensor.shape)}")
                tensor.copy_(torch.as_tensor(state[key]))

    @staticmethod
    def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
