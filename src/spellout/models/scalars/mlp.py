"""mlp: embeddings of the last letters, a tanh layer, a softmax.

Bengio et al. 2003, "A Neural Probabilistic Language Model": every token has a vector that is learned, shared by all
places of the window; the vectors of the last k tokens side by side go through one hidden layer. Here is the
formula, in scalars, for one position: what is to be read, and what `mlp_arrays.py`, which trains it, is compared
with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.functions import dot, pick
from ...autograd.value import Value
from ...errors import UsageError
from ..parameters import Shapes, Weights
from ..ranges import Context, Embedding, Hidden, WeightDecay
from .scalar import Values, add_prior
from .windows import ScalarWindowModel

MOST_MEMBERS = 256


@dataclass(frozen=True, kw_only=True)
class MlpConfig:
    """The settings of an mlp."""

    hidden: Hidden = 128
    """Units of the hidden layer."""
    context: Context = 6
    """How many of the last tokens it sees."""
    embedding: Embedding = 24
    """Numbers of a token's vector."""
    batch: int = 1024
    """Positions a step learns from."""
    lr: float = 6e-3
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.05
    """How much AdamW shrinks the weights."""
    members: int = 1
    """So many networks learn side by side and answer together: slower, better."""

    def __post_init__(self) -> None:
        for name in ("hidden", "context", "embedding", "batch", "members"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: an mlp needs at least 1")
        if self.members > MOST_MEMBERS:
            raise UsageError(f"members={self.members}: at most {MOST_MEMBERS} networks learn side by side")


class MlpProgram(ScalarWindowModel):
    """The network as a program of scalars."""

    Config = MlpConfig

    @staticmethod
    def shapes(config: MlpConfig, vocabulary_size: int, prior: bool) -> Shapes:
        """See `WindowModel`."""
        shapes: Shapes = {}
        for member in range(config.members):
            shapes |= {
                f"{member}.embedding": (vocabulary_size, config.embedding),
                f"{member}.hidden.weight": (config.hidden, config.context * config.embedding),
                f"{member}.hidden.bias": (config.hidden,),
                f"{member}.out.weight": (vocabulary_size, config.hidden),
                f"{member}.out.bias": (vocabulary_size,),
            }
            if prior:
                shapes |= {f"{member}.prior.weight": (config.hidden,), f"{member}.prior.bias": ()}
        return shapes

    @staticmethod
    def start(config: MlpConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
        """Kaiming's gain for tanh, 5/3, in the hidden layer, and zeros in the last: the first loss is ln V.

        A prior counts once, whatever the hidden units say: the first loss is the prior's.
        """
        weights = {
            name: np.zeros(shape) for name, shape in MlpProgram.shapes(config, vocabulary_size, prior).items()
        }
        inputs = config.context * config.embedding
        for member in range(config.members):
            weights[f"{member}.embedding"] = random.standard_normal((vocabulary_size, config.embedding))
            hidden = random.standard_normal((config.hidden, inputs))
            weights[f"{member}.hidden.weight"] = hidden * (5 / 3) / np.sqrt(inputs)
            if prior:
                weights[f"{member}.prior.bias"] = np.ones(())
        return weights

    @staticmethod
    def formula(weights: Values, context: list[Any], prior: list[Value] | None) -> list[list[Value]]:
        """See `ScalarWindowModel`."""
        members = sorted({name.split(".")[0] for name in weights}, key=int)
        return [_member_logits(_part_of(weights, f"{member}."), context, prior) for member in members]


def _member_logits(weights: Values, context: list[Any], prior: list[Value] | None) -> list[Value]:
    """The network. How much a prior counts may depend on the context, as how well it knows the context does."""
    x = [number for token in context for number in pick(weights["embedding"], token)]
    hidden = [dot(w, x, b).tanh() for w, b in zip(weights["hidden.weight"], weights["hidden.bias"], strict=True)]
    logits = [dot(w, hidden, b) for w, b in zip(weights["out.weight"], weights["out.bias"], strict=True)]
    if prior is None:
        return logits
    return add_prior(logits, prior, dot(weights["prior.weight"], hidden, weights["prior.bias"]))


def _part_of(weights: Values, prefix: str) -> Values:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
