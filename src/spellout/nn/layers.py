"""Neuron, Layer, MLP: micrograd's networks, with a choice of activation and initialisation.

A neuron is w·x + b and then an activation function: an operation, a function of yours, or PReLU, which learns
(He et al. 2015, "Delving Deep into Rectifiers").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd import ops
from ..autograd.functions import dot
from ..autograd.value import Value, lift
from ..errors import ShapeError, UsageError
from .initialization import Randomness, weights
from .module import Module

Activation = str | Callable[[Value], Value]


class Neuron(Module):
    """Computes activation(w·x + b).

    Args:
        nin: the number of inputs.
        nonlin: False leaves the activation function out; an activation here is taken as one.
        activation: an operation of one number ("relu", "tanh", ...), "linear", or any function of a Value.
        init: a name in `INITIALIZERS`; the bias starts at 0.
        rng: a `random.Random`; Python's own generator if None.
        fan_out: how many neurons share these inputs (Xavier's initialisation asks).
    """

    def __init__(
        self,
        nin: int,
        nonlin: bool | Activation = True,
        *,
        activation: Activation = "relu",
        init: str = "uniform",
        rng: Randomness | None = None,
        fan_out: int = 1,
    ) -> None:
        if nin < 1:
            raise ShapeError(f"a neuron needs at least one input, got nin={nin}")
        if isinstance(nonlin, str) or callable(nonlin):  # where micrograd has True or False
            activation, nonlin = nonlin, True
        self.activation = None if activation == "linear" or not nonlin else _activation(activation)
        name = getattr(self.activation, "name", "linear")
        self.w = [Value(weight) for weight in weights(init, nin, fan_out, name, rng)]
        self.b = Value(0.0)  # after w: the parameters have micrograd's order
        self.nonlin = self.activation is not None

    def __call__(self, x: Sequence[Any]) -> Value:
        """Return one Value for `nin` Values or numbers; ShapeError for any other length."""
        if len(x) != len(self.w):
            raise ShapeError(f"{self!r} takes {len(self.w)} inputs, got {len(x)}")
        total = dot(self.w, x, self.b)  # one node of the graph and not 2n: most of the eager engine's speed
        return total if self.activation is None else self.activation(total)

    def __repr__(self) -> str:
        kind = getattr(self.activation, "symbol", "Custom") if self.activation else "Linear"
        return f"{kind}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons that see the same `nin` inputs; `nonlin` and the keywords go to each Neuron."""

    def __init__(self, nin: int, nout: int, nonlin: bool | Activation = True, **kwargs: Any) -> None:
        if nout < 1:
            raise ShapeError(f"a layer needs at least one neuron, got nout={nout}")
        self.neurons = [Neuron(nin, nonlin, fan_out=nout, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """Return the list of `nout` Values, or, as micrograd does, the Value itself if there is only one."""
        out = self.outputs(x)
        return out[0] if len(out) == 1 else out

    def outputs(self, x: Sequence[Any]) -> list[Value]:
        """Return the list of `nout` Values, however few."""
        inputs = [lift(number) for number in x]  # once for all neurons
        return [neuron(inputs) for neuron in self.neurons]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join([str(neuron) for neuron in self.neurons])}]"


class MLP(Module):
    """Layers one after the other: `MLP(2, [16, 16, 1])` has two hidden layers of 16 and one output.

    Args:
        nin: the number of inputs.
        nouts: the size of each layer.
        activation: of the hidden layers.
        last: of the last layer; "linear" for none. The lecture's network is `activation="tanh", last="tanh"`.
        init, rng: as for Neuron.
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: Activation = "relu",
        *,
        last: Activation = "linear",
        init: str = "uniform",
        rng: Randomness | None = None,
    ) -> None:
        if not nouts:
            raise ShapeError("an MLP needs at least one layer, got nouts=[]")
        sizes = [nin, *nouts]  # each layer's inputs are the outputs of the one before
        kinds = [activation] * (len(nouts) - 1) + [last]
        self.layers = [
            Layer(inputs, outputs, activation=kind, init=init, rng=rng)
            for inputs, outputs, kind in zip(sizes, nouts, kinds, strict=False)
        ]

    def __call__(self, x: Any) -> Any:
        """Return the last layer's list of Values, or the Value itself if there is only one."""
        for layer in self.layers[:-1]:
            x = layer.outputs(x)  # a list also where a layer has one neuron
        return self.layers[-1](x)

    def __repr__(self) -> str:
        return f"MLP of [{', '.join([str(layer) for layer in self.layers])}]"


class PReLU(Module):
    """Computes x where x > 0, else slope · x; give one to several neurons and they share its slope.

    `MLP(2, [8, 1], activation=PReLU())`
    """

    def __init__(self, slope: float = 0.25) -> None:
        self.slope = Value(slope)

    def __call__(self, x: Value) -> Value:
        """Return one Value for one Value."""
        return x.prelu(self.slope)

    def __repr__(self) -> str:
        return "PReLU"


def _activation(activation: Activation) -> Callable[[Value], Value]:
    """Return the function that a name stands for: an operation that works on one number."""
    if callable(activation):
        return activation
    # looked up when the network is made: an operation of yours is an activation, too
    op = ops.TABLE.get(activation) if isinstance(activation, str) else None
    if op is None or op.arity is None or op.arity - len(op.defaults) != 1:
        known = [op.name for op in ops.TABLE.values() if op.arity and op.arity - len(op.defaults) == 1]
        raise UsageError(f"no activation is called {activation!r}; there are linear, {', '.join(known)}")
    return op
