"""What becomes NaN or infinite in a watched step is an error that says in which step, and what was so first."""

import linecache
import math
import re
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spellout.doctor import PAGES, Report, examine
from spellout.doctor.scripts.session import Session


def program(rate=1e-2, kind=torch.optim.Adam):
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
    return x, y, model, kind(model.parameters(), lr=rate)


def watched(step, steps=12):
    with Session(steps=steps, overfit_seconds=0.0) as session:
        for place in range(steps):
            step(place)
    return session.report


def test_nan_in_a_later_batch_is_told_with_its_step_and_row():
    x, y, model, opt = program()
    x[150, 2] = math.nan

    def step(place):
        rows = slice(32 * (place % 8), 32 * (place % 8) + 32)
        opt.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        opt.step()

    report = watched(step)
    assert [one.id for one in report.errors] == ["nan-in-data"], str(report)
    assert "step 5: the loss is nan: 1 number of the batch is not finite (row 22)" in report.errors[0].evidence
    assert "test_watched_steps.py" in report.errors[0].where
    assert not report.warnings


def test_steps_that_explode_are_one_finding():
    x, _, _, _ = program()
    model = nn.Linear(6, 1)
    opt = torch.optim.SGD(model.parameters(), lr=50.0)

    def step(place):
        opt.zero_grad()
        F.mse_loss(model(x), 2 * x[:, :1]).backward()
        opt.step()

    report = watched(step, 20)
    assert [one.id for one in report.errors] == ["training-explodes"], str(report)
    assert not report.warnings
    assert "→ inf; update:weights" in report.errors[0].evidence
    assert "lr 50" in report.errors[0].evidence


def test_a_gradient_that_is_not_finite_though_its_loss_is():
    x, y, model, opt = program()

    def step(place):
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        (loss + (0 * model[2].weight[0, 0]).sqrt() if place == 6 else loss).backward()
        opt.step()

    report = watched(step)
    assert [one.id for one in report.errors] == ["nan-in-backward"], str(report)
    assert "step 7: the loss is finite, gradients of 1 parameter" in report.errors[0].evidence


def test_a_step_that_spoils_the_weights():
    x, y, model, opt = program(kind=torch.optim.SGD)

    def step(place):
        opt.param_groups[0]["lr"] = math.inf if place == 3 else 1e-2
        opt.zero_grad()
        F.cross_entropy(model(x), y).backward()
        opt.step()

    report = watched(step)
    assert [one.id for one in report.errors] == ["step-makes-nan"], str(report)
    assert report.errors[0].evidence.startswith("step 4: the gradients are finite, weights of 4 parameters")


def test_a_call_that_makes_nan_is_named_while_calls_are_written_down():
    x, y, model, opt = program()

    def step(place):
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        (loss + (loss.detach() - loss.detach() - place).log() if place else loss).backward()
        opt.step()

    report = watched(step)
    assert [one.id for one in report.errors] == ["nan-in-forward"], str(report)
    assert "step 2: the loss is nan: first in the result of `log`" in report.errors[0].evidence


@pytest.mark.parametrize("what", ["gradients", "loss"])
def test_a_step_that_is_left_out_is_no_error(what):
    x, y, model, opt = program()

    def step(place):
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y) * (math.inf if place == 5 and what == "loss" else 1.0)
        loss.backward()
        if place == 5 and what == "gradients":
            model[0].weight.grad[0, 0] = math.inf
        if place != 5:
            opt.step()

    report = watched(step)
    assert not report.errors, str(report)
    assert [one.id for one in report.warnings] == (["nan-in-forward"] if what == "loss" else []), str(report)


def test_the_same_where_the_step_is_handed_over():
    x, y, model, opt = program()
    calls = []

    def step():
        calls.append(1)
        opt.zero_grad()
        F.cross_entropy(model(x * (math.nan if len(calls) == 2 else 1.0)), y).backward()
        opt.step()

    report = examine(model, F.cross_entropy, (x, y), optimizer=opt, step=step, overfit_seconds=0.0)
    assert [one.id for one in report.errors] == ["nan-in-data"], str(report)
    assert report.errors[0].evidence.startswith("step 2: the loss is nan")


def test_complex_weights_are_watched_without_a_warning():
    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, 8, dtype=torch.cfloat) / 3)
            self.head = nn.Linear(8, 1)

        def forward(self, x):
            return self.head((x.to(torch.cfloat) @ self.weight).abs())

    torch.manual_seed(0)
    x, model = torch.randn(128, 6), Spectral()
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(place):
        opt.zero_grad()
        F.mse_loss(model(x), x[:, :1] ** 2).backward()
        opt.step()
        model.state_dict()

    report = watched(step)  # warnings are errors here
    assert report.healthy, str(report)
    assert not [line for line in report.not_examined if "failed" in line]


def in_a_thread(x, y, model, opt):
    def train():
        for _ in range(5):
            F.cross_entropy(model(x), y).backward()
            opt.step()

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()


def functional(x, y, model, opt):
    gradient = torch.func.grad(lambda p: F.cross_entropy(torch.func.functional_call(model, p, (x,)), y))
    for _ in range(5):
        gradient({name: one.detach() for name, one in model.named_parameters()})


def written_by_hand(x, y, model, opt):
    for _ in range(5):
        for one in model.parameters():
            one.grad = torch.ones_like(one)
        opt.step()


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (in_a_thread, "in other threads, which are not heard"),
        (functional, "modules ran 5 times, no `backward` and no optimizer's step were heard"),
        (written_by_hand, "Adam stepped 5 times, on gradients that no `backward` brought"),
        (lambda *_: None, "nothing of torch ran"),
    ],
)
def test_training_that_is_not_heard_is_told_as_it_was_seen(train, said):
    given = program()
    with Session(overfit_seconds=0.0) as session:
        train(*given)
    report = session.report
    assert said in report.not_examined[0]
    assert report.summary == "nothing was examined"
    assert not report.healthy
    assert not report.findings


def blind_backward(x, y, model):
    torch.set_grad_enabled(False)
    F.cross_entropy(model(x), y).backward()


def test_gradients_that_stay_switched_off_are_named_at_their_line():
    x, y, model, _ = program()
    session = Session(overfit_seconds=0.0)
    try:
        with pytest.raises(RuntimeError, match="does not require grad"), session:
            blind_backward(x, y, model)
    finally:
        torch.set_grad_enabled(True)
    finding = session.report.errors[0]
    assert finding.evidence.startswith("RuntimeError in the backward")
    assert "gradients were switched off and never on again" in finding.evidence
    assert "set_grad_enabled(False)" in linecache.getline(__file__, int(re.search(r":(\d+)", finding.where)[1]))


def test_one_mistake_is_one_error():
    cause, echo = (
        PAGES["zeroed-before-step"].found("5", "net.py:3"),
        PAGES["graph-reaches-back"].found("1", "net.py:4"),
    )
    report = Report.of([echo, cause], [], {})
    assert [one.id for one in report.errors] == [cause.id]
    assert [one.id for one in report.symptoms] == [echo.id]
    assert [one.id for one in Report.of([echo], [], {}).errors] == [echo.id]
