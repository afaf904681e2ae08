"""Programs at the edge of what can be examined: nothing is raised, nothing is made up."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spellout.doctor import examine


class Doubles(nn.Module):
    def forward(self, x):
        return x * 2


class OwnLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 3)

    def forward(self, x, labels=None):
        logits = self.out(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.out = nn.LSTM(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.net(x)[0])


def every(z, y):
    return F.cross_entropy(z.flatten(0, 1), y.flatten())


def classes(samples=8):
    return torch.randn(samples, 4), torch.arange(samples) % 3


def half(z, y):
    return F.cross_entropy(z.float(), y)


CASES = {
    "everything frozen": lambda: (nn.Linear(4, 3).requires_grad_(False), F.cross_entropy, classes()),
    "no parameters": lambda: (Doubles(), F.cross_entropy, classes()),
    "a loss of its own": lambda: (OwnLoss(), None, {"x": classes()[0], "labels": classes()[1]}),
    "one sample": lambda: (nn.Linear(4, 3), F.cross_entropy, classes(1)),
    "bfloat16": lambda: (nn.Linear(4, 3).bfloat16(), half, (classes()[0].bfloat16(), classes()[1])),
    "sparse gradients": lambda: (
        nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(12, 3)),
        F.cross_entropy,
        (torch.randint(0, 9, (6, 3)), torch.arange(6) % 3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_unusual_programs_are_examined(name):
    torch.manual_seed(0)
    model, loss, batch = CASES[name]()
    report = examine(model, loss, batch)
    assert report.healthy, str(report)
    assert not [line for line in report.not_examined if "failed on this program" in line]


def test_sparse_gradients_in_the_users_step():
    torch.manual_seed(0)
    model, loss, (x, y) = CASES["sparse gradients"]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(zero=True):
        if zero:
            optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    assert examine(model, loss, (x, y), optimizer=optimizer, step=step).healthy
    report = examine(model, loss, (x, y), optimizer=optimizer, step=lambda: step(False))
    assert [finding.id for finding in report.errors] == ["stale-gradients"]


def test_time_first_data_is_only_a_warning_and_can_be_said():
    torch.manual_seed(0)
    batch = torch.randn(9, 5, 4), torch.randint(0, 3, (9, 5))
    report = examine(TimeFirst(), every, batch)
    assert [(finding.id, finding.severity) for finding in report.findings] == [("samples-mix", "warning")]
    assert examine(TimeFirst(), every, batch, batch_axis=1).healthy


def test_a_step_without_a_batch():
    model, (x, y) = nn.Linear(4, 3), classes()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    report = examine(model, step=step, optimizer=optimizer)
    assert [finding.id for finding in report.errors] == ["stale-gradients"]
    assert "give a batch" in report.not_examined[0]


def test_a_trained_model_is_healthy():
    torch.manual_seed(0)
    model, (x, y) = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3)), classes()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert examine(model, F.cross_entropy, (x, y), optimizer=optimizer).healthy
