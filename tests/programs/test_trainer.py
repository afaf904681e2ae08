"""Trainer: the same losses and weights as training on Values, and the trained net is given back."""

import random

import numpy as np
import pytest

from spellout import MLP, Trainer, Value, draw, explain, record
from spellout.errors import ShapeError, UsageError
from spellout.nn import optimizers as eager
from spellout.nn.losses import l2_penalty
from spellout.nn.schedules import Linear
from spellout.pictures.naming import number
from spellout.programs import optimizers


def two_moons(count, noise=0.1, seed=1):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, count)
    label = np.where(np.arange(count) % 2, 1.0, -1.0)
    outer = np.stack([np.cos(angle), np.sin(angle)], 1)
    inner = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    points = np.where(label[:, None] == 1, outer, inner)
    return points + rng.normal(0, noise, points.shape), label


def one_loss(model):
    """Hinge and penalty, for one example."""
    return lambda x, y: (1 - y * model(x)).relu() + l2_penalty(model.parameters())


def eager_losses(model, optimizer, points, labels, steps):
    losses = []
    for _ in range(steps):
        hinges = [(1 - y * model(x)).relu() for x, y in zip(points.tolist(), labels.tolist(), strict=True)]
        loss = sum(hinges) * (1.0 / len(labels)) + l2_penalty(model.parameters())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    return losses


@pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", {}), ("SGD", {"momentum": 0.9, "weight_decay": 0.01}), ("Adam", {}), ("AdamW", {"weight_decay": 0.1})],
)
def test_training_on_values_and_on_lanes_is_the_same(name, settings):
    points, labels = two_moons(20)
    one, other = [MLP(2, [6, 5, 1], activation="tanh", rng=random.Random(3)) for _ in range(2)]
    rate = Linear(0.05, 60, end=0.01)
    expected = eager_losses(one, getattr(eager, name)(one.parameters(), rate, **settings), points, labels, 60)
    program = record(one_loss(other), [0.0, 0.0], 0.0, parameters=other.parameters())
    trainer = Trainer(program, getattr(optimizers, name)(rate, **settings))
    losses = [trainer.step(points, labels) for _ in range(60)]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert losses[-1] < losses[0]
    assert trainer.steps == 60
    trainer.write_back()
    ours = [p.data for p in other.parameters()]
    np.testing.assert_allclose(ours, [p.data for p in one.parameters()], rtol=1e-11, atol=1e-13)


def test_micrograds_demo_is_learnt_in_both_engines():
    points, labels = two_moons(40)
    one, other = [MLP(2, [16, 16, 1], rng=random.Random(1337)) for _ in range(2)]
    optimizer = eager.SGD(one.parameters(), Linear(0.5, 80, end=0.05))
    expected = eager_losses(one, optimizer, points, labels, 80)
    trainer = Trainer(record(one_loss(other), [0.0, 0.0], 0.0), optimizers.SGD(Linear(0.5, 80, end=0.05)))
    losses = [trainer.step(points, labels) for _ in range(80)]
    np.testing.assert_allclose(losses, expected, rtol=1e-9)  # a rounding may flip a relu's last bit, and grows
    trainer.write_back()
    for model in (one, other):
        assert all((model(x).data > 0) == (y > 0) for x, y in zip(points.tolist(), labels, strict=True))
    scores = record(other, [0.0, 0.0])(points)
    assert ((scores > 0) == (labels > 0)).all()


def test_the_whole_demo_is_learnt_to_the_last_point():
    points, labels = two_moons(100)
    model = MLP(2, [16, 16, 1], rng=random.Random(1337))
    trainer = Trainer(record(one_loss(model), [0.0, 0.0], 0.0), optimizers.AdamW(Linear(0.02, 1000, end=0.001)))
    for _ in range(1000):
        trainer.step(points, labels)
    trainer.write_back()
    assert ((record(model, [0.0, 0.0])(points) > 0) == (labels > 0)).all()


def test_the_trained_net_is_drawn_and_explained():
    w, b = Value(0.0, label="w"), Value(0.0, label="b")
    trainer = Trainer(record(lambda x, y: (w * x + b - y) ** 2, 0.0, 0.0), optimizers.SGD(lr=0.1))
    x = np.linspace(-1, 1, 11)
    for _ in range(300):
        trainer.step(x, 3 * x - 2)
    trainer.write_back()
    assert w.data == pytest.approx(3.0, abs=1e-9)
    assert b.data == pytest.approx(-2.0, abs=1e-9)
    out = w * 2.0 + b
    assert f"data {number(w.data)}" in draw(out).dot()
    assert f"= {number(w.data)}" in explain(out, w).splitlines()[0]


def test_minibatches_of_any_size():
    w = Value(1.0)
    trainer = Trainer(record(lambda x: (w - x) ** 2, 0.0), optimizers.SGD(lr=0.25))
    assert trainer.step([3.0]) == 4.0
    assert trainer.weights.tolist() == [2.0]
    assert trainer.step([0.0, 4.0]) == 4.0
    assert trainer.weights.tolist() == [2.0]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_do_not_change_a_bit(threads):
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(60_000, 2)), rng.choice([-1.0, 1.0], 60_000)
    weights = []
    for count in (1, threads):
        model = MLP(2, [16, 16, 1], rng=random.Random(0))
        program = record(lambda x, y, m=model: (1 - y * m(x)).relu(), [0.0, 0.0], 0.0)
        trainer = Trainer(program, optimizers.AdamW(lr=0.01), threads=count)
        assert trainer._lanes._chunks(len(labels)) > 1
        for _ in range(3):
            trainer.step(points, labels)
        weights.append(trainer.weights.tobytes())
    assert weights[0] == weights[1]


def test_float32():
    points, labels = two_moons(50)
    losses = []
    for dtype in (np.float32, np.float64):
        model = MLP(2, [8, 1], rng=random.Random(0))
        trainer = Trainer(record(one_loss(model), [0.0, 0.0], 0.0), optimizers.AdamW(lr=0.01), dtype=dtype)
        assert trainer.weights.dtype == dtype
        losses.append([trainer.step(points, labels) for _ in range(30)])
        trainer.write_back()
        assert all(type(p.data) is float for p in model.parameters())
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_a_schedule_is_asked_for_every_step():
    asked = []
    w = Value(1.0)
    trainer = Trainer(record(lambda x: w * x, 1.0), optimizers.SGD(lr=lambda step: asked.append(step) or 0.0))
    for _ in range(3):
        trainer.step([1.0])
    assert asked == [0, 1, 2]
    assert trainer.weights.tolist() == [1.0]


def test_what_does_not_fit_is_refused():
    w = Value(1.0)
    with pytest.raises(ShapeError, match=r"a loss is one number; this program returns an array of \(1,\)"):
        Trainer(record(lambda x: [w * x], 1.0), optimizers.SGD(lr=0.1))
    with pytest.raises(UsageError, match=r"of spellout\.programs\.optimizers, got SGD of spellout\.nn\.optimizers"):
        Trainer(record(lambda x: w * x, 1.0), eager.SGD([w], lr=0.1))
    trainer = Trainer(record(lambda x: w * x, 1.0), optimizers.SGD(lr=lambda step: -1.0))
    with pytest.raises(UsageError, match="a learning rate is at least 0"):
        trainer.step([1.0])
    with pytest.raises(ShapeError, match=r"argument 1 is an array of shape \(N\), got \(1, 1\)"):
        trainer.step([[1.0]])
