"""Which optimizer moves which parameter.

Matrices decay; biases, gains and embeddings do not (Loshchilov & Hutter 2019, "Decoupled Weight Decay
Regularization"). With Muon, the hidden matrices move by orthogonal updates and the rest as in AdamW (Jordan 2024,
"Muon: An optimizer for hidden layers in neural networks").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .muon import Muon

if TYPE_CHECKING:
    from .torch_families import NetworkConfig

BETAS = (0.9, 0.99)
SLOW = 0.2
"""With Muon: the learning rate of what AdamW moves, as a part of the rate of the matrices."""


def optimizers_of(parameters: Mapping[str, Tensor], config: NetworkConfig) -> list[torch.optim.Optimizer]:
    """Optimizers whose groups hold a `part`: the learning rate of a group is so much of the schedule's."""
    table = {name: p for name, p in parameters.items() if p.ndim == 2 and "embedding" not in name}
    hidden = {name: p for name, p in table.items() if config.optimizer == "muon" and "head" not in name}
    part = SLOW if hidden else 1.0
    matrices = [p for name, p in table.items() if name not in hidden]
    others = [p for name, p in parameters.items() if name not in table]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay, "part": part},
        {"params": others, "weight_decay": 0.0, "part": part},
    ]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=BETAS, fused=True)]
    if hidden:
        group = {"params": list(hidden.values()), "weight_decay": config.weight_decay, "part": 1.0}
        found.append(Muon([group]))
    return found
