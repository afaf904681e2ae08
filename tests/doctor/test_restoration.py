"""After an examination everything is bit for bit what it was: also when the user's program raises."""

import random
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks as step_hooks

from spellout.doctor import examine

LEGACY = np.random.mtrand._rand  # the global generator that older programs draw from
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=2),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
}


class Restless(nn.Module):
    """A model that changes whatever it can while it runs."""

    def __init__(self, width, kind):
        super().__init__()
        self.first = nn.LazyLinear(width) if kind == "lazy" else nn.Linear(5, width)
        self.norm, self.drop, self.last = nn.BatchNorm1d(width), nn.Dropout(0.2), nn.Linear(width, 3)
        if kind == "tied":
            self.first = nn.Linear(5, width)
            self.again = self.first
        self.count, self.seen, self.memory = 0, [], torch.zeros(width)
        self.table = {"last": None}
        self.late = None

    def forward(self, x):
        self.count += 1
        self.seen.append(len(x))
        h = torch.tanh(self.norm(self.first(x)))
        self.memory = 0.5 * self.memory + h.detach().mean(0)
        self.table["last"] = h.detach()
        if self.late is None:
            self.late = nn.Linear(3, 3)
        return self.late(self.last(self.drop(h)))


def bits(value):
    """Everything that can be compared, with the identity of what must stay the same object."""
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return ("lazy", type(value), id(value))
    if isinstance(value, torch.Tensor):
        data = value.detach().contiguous().numpy().tobytes()
        grad = bits(value.grad) if value.is_leaf else None
        return (id(value), type(value), value.dtype, tuple(value.shape), value.requires_grad, data, grad,
                value.data_ptr(), len(value._backward_hooks or ()))  # fmt: skip
    if isinstance(value, dict):
        return tuple(
            (repr(key) if not isinstance(key, torch.Tensor) else id(key), bits(item)) for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return tuple(bits(item) for item in value)
    if isinstance(value, nn.Module):
        return (type(value), id(value), bits(vars(value)))
    return value if isinstance(value, int | float | str | bool | type(None)) else id(value)


def everything(model, optimizer, scheduler, generator, variables):
    state = random.getstate(), LEGACY.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()
    schedule = {key: value for key, value in vars(scheduler).items() if not callable(value)} if scheduler else None
    return (bits(model), bits(optimizer.state), bits(optimizer.param_groups), schedule, state,
            generator.get_state().numpy().tobytes(), list(variables), torch.is_grad_enabled(),
            torch.get_default_dtype(),
            len(step_hooks))  # fmt: skip


@given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    kind=st.sampled_from(["plain", "lazy", "tied"]),
    width=st.integers(1, 6),
    failing=st.sampled_from([None, "step", "loss", "evaluate"]),
    warm=st.booleans(),
    train=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25)
def test_everything_is_put_back_bit_for_bit(name, kind, width, failing, warm, train, seed):
    torch.manual_seed(seed)
    model = Restless(
        width, "plain" if name in ("adagrad", "lbfgs") and kind == "lazy" else kind
    )  # they take no lazy ones
    x, y = torch.randn(6, 5), torch.arange(6) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = OPTIMIZERS[name](model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2) if name == "sgd" else None
    generator, variables, calls = torch.Generator().manual_seed(seed), [0], 0

    def loss(output, target):
        if failing == "loss" and len(variables) > 4:
            raise RuntimeError("no more")
        return F.cross_entropy(output, target)

    def closure():
        optimizer.zero_grad()
        value = loss(model(x + 0.01 * torch.randn(6, 5, generator=generator)), y)
        value.backward()
        return value

    def step():
        nonlocal calls
        calls += 1
        variables.append(random.random() + LEGACY.rand())
        if failing == "step" and calls > 1:
            raise ValueError("stop")
        optimizer.step(closure)
        if scheduler:
            scheduler.step()

    def evaluate():
        model.eval()
        model.requires_grad_(False)
        model.double()
        if failing == "evaluate":
            raise KeyError("no")
        model.register_forward_hook(lambda *_: None)

    if warm and kind != "lazy":
        step()
    model.train(train)
    before, count = everything(model, optimizer, scheduler, generator, variables), calls
    asked = {"thorough": bool(seed % 2), "overfit_seconds": 0.05}
    examine(model, loss, (x, y), optimizer=optimizer, step=step, evaluate=evaluate, **asked)
    assert everything(model, optimizer, scheduler, generator, variables) == before
    assert calls == count


def test_an_interrupt_inside_the_step_also_restores():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    def step():
        model(torch.ones(4, 3)).sum().backward()
        optimizer.step()
        raise KeyboardInterrupt

    before = model.weight.detach().clone()
    with pytest.raises(KeyboardInterrupt):
        examine(model, step=step, optimizer=optimizer)
    assert torch.equal(model.weight, before)
    assert model.weight.grad is None


def test_what_users_override_is_never_called():
    class Guarded(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))

        def forward(self, x):
            return self.net(x)

        def _no(self, *_args, **_options):
            raise AssertionError("the doctor called an overridable method")

        train = eval = zero_grad = parameters = named_parameters = state_dict = load_state_dict = apply = double = (
            _no
        )
        modules = named_modules = requires_grad_ = buffers = __deepcopy__ = _no

    model = Guarded()
    report = examine(model, F.cross_entropy, (torch.randn(6, 4), torch.arange(6) % 2))
    assert [(one.id, one.severity) for one in report.findings] == [("bias-before-batchnorm", "note")]
