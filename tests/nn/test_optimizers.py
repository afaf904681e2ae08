"""Optimizers against `torch.optim` and schedules against `torch.optim.lr_scheduler`."""

import json

import pytest
import torch

from spellout import MLP, Value
from spellout.errors import ShapeError, UsageError, ValueTypeError
from spellout.nn.optimizers import SGD, Adam, AdamW
from spellout.nn.schedules import Constant, Cosine, Linear, StepDecay

START = [1.5, -0.7, 0.3]
CASES = [
    (SGD, {"lr": 0.02}),
    (SGD, {"lr": 0.02, "momentum": 0.9}),
    (SGD, {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.1}),
    (Adam, {"lr": 0.05}),
    (Adam, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    (AdamW, {"lr": 0.05}),
    (AdamW, {"lr": 0.05, "weight_decay": 0.3}),
]
names = [f"{kind.__name__}-{index}" for index, (kind, _) in enumerate(CASES)]


def loss(a, b, c):
    return (a * b - 1) ** 2 + (b + c * c) ** 2 + (a - c).tanh()


@pytest.mark.parametrize(("kind", "options"), CASES, ids=names)
def test_fifty_steps_equal_pytorch(kind, options):
    values = [Value(x) for x in START]
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in START]
    ours, theirs = kind(values, **options), getattr(torch.optim, kind.__name__)(tensors, **options)
    for _ in range(50):
        ours.zero_grad()
        loss(*values).backward()
        ours.step()
        theirs.zero_grad()
        loss(*tensors).backward()
        theirs.step()
        for value, tensor in zip(values, tensors, strict=True):
            assert abs(value.data - tensor.item()) <= 1e-12 * max(1.0, abs(tensor.item()))
    assert values[0].data != START[0]


@pytest.mark.parametrize(("kind", "options"), CASES, ids=names)
def test_an_interrupted_run_goes_on_with_the_same_numbers(kind, options):
    def steps(values, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            loss(*values).backward()
            optimizer.step()

    whole = [Value(x) for x in START]
    steps(whole, kind(whole, **options), 20)
    first = [Value(x) for x in START]
    optimizer = kind(first, **options)
    steps(first, optimizer, 8)
    saved = json.loads(json.dumps(optimizer.state_dict()))
    second = [Value(v.data) for v in first]
    resumed = kind(second, **options)
    resumed.load_state_dict(saved)
    steps(second, resumed, 12)
    assert [v.data for v in second] == [v.data for v in whole]


@pytest.mark.parametrize(
    ("schedule", "reference"),
    [
        (Constant(0.3), lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
        (StepDecay(0.3, 0.5, 4), lambda o: torch.optim.lr_scheduler.StepLR(o, 4, 0.5)),
        (Linear(0.3, 10, 0.03), lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.1, 10)),
        (Cosine(0.3, 10, 0.03), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10, 0.03)),
    ],
    ids=["constant", "step", "linear", "cosine"],
)
def test_schedules_equal_pytorch(schedule, reference):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = reference(optimizer)
    for step in range(11):
        assert schedule(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        theirs.step()
    assert schedule(1000) == pytest.approx(schedule(10) if not isinstance(schedule, StepDecay) else 0.0, abs=1e-12)


def test_a_schedule_is_a_learning_rate():
    x = Value(1.0)
    optimizer = SGD([x], StepDecay(1.0, 0.1, 1))
    for expected in (1.0, 0.1, 0.01):
        assert optimizer.lr == pytest.approx(expected)
        before, x.grad = x.data, 1.0
        optimizer.step()
        assert before - x.data == pytest.approx(expected)


def test_what_cannot_work_is_said():
    with pytest.raises(UsageError, match="at least one parameter"):
        SGD([], 0.1)
    with pytest.raises(UsageError, match="learning rate"):
        SGD([Value(1.0)], -0.1)
    with pytest.raises(UsageError, match="learning rate"):
        Adam([Value(1.0)], float("nan"))
    with pytest.raises(UsageError, match="learning rate is at least 0 and finite, got inf"):
        SGD([Value(1.0)], float("inf"))
    with pytest.raises(ValueTypeError, match="convert text"):
        Adam([Value(1.0)], "0.1")
    with pytest.raises(ShapeError, match="do not fit Adam of 2 parameters"):
        Adam([Value(1.0), Value(2.0)]).load_state_dict(Adam([Value(1.0)]).state_dict())
    with pytest.raises(ShapeError, match="'velocity'"):
        Adam([Value(1.0)]).load_state_dict(SGD([Value(1.0)], 0.1).state_dict())


@pytest.mark.parametrize("rate", [-1.0, float("inf"), float("nan")])
def test_a_schedule_gives_learning_rates_and_nothing_moves_otherwise(rate):
    x = Value(1.0)
    x.grad = 1.0
    with pytest.raises(UsageError, match="a learning rate is at least 0 and finite"):
        SGD([x], lambda step: rate).step()
    assert x.data == 1.0


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_parameters_are_values_each_once(kind):
    a, b = Value(1.0, label="a"), Value(2.0)
    with pytest.raises(
        UsageError, match=r"the same Value 'a' twice, at the places 0 and 2; to tie weights use one"
    ):
        kind([a, b, a], 0.1)
    with pytest.raises(ValueTypeError, match=r"parameters are Values, got 2.0 \(float\) at place 1"):
        kind([a, 2.0], 0.1)
    with pytest.raises(ValueTypeError, match=r"the parameter at place 1 was computed \('\*'\)"):
        kind([a, a * b], 0.1)
    with pytest.raises(ValueTypeError, match=r"got one Value; give a list of Values"):
        kind(a, 0.1)
    with pytest.raises(ValueTypeError, match=r"got one MLP; give its \.parameters\(\)"):
        kind(MLP(2, [1]), 0.1)


def test_a_tied_weight_has_one_gradient_the_sum_over_its_uses():
    w = Value(2.0)
    t = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    ours, theirs = SGD([w], 0.1, momentum=0.9), torch.optim.SGD([t], 0.1, momentum=0.9)
    for _ in range(5):
        ours.zero_grad()
        theirs.zero_grad()
        ((w * 3 - 1) ** 2 + (w * w)).backward()
        ((t * 3 - 1) ** 2 + (t * t)).backward()
        ours.step()
        theirs.step()
    assert w.data == pytest.approx(t.item(), rel=1e-13)
