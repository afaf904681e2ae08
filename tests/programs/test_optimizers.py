"""Optimizers on flat arrays: the numbers of torch.optim and of spellout.nn, over many steps."""

import numpy as np
import pytest
import torch

from spellout import Value
from spellout.errors import ShapeError, UsageError, ValueTypeError
from spellout.nn import optimizers as eager
from spellout.nn.rules import rate_of
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
        optimizer.move(weights, gradient, memory, step, rate_of(optimizer.lr, step))
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


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("lr", [-0.1, float("nan"), float("inf")])
def test_a_learning_rate_is_at_least_0_and_finite(lr, name):
    kind = getattr(optimizers, name)
    with pytest.raises(UsageError, match="a learning rate is at least 0 and finite, got"):
        kind(lr=lr)
    with pytest.raises(UsageError, match="a learning rate is at least 0 and finite, got"):
        rate_of(kind(lr=lambda step: lr).lr, 0)
    with pytest.raises(ValueTypeError, match="convert text"):
        kind(lr="0.1")


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("SGD", {"momentum": -0.1}, "momentum is at least 0"),
        ("SGD", {"weight_decay": float("inf")}, "weight_decay is at least 0 and finite"),
        ("Adam", {"eps": float("nan")}, "eps is at least 0"),
        ("Adam", {"betas": (0.9, 1.0)}, "betas are two numbers of at least 0 and below 1"),
        ("AdamW", {"betas": (0.9,)}, "betas are two numbers"),
        ("AdamW", {"weight_decay": -1.0}, "weight_decay is at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_both_engines(name, settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        getattr(optimizers, name)(lr=0.1, **settings)
    with pytest.raises(UsageError, match=sentence):
        getattr(eager, name)([Value(1.0)], lr=0.1, **settings)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex128, np.bool_, object])
@pytest.mark.parametrize("optimizer", [optimizers.SGD(lr=0.1, momentum=0.5), optimizers.Adam(), optimizers.AdamW()])
def test_arrays_that_cannot_learn_are_refused(optimizer, dtype):
    """An array of integers would stay as it is: a step of 0.1 is rounded to 0."""
    weights = np.ones(3).astype(dtype)
    with pytest.raises(UsageError, match="programs calculate in float64 or float32, got dtype="):
        optimizer.memory(weights)
    memory = optimizer.memory(np.ones(3))
    with pytest.raises(UsageError, match="programs calculate in float64 or float32, got dtype="):
        optimizer.move(weights, np.ones(3), memory, 0, 0.1)


@pytest.mark.parametrize("optimizer", [optimizers.SGD(lr=0.1), optimizers.Adam(), optimizers.AdamW()])
@pytest.mark.parametrize("gradient", [np.ones(2), np.ones((3, 1)), np.ones(3, np.float32)])
def test_a_gradient_is_like_the_weights(optimizer, gradient):
    weights = np.ones(3)
    with pytest.raises(ShapeError, match=r"the gradient is an array like the weights, float64 of shape \(3,\)"):
        optimizer.move(weights, gradient, optimizer.memory(weights), 0, 0.1)
    assert weights.tolist() == [1.0] * 3
