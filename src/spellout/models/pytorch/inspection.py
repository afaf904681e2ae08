"""Looking into a network in PyTorch while it reads: every tanh and GELU, every memory.

The networks stay as they are: a function mode hears their calls, hooks hear recurrent layers, whose kernels call
none of these. Gradients are asked for and not stored, so the model is as it was afterwards.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..counts.left_out import left_out
from ..inspection import Activations, Inside
from .batches import NOWHERE, corpus_of

_FUNCTIONS = {torch.Tensor.tanh: "tanh", torch.tanh: "tanh", nn.functional.gelu: "GELU"}


class _Hearing(TorchFunctionMode):
    """Keeps what the functions of a network were given and gave while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[str, Tensor | None, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _FUNCTIONS:
            self.layers.append((_FUNCTIONS[func], args[0], result))
        return result

    def hear_memory(self, layer: nn.Module, given: Any, gave: Any) -> None:
        """Keep what a recurrent layer remembers: a hook."""
        self.layers.append(("memory", None, gave[0].data))


def look_inside(model: Any, stream: np.ndarray) -> Inside:
    """Activations and gradients of the loss of a `TorchModel` on a stream `0 line 0 line 0`, in float64, without
    dropout."""
    # A network of its own: one that has answered before may be made of tensors that cannot have gradients.
    fresh = type(model)(model.config, model.vocabulary_size, model.weights, model.prior)
    network, device = fresh.module, fresh.device
    corpus = corpus_of(stream, model.config, device)
    inputs, positions = corpus.at(np.arange(corpus.examples))
    hearing = _Hearing()
    with ExitStack() as hooks, hearing:
        for layer in network.modules():
            if isinstance(layer, nn.RNNBase):
                hooks.enter_context(layer.register_forward_hook(hearing.hear_memory))
        logits = network(*inputs)
    kept = positions != NOWHERE
    logits, positions = logits[torch.as_tensor(kept, device=device)], positions[kept]
    if model.prior is not None:
        counted = torch.as_tensor(left_out(model.prior, stream).at(positions), device=device)
        logits = network.blend(logits, counted)
    targets = torch.as_tensor(stream[1:].astype(np.int64)[positions], device=device)
    loss = nn.functional.cross_entropy(logits, targets)
    matrices = {name: p for name, p in network.named_parameters() if p.ndim == 2}
    found = torch.autograd.grad(loss, [*[after for _, _, after in hearing.layers], *matrices.values()])
    layers = []
    for number, ((name, before, after), gradient) in enumerate(zip(hearing.layers, found, strict=False), 1):
        given = None if before is None else _rows(before, kept)
        rows = _rows(after, kept), _rows(gradient, kept)
        layers.append(Activations(f"layer {number}, {name}", given, *rows, name != "GELU"))
    gradients = zip(matrices, found[len(layers) :], strict=True)
    return Inside(layers, {name: gradient.cpu().numpy() for name, gradient in gradients})


def _rows(x: Tensor, kept: np.ndarray) -> np.ndarray:
    """The vectors of a layer, without those of positions that only fill up a batch."""
    array: np.ndarray = x.detach().cpu().numpy()
    rows = array.reshape(-1, array.shape[-1])
    return rows[kept] if len(rows) == len(kept) else rows
