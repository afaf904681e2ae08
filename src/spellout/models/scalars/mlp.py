"""mlp: embeddings of the last letters, a tanh layer, a softmax.

Bengio et al. 2003, "A Neural Probabilistic Language Model": every token has a vector that is learned, shared by all
positions of the window; the vectors of the last C tokens side by side go through one hidden layer. Here is the
formula, in scalars, for one position: what is to be read, and what `arrays/mlp.py`, which trains it, is compared
with. Its settings and first weights stand there.

    C tokens of context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from typing import Any

from ...autograd.functions import dot, pick
from ...autograd.value import Value
from ..arrays import mlp
from .network import Rows, ScalarWindowModel, Values, add_prior


class MlpProgram(ScalarWindowModel):
    """The network as a program of scalars."""

    Config = mlp.MlpConfig
    shapes, start = staticmethod(mlp.shapes), staticmethod(mlp.start)

    @staticmethod
    def formula(config: mlp.MlpConfig, weights: Values, tokens: list[Any], prior: Rows | None) -> Rows:
        """Logits (1, V) of what follows C tokens, by one member."""
        x = [number for token in tokens for number in pick(weights["embedding"], token)]  # (C · E,)
        hidden = [value.tanh() for value in linear(weights["hidden.weight"], x, weights["hidden.bias"])]  # (H,)
        logits = linear(weights["out.weight"], hidden, weights["out.bias"])  # (V,)
        if prior is None:
            return [logits]
        # How much the prior counts may depend on the context, as how well it knows the context does.
        return add_prior([logits], prior, dot(weights["prior.weight"], hidden, weights["prior.bias"]))


def linear(weight: list[list[Value]], x: list[Value], bias: list[Value]) -> list[Value]:
    """W·x + b: (O, K), (K,) and (O,) to (O,)."""
    return [dot(row, x, b) for row, b in zip(weight, bias, strict=True)]
