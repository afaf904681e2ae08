"""The order of the examples, the learning rate, and the settings of a training."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spellout.errors import UsageError
from spellout.training.config import TrainingConfig
from spellout.training.schedule import Order, learning_rate


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 2**64 - 1), st.integers(0, 30))
def test_every_example_comes_once_an_epoch(examples, batch, seed, step):
    order = Order(examples, batch, seed)
    epochs = 3
    stream = np.concatenate([order.at(i) for i in range(-(-epochs * examples // batch))])
    for epoch in stream[: epochs * examples].reshape(epochs, examples):
        assert sorted(epoch) == list(range(examples))
    again = Order(examples, batch, seed).at(step)  # resumed at `step`: nothing but the step is needed
    for earlier in range(step):
        order.at(earlier)
    assert np.array_equal(again, order.at(step))
    assert again.shape == (batch,)


def test_epochs_and_seeds_are_shuffled_differently():
    order = Order(1000, 1000, 0)
    orders = [order.at(0), order.at(1), Order(1000, 1000, 1).at(0), np.arange(1000)]
    for i, one in enumerate(orders):
        for other in orders[:i]:
            assert (one == other).mean() < 0.02
    assert abs(np.corrcoef(orders[0], orders[3])[0, 1]) < 0.1


def test_the_order_is_the_same_on_every_machine():
    assert Order(10, 10, 0).at(0).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]


def rates_of_torch(decay, steps):
    """The same schedule from PyTorch's own classes, at the middle of every step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=0.5)
    end = {
        "linear": torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-12, steps),
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "none": torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0, steps),
    }[decay]
    for _ in range(steps + 1):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        end.step()


@pytest.mark.parametrize("decay", ["linear", "cosine", "none"])
def test_the_learning_rate_falls_as_in_torch(decay):
    for step, rate in enumerate(rates_of_torch(decay, 50)):
        assert learning_rate(0.5, 0.0, decay, step / 50) == pytest.approx(rate, abs=1e-9)
        assert learning_rate(0.5, 0.2, decay, 0.2 + 0.8 * step / 50) == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("decay", ["linear", "cosine", "none"])
def test_the_learning_rate_rises_in_a_straight_line_and_never_jumps(decay):
    assert [learning_rate(2.0, 0.5, decay, p) for p in (0.0, 0.125, 0.25, 0.5)] == [0.0, 0.5, 1.0, 2.0]
    rates = [learning_rate(1.0, 0.05, decay, p) for p in np.linspace(0, 1, 10_001)]
    assert np.abs(np.diff(rates)).max() < 0.0021
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[-1] == pytest.approx(1.0 if decay == "none" else 0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("settings", "fragment"),
    [
        ({"seconds": 0.0}, "--seconds 0: must be above 0"),
        ({"seconds": math.inf}, "--seconds inf: must be above 0"),
        ({"steps": 0}, "--steps 0: must be at least 1"),
        ({"lr": -0.1}, "--lr -0.1: must be above 0"),
        ({"lr": math.nan}, "--lr nan: must be above 0"),
        ({"batch": 0}, "--batch 0: must be at least 1"),
        ({"evaluate_every": 0}, "--evaluate-every 0: must be at least 1"),
        ({"warmup": 1.0}, "--warmup 1: must be at least 0 and below 1"),
        ({"patience": -1}, "--patience -1: must be at least 1, or 0 for never"),
        ({"train_seed": -1}, "--train-seed -1: must be from 0"),
    ],
)
def test_settings_that_cannot_work_name_the_flag(settings, fragment):
    with pytest.raises(UsageError) as error:
        TrainingConfig(**settings)
    assert fragment in str(error.value)


def test_without_a_budget_it_is_a_minute():
    assert TrainingConfig().most_seconds == 60
    assert TrainingConfig(steps=5).most_seconds is None
    assert TrainingConfig(steps=5, seconds=2).most_seconds == 2
