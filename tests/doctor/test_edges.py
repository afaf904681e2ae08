"""Programs at the edge of what can be examined: nothing is raised, nothing is made up."""

import contextlib
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spellout.doctor import Page, examine, watch
from spellout.doctor.checks import catalog
from spellout.doctor.checks.wiring import dependence


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


def test_a_bug_in_a_check_is_raised(monkeypatch):
    def broken(patient):
        yield from {}["a finding"]

    monkeypatch.setattr(dependence, "check", broken)
    with pytest.raises(KeyError, match="a finding"):
        examine(nn.Linear(4, 3), F.cross_entropy, classes())


class Broken(torch.utils.data.Dataset):
    """Held-out data that cannot be read."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise RuntimeError("a file is gone")


def test_what_the_users_code_raises_in_a_check_is_not_examined():
    held_out = torch.utils.data.DataLoader(Broken())
    report = examine(nn.Linear(4, 3), F.cross_entropy, classes(), held_out=held_out)
    assert report.healthy
    assert report.not_examined[0] == "data: it failed on this program (RuntimeError: a file is gone)"


def test_what_the_users_forward_loss_and_step_raise_is_a_finding():
    def refuse(*_):
        raise ValueError("not today")

    model, batch = nn.Linear(4, 3), classes()
    for case in ({"loss": refuse}, {"loss": F.cross_entropy, "step": refuse}):
        (finding,) = examine(model, batch=batch, **case).findings
        assert (finding.id, finding.severity) == ("does-not-run", "error")
        assert "ValueError" in finding.evidence
        assert "not today" in finding.evidence


class Sums(nn.Module):
    """Of whatever it is given; with all arguments by name, and a call that fails and is caught."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 3)

    def forward(self, *given):
        x = self.out(sum(one.real for one in given if one.numel()))
        with contextlib.suppress(RuntimeError):
            x.view(7, -1, 13)
        return torch.log_softmax(input=torch.reshape(input=x, shape=(-1, 3)), dim=1)


UNUSUAL = {
    "a number among the inputs": lambda: (torch.tensor(2.0), *classes()),
    "an empty tensor among the inputs": lambda: (*classes()[:1], torch.zeros(0), classes()[1]),
    "complex numbers": lambda: (classes()[0].to(torch.complex64), classes()[1]),
    "one sample without an axis": lambda: (torch.randn(4), torch.tensor(1)),
}


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("again", [False, True])
def test_unusual_tensors_are_examined_too(name, again):
    torch.manual_seed(0)
    *inputs, target = UNUSUAL[name]()
    batch = (*inputs, target)
    report = examine(Sums(), lambda z, y: F.nll_loss(z, y.reshape(-1)), batch, held_out=batch if again else None)
    assert not report.errors, str(report)
    assert not [line for line in report.not_examined if "failed on this program" in line]


def test_a_new_check_is_one_line_in_the_tuple(monkeypatch):
    page = Page(id="out-of-luck", number=25, severity="note", title="no luck", why="", evidence="", cure="")
    family = SimpleNamespace(__name__="luck", PAGES=(page,), check=lambda patient: [page.found("none was seen")])
    monkeypatch.setattr(catalog, "CHECKS", (*catalog.CHECKS, (catalog.Evidence.RUN, lambda patient: True, family)))
    model, (x, y) = nn.Linear(4, 3), classes()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as seen:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    for report in (examine(model, F.cross_entropy, (x, y)), seen.report):
        assert [finding.evidence for finding in report.findings] == ["none was seen"]
