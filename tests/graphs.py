"""Shared hypothesis strategies: graphs of operations with shared nodes, for us and for PyTorch."""

import torch
from hypothesis import strategies as st

from spellout.autograd.functions import dot, log_softmax, logsumexp, mean, softmax, sum
from spellout.nn.losses import cross_entropy
from spellout.nn.normalization import RMSNorm

# (ours, PyTorch's): from numbers of moderate size to such numbers, so that a deep graph stays finite
rms_norm = RMSNorm(2, eps=0.1)


def stack(*xs):
    return torch.stack([torch.as_tensor(x, dtype=torch.float64) for x in xs])


UNARY = [
    (lambda x: x.tanh(), torch.tanh),
    (lambda x: x.sigmoid(), torch.sigmoid),
    (lambda x: x.sin(), torch.sin),
    (lambda x: x.cos(), torch.cos),
    (lambda x: x.erf(), torch.erf),
    (lambda x: -x, torch.neg),
    (lambda x: x.tanh().exp(), lambda x: x.tanh().exp()),
    (lambda x: (x * x + 1).log(), lambda x: (x * x + 1).log()),
    (lambda x: (x * x + 1).sqrt(), lambda x: (x * x + 1).sqrt()),
    (lambda x: (x * x).log1p(), lambda x: (x * x).log1p()),
    (lambda x: x.tanh().expm1(), lambda x: x.tanh().expm1()),
    (lambda x: x.tanh().tan(), lambda x: x.tanh().tan()),
    (lambda x: 2 ** x.tanh(), lambda x: 2 ** x.tanh()),
    (lambda x: x.silu(), torch.nn.functional.silu),
    (lambda x: x.gelu(), torch.nn.functional.gelu),
    (lambda x: x.softplus(), lambda x: torch.nn.functional.softplus(x, threshold=700)),
    (lambda x: x.tanh() ** 3, lambda x: x.tanh() ** 3),
]
KINKED = [
    (lambda x: x.relu(), torch.relu),
    (lambda x: abs(x), torch.abs),
    (lambda x: x.leaky_relu(0.1), lambda x: torch.nn.functional.leaky_relu(x, 0.1)),
    (lambda x: x.elu(), torch.nn.functional.elu),
]
BINARY = [
    (lambda a, b: a + b, torch.add),
    (lambda a, b: a - b, torch.sub),
    (lambda a, b: a.tanh() * b, lambda a, b: a.tanh() * b),
    (lambda a, b: a / (b * b + 1), lambda a, b: a / (b * b + 1)),
    (lambda a, b: (a * a + 1) ** b.tanh(), lambda a, b: (a * a + 1) ** b.tanh()),
    (lambda a, b: mean([a, b, a]), lambda a, b: torch.stack([a, b, a]).mean()),
    (lambda a, b: logsumexp([a, b, 1.0]), lambda a, b: torch.stack([a, b, torch.ones_like(a)]).logsumexp(0)),
    (lambda a, b: sum([a, b, a, 0.5]), lambda a, b: 2 * a + b + 0.5),
    (lambda a, b: log_softmax([a, b, 2.0])[1], lambda a, b: stack(a, b, 2.0).log_softmax(0)[1]),
    (lambda a, b: cross_entropy([a, b, 0.5], 0), lambda a, b: -stack(a, b, 0.5).log_softmax(0)[0]),
    (lambda a, b: rms_norm([a, b])[1], lambda a, b: b / ((a * a + b * b) / 2 + 0.1).sqrt()),
    (lambda a, b: softmax([a, b, a])[0], lambda a, b: torch.stack([a, b, a]).softmax(0)[0]),
    (
        lambda a, b: dot([a.tanh(), b.tanh()], [b, 0.5], a),
        lambda a, b: a.tanh() * b + 0.5 * b.tanh() + a,
    ),
]
KINKED_BINARY = [
    (lambda a, b: a.prelu(b.tanh()), lambda a, b: torch.where(a > 0, a, a * b.tanh())),
    (
        lambda a, b: a.elu(b.tanh()),
        lambda a, b: torch.where(a > 0, a, b.tanh() * torch.expm1(a.clamp(max=0))),
    ),
    (lambda a, b: a.maximum(b), torch.maximum),
    (lambda a, b: a.minimum(b), torch.minimum),
]
ANY_UNARY, ANY_BINARY = UNARY + KINKED, BINARY + KINKED_BINARY
number = st.floats(-3.0, 3.0).filter(lambda x: x == 0.0 or abs(x) > 1e-3)


@st.composite
def steps(draw, leaves, unary, binary):
    """Each step picks an operation, and its arguments among the nodes so far, which are `leaves` at first."""
    chosen = []
    for size in range(leaves, leaves + draw(st.integers(1, 14))):
        place = st.integers(max(0, size - 5), size - 1)
        if draw(st.booleans()):
            chosen.append((draw(st.integers(0, len(unary) - 1)), (draw(place),)))
        else:
            chosen.append((draw(st.integers(0, len(binary) - 1)), (draw(place), draw(place))))
    return chosen


@st.composite
def recipes(draw, unary, binary):
    """Numbers for the leaves, and steps."""
    leaves = draw(st.lists(number, min_size=1, max_size=4))
    return leaves, draw(steps(len(leaves), unary, binary))


def build(leaves, steps, side, unary, binary):
    """The last node of a recipe; side 0 is ours, 1 is PyTorch's."""
    nodes = list(leaves)
    for which, places in steps:
        rows = unary if len(places) == 1 else binary
        nodes.append(rows[which][side](*[nodes[place] for place in places]))
    return nodes[-1]
