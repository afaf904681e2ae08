"""Optimizers on flat arrays: the numbers of torch.optim and of spellout.nn, over many steps."""

import numpy as np
import pytest
import torch

from spellout import Value
from spellout.errors import UsageError
from spellout.nn import optimizers as eager
from spellout.nn.schedules import Cosine
from spellout.programs import optimizers

STEPS, SIZE = 200, 23
KINDS = {
    "sgd": ("SGD", {}),
    "decayed sgd": ("SGD", {"weight_decay": 0.1}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "momentum and decay": ("SGD", {"momentum": 0.5, "weight_decay": 0.1}),
    "adam": ("Adam", {}),
    "adam with all settings": ("Adam", {"betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adamw": ("AdamW", {}),
    "adamw with all settings": ("AdamW", {"betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.3}),
}


def gradients():
    """A gradient per step, of many sizes, some of them 0."""
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-6, 3, SIZE)
    drawn = rng.normal(size=(STEPS, SIZE)) * scale
    drawn[:, 0] = 0.0
    drawn[50:, 1] = 0.0
    return drawn


def run(name, settings, lr, dtype=np.float64):
    optimizer = getattr(optimizers, name)(lr=lr, **settings)
    weights = np.linspace(-1.0, 1.0, SIZE).astype(dtype)
    memory = optimizer.memory(weights)
    for step, gradient in enumerate(gradients().astype(dtype)):
        optimizer.move(weights, gradient, memory, step, optimizers.rate_of(optimizer, step))
    return weights, memory


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_as_torch(kind):
    name, settings = KINDS[kind]
    parameter = torch.linspace(-1.0, 1.0, SIZE, dtype=torch.float64)
    parameter = torch.nn.Parameter(torch.tensor(np.linspace(-1.0, 1.0, SIZE)))
    reference = getattr(torch.optim, name)([parameter], lr=0.01, **settings)
    for gradient in gradients():
        parameter.grad = torch.tensor(gradient)
        reference.step()
    np.testing.assert_allclose(run(name, settings, 0.01)[0], parameter.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_and_memory_as_on_values(kind):
    name, settings = KINDS[kind]
    values = [Value(x) for x in np.linspace(-1.0, 1.0, SIZE)]
    schedule = Cosine(0.05, STEPS)
    reference = getattr(eager, name)(values, lr=schedule, **settings)
    for gradient in gradients():
        for value, number in zip(values, gradient.tolist(), strict=True):
            value.grad = number
        reference.step()
    weights, memory = run(name, settings, schedule)
    np.testing.assert_allclose(weights, [value.data for value in values], rtol=1e-12, atol=1e-13)
    for what, numbers in memory.items():
        np.testing.assert_allclose(numbers, reference.memory[what], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32_and_near(kind):
    name, settings = KINDS[kind]
    weights, memory = run(name, settings, 0.01, np.float32)
    assert weights.dtype == np.float32
    assert all(array.dtype == np.float32 for array in memory.values())
    exact = run(name, settings, 0.01)[0]
    np.testing.assert_allclose(weights, exact, rtol=1e-3, atol=1e-4 * np.abs(exact).max())


def test_sgd_without_momentum_remembers_nothing():
    assert optimizers.SGD(lr=0.1).memory(np.zeros(3)) == {}
    assert optimizers.SGD(lr=0.1, momentum=0.5).memory(np.zeros(3)).keys() == {"velocity"}


@pytest.mark.parametrize("lr", [-0.1, float("nan"), lambda step: -1.0])
def test_a_learning_rate_is_at_least_0(lr):
    with pytest.raises(UsageError, match="a learning rate is at least 0, got"):
        optimizers.rate_of(optimizers.SGD(lr=lr), 0)
