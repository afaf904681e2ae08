"""A trained network in PyTorch behind the contract.

What the model has learned are NumPy arrays; the network is built from them when it is first asked, in float64, so
that its answers do not depend on how lines are batched, on the machine, or on the number of threads. PyTorch is
imported then, not before.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...optional import require
from ..contract import Callback, Reader
from ..neural import NeuralModel, log_softmax
from ..ngram.counts import context_columns
from ..ngram.model import NgramModel

if TYPE_CHECKING:
    import torch

    from .learner import TorchLearner


class TorchModel(NeuralModel):
    """What networks over windows and over whole lines share."""

    network: ClassVar[str]
    """The file in this folder and the class of the network."""

    @classmethod
    def build(cls, config: Any, vocabulary_size: int, prior: bool) -> torch.nn.Module:
        """A fresh network with random weights; with a prior, `blend` weighs both."""
        file, name = cls.network.split(".")
        require("torch", f"the model {name.lower()}")
        from .layers import Blend

        network: torch.nn.Module = getattr(import_module(f".{file}", __package__), name)(config, vocabulary_size)
        if prior:
            network.blend = Blend(vocabulary_size)
        return network

    @classmethod
    def learner(
        cls,
        stream: np.ndarray,
        vocabulary_size: int,
        config: Any,
        prior: NgramModel | None,
        seed: int,
        device: str = "auto",
        threads: int = 1,
        callback: Callback = lambda event: None,
    ) -> TorchLearner:
        """A network in training. See `table.Family`."""
        require("torch", f"the model {cls.network.split('.')[1].lower()}")
        from .learner import TorchLearner

        return TorchLearner(cls, stream, vocabulary_size, config, prior, seed, device, threads, callback)

    @cached_property
    def module(self) -> Any:
        """The network with the weights, in float64, evaluating."""
        import torch

        network = self.build(self.config, self.vocabulary_size, self.prior is not None)
        weights = {name: torch.tensor(array) for name, array in self.weights.items()}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit the network: {error}") from None
        return network.to(self.device, torch.float64).eval()

    @cached_property
    def device(self) -> torch.device:
        """Where it runs: on a GPU that knows float64, if there is one."""
        import torch

        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def check(self) -> None:
        """See `NeuralModel`."""
        require("torch", f"the model {self.network.split('.')[1].lower()}")
        import torch

        with torch.device("meta"):  # shapes without memory: damaged settings may ask for more than there is
            network = self.build(self.config, self.vocabulary_size, self.prior is not None)
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}
        different = {name for name in shapes.keys() | self.weights if shapes.get(name) != self._shape(name)}
        if different:
            raise ValueError(f"the weights {', '.join(sorted(different))[:100]} do not fit the network")

    def _shape(self, name: str) -> tuple[int, ...] | None:
        return self.weights[name].shape if name in self.weights else None

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Token ids on the network's device."""
        import torch

        return torch.as_tensor(array.astype(np.int64), device=self.device)

    def on_top(self, logits: torch.Tensor, prior: np.ndarray | None) -> np.ndarray:
        """Logits weighed with the prior's log-probabilities of the same shape, if there is one."""
        import torch

        if prior is not None:
            with torch.inference_mode():
                logits = self.module.blend(logits, torch.as_tensor(prior, device=self.device))
        array: np.ndarray = logits.cpu().numpy()
        return array


class WindowModel(TorchModel):
    """A network that sees a fixed number of last tokens, the boundary in the places before the line."""

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        windows = np.stack(context_columns(tokens, self.config.context)[::-1], axis=-1)
        return self.on_top(self._network(windows.reshape(-1, windows.shape[-1])).reshape(*tokens.shape, -1), prior)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        window = tokens[:, -self.config.context :]
        window = np.pad(window, ((0, 0), (self.config.context - window.shape[1], 0)))
        if self.vocabulary_size**self.config.context >= 2**63:
            return self.on_top(self._network(window), prior)
        # Lines begin alike: each distinct window is worked out once.
        keys = window.astype(np.int64) @ self.vocabulary_size ** np.arange(self.config.context)
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        return self.on_top(self._network(window[first])[self.tensor(which)], prior)

    def _network(self, windows: np.ndarray) -> torch.Tensor:
        """Windows (N, C) to logits (N, V)."""
        import torch

        with torch.inference_mode():
            logits: torch.Tensor = self.module(self.tensor(windows))
            return logits


class LineModel(TorchModel):
    """A network that reads whole lines and remembers them by a state."""

    @property
    def reach(self) -> None:
        """See `NeuralModel`."""
        return None

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        import torch

        lines, length = tokens.shape
        with torch.inference_mode():
            steps = self.module(self.tensor(tokens.T.ravel()), torch.full((length,), lines))
            return self.on_top(steps.reshape(length, lines, -1).transpose(0, 1), prior)

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """See `NeuralModel`."""
        return self.logits(tokens, None if prior is None else prior[:, None])[:, -1]

    def reader(self, lines: int) -> Reader:
        """A reader that goes on from the state of each line."""
        return StateReader(self, lines)


class StateReader:
    """The states of many lines (see `contract.Reader`), as tensors whose second dimension is the line."""

    def __init__(self, model: LineModel, lines: int) -> None:
        self._model = model
        self._state: tuple[torch.Tensor, ...] | None = None
        self._prior = None if model.prior is None else model.prior.reader(lines)

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, V) of what follows."""
        import torch

        model = self._model
        with torch.inference_mode():
            logits, self._state = model.module.read(model.tensor(tokens), self._state)
            prior = None if self._prior is None else self._prior.read(tokens)
            return log_softmax(model.on_top(logits, prior))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        if self._state is not None:
            places = self._model.tensor(np.flatnonzero(rows))
            self._state = tuple(part.index_select(1, places) for part in self._state)
        if self._prior is not None:
            self._prior.keep(rows)
