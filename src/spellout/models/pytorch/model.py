"""A trained network in PyTorch behind the contract, and the settings that all of them have.

What the model has learned are NumPy arrays; the network is built from them when it is first asked, in float64, so
that its answers do not depend on how lines are batched, on the machine, or on the number of threads. Models are
named, configured and listed without PyTorch: here and in the networks' files it is imported inside functions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ...errors import UsageError
from ...optional import require
from ..contract import Reader
from ..inspection import Inside
from ..neural import NeuralModel
from ..ngram.counts import context_columns
from ..ranges import Dropout, Optimizer, WeightDecay
from ..softmax import log_softmax

if TYPE_CHECKING:
    import torch

    from .layers import Network
    from .learner import TorchLearner

Statistics = Literal["running", "calibrated"]
State = tuple["torch.Tensor", ...]
"""What a network remembers of many lines: tensors whose second dimension is the line."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What all networks have: how much of them is left out at random, and how fast weights decay."""

    rates: ClassVar[dict[str, float]]
    """For each optimizer the highest learning rate, unless the training is told otherwise."""

    batch: int
    """How many examples a step learns from, unless the training is told otherwise."""
    dropout: Dropout = 0.0
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    weight_decay: WeightDecay = 0.05
    """How much a matrix shrinks in a step at learning rate 1; biases, gains and embeddings do not."""
    optimizer: Optimizer = "adamw"
    """muon moves the hidden matrices by orthogonal updates (Jordan 2024), and the rest as adamw does."""

    @property
    def lr(self) -> float:
        """The highest learning rate, unless the training is told otherwise."""
        return self.rates[self.optimizer]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = min(1, field.default) if isinstance(field.default, int) else 1
            if isinstance(value, int) and value < least:
                raise UsageError(f"{field.name}={value}: must be at least {least}")
        for name in ("dropout", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name):g}: must be at least 0 and below 1")


class TorchModel(NeuralModel):
    """What networks over windows and over whole lines share. Each gives, in a file of its own:

    `parts(config, vocabulary_size)`, the layers of a fresh network by name, with random weights;
    `forward(net, ...)`, what it computes; the parts are attributes of `net`, as they are of `self` in nanoGPT.
    """

    bounded: ClassVar[bool] = True
    """Whether its hidden units are between -1 and 1, so that some can be saturated."""

    @classmethod
    def build(cls, config: Any, vocabulary_size: int, prior: bool, device: str = "cpu") -> Network:
        """A fresh network with random weights; with a prior, its part `blend` weighs both."""
        cls._require_torch()
        import torch

        from .layers import Network

        with torch.device(device):
            return Network(cls, config, vocabulary_size, prior)

    @classmethod
    def learner(cls, *arguments: Any, **named: Any) -> TorchLearner:
        """Such a network in training; the arguments are those of `TorchLearner` after the first."""
        cls._require_torch()
        from .learner import TorchLearner

        return TorchLearner(cls, *arguments, **named)

    @classmethod
    def _require_torch(cls) -> None:
        require("torch", f"the model {cls.__name__.removesuffix('Model').lower()}")

    @cached_property
    def module(self) -> Any:
        """The network with the weights, in float64, evaluating."""
        import torch

        network = self.build(self.config, self.vocabulary_size, self.prior is not None)
        network.load(self.weights)
        return network.to(self.device, torch.float64).eval()

    @cached_property
    def device(self) -> torch.device:
        """Where it runs: on a GPU that knows float64, if there is one."""
        import torch

        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def check(self) -> None:
        """Raise ValueError if the weights are not those of such a network, told from names and shapes."""
        # Shapes without memory: damaged settings may ask for more than there is.
        network = self.build(self.config, self.vocabulary_size, self.prior is not None, "meta")
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}
        given = {name: array.shape for name, array in self.weights.items()}
        different = {name for name in shapes | given if shapes.get(name) != given.get(name)}
        if different:
            raise ValueError(f"the weights {', '.join(sorted(different))[:100]} do not fit the network")

    def token_vectors(self) -> np.ndarray:
        """The vectors (V, E) that stand for the tokens."""
        return self.weights["embedding.weight"]

    def inspect(self, stream: np.ndarray) -> Inside:
        """Activations and gradients of the loss on a stream `0 line 0 line 0`, in float64, without dropout."""
        from .inspection import look_inside

        return look_inside(self, stream)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Token ids on the network's device."""
        import torch

        return torch.as_tensor(array.astype(np.int64), device=self.device)

    def blended(self, logits: torch.Tensor, prior: np.ndarray | None) -> np.ndarray:
        """Logits weighed with the prior's log-probabilities of the same shape, if there is one."""
        import torch

        if prior is not None:
            with torch.inference_mode():
                logits = self.module.blend(logits, torch.as_tensor(prior, device=self.device))
        return logits.cpu().numpy()


class TorchWindowModel(TorchModel):
    """A network that sees a fixed number of last tokens, the boundary in the positions before the line.

    Its `forward(net, windows)` takes windows (N, C), the newest token last, to logits (N, V).
    """

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """(B, T) token ids, and the prior's log-probabilities (B, T, V) if there is one, to logits (B, T, V)."""
        windows = np.stack(context_columns(tokens, self.config.context)[::-1], axis=-1)  # (B, T, C)
        return self.blended(self._network(windows.reshape(-1, windows.shape[-1])).view(*tokens.shape, -1), prior)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Logits (B, V) of what follows the last of the tokens (B, T), with the prior's rows (B, V)."""
        context = self.config.context
        window = tokens[:, -context:]
        window = np.pad(window, ((0, 0), (context - window.shape[1], 0)))  # (B, C)
        if self.vocabulary_size**context >= 2**63:
            return self.blended(self._network(window), prior)
        # Lines begin alike: each distinct window is worked out once.
        keys = window.astype(np.int64) @ self.vocabulary_size ** np.arange(context)  # (B,)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        return self.blended(self._network(window[first])[self.tensor(which)], prior)

    def _network(self, windows: np.ndarray) -> torch.Tensor:
        """Windows (N, C) to logits (N, V)."""
        import torch

        with torch.inference_mode():
            return self.module(self.tensor(windows))


class LineModel(TorchModel):
    """A network that reads whole lines and remembers them by a state.

    Its `forward(net, tokens, sizes)` takes the tokens (N,) of lines side by side, of which `sizes` (T,) go on at
    each step, to logits (N, V); `read(net, tokens, state)` takes one more token of every line, (B,), and the state
    so far to logits (B, V) and the state after.
    """

    @property
    def own_context(self) -> None:
        """The network sees the whole line."""
        return None

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """(B, T) token ids, and the prior's log-probabilities (B, T, V) if there is one, to logits (B, T, V)."""
        import torch

        lines, length = tokens.shape
        with torch.inference_mode():
            steps = self.module(self.tensor(tokens.T.ravel()), torch.full((length,), lines))  # (T · B, V)
            return self.blended(steps.view(length, lines, -1).transpose(0, 1), prior)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Logits (B, V) of what follows the last of the tokens (B, T), with the prior's rows (B, V)."""
        return self.logits(tokens, None if prior is None else prior[:, None])[:, -1]

    def reader(self, lines: int) -> Reader:
        """A reader that goes on from the state of each line."""
        return StateReader(self, lines)


class StateReader:
    """Reads many lines, one token of each at a time, by their states."""

    def __init__(self, model: LineModel, lines: int) -> None:
        self._model: Any = model
        self._state: State | None = None
        self._prior = None if model.prior is None else model.prior.reader(lines)

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        import torch

        model = self._model
        with torch.inference_mode():
            logits, self._state = model.read(model.module, model.tensor(tokens), self._state)
            prior = None if self._prior is None else self._prior.read(tokens)
            return log_softmax(model.blended(logits, prior))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only: a mask (B,)."""
        if self._state is not None:
            kept = self._model.tensor(np.arange(self._state[0].shape[1])[rows])
            self._state = tuple(part.index_select(1, kept) for part in self._state)
        if self._prior is not None:
            self._prior.keep(rows)
