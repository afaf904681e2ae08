"""What is found in a script becomes what the checks take: a model, a loss of its outputs, a batch.

A loss is what stands on the tape between the model's outputs and the tensor whose gradient was asked for. A script
whose model is no single module (several modules, plain tensors) becomes a module that replays its calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..tape import tensors_in
from .replay import Replay


class Program(nn.Module):
    """Several modules and plain tensors, and the calls between them, from the batch to the outputs."""

    def __init__(self, replay: Replay, modules: dict[str, nn.Module], leaves: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.replay = replay
        self._modules.update(modules)
        self._parameters.update(leaves)  # type: ignore[arg-type]  # plain tensors are trained, too

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The outputs for other inputs: one tensor, or several."""
        self.replay.training = self.training
        outputs = self.replay(inputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


class ReplayedLoss:
    """`loss(output, target)` as the script computes it."""

    def __init__(self, replay: Replay, outputs: int) -> None:
        self.replay, self.outputs = replay, outputs
        self.held = [*replay.visited, *(one for one, _ in replay.types.values())]
        """What a snapshot must keep: a module in the loss may change its buffers."""

    def __call__(self, output: Any, target: Any = None) -> torch.Tensor:
        """The loss of another output, or of another target."""
        given = list(tensors_in(output))[: self.outputs]
        sources = [*given, *self.replay.sources[len(given) : self.outputs]]
        return self.replay([*sources, *tensors_in(target)])[0]


class Picked:
    """Takes of a model's result the tensors that its loss is computed from."""

    def __init__(self, places: Sequence[int]) -> None:
        self.places = list(places)

    def __call__(self, output: Any) -> Any:
        """One tensor, or several."""
        tensors = list(tensors_in(output))
        if max(self.places) >= len(tensors):
            return output
        picked = tuple(tensors[place] for place in self.places)
        return picked[0] if len(picked) == 1 else picked
