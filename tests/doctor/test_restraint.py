"""What the doctor says with less than an error, and what it leaves to `thorough`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spellout.doctor import examine
from spellout.doctor.patient import Patient

OUTPUTS = torch.arange(12) % 3


def stepped(model, x, step=None):
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def plain():
        optimizer.zero_grad()
        F.cross_entropy(model(x), OUTPUTS).backward()
        optimizer.step()

    case = {"model": model, "loss": F.cross_entropy, "batch": (x, OUTPUTS)}
    return {**case, "optimizer": optimizer, "step": step or plain}


@pytest.mark.parametrize("huge", [False, True])
def test_a_bias_before_batchnorm_is_a_note_and_no_other_bias(monkeypatch, huge):
    monkeypatch.setattr(Patient, "huge", huge)  # then float32 and the weights as they are must do
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.BatchNorm1d(16),
        nn.Linear(16, 3),
    )  # fmt: skip
    report = examine(net, F.cross_entropy, (torch.randn(12, 5), OUTPUTS))
    assert report.healthy
    assert [(one.id, one.severity) for one in report.findings] == [("bias-before-batchnorm", "note")]


def test_a_guess_without_gradients_may_train_and_a_measurement_may_not():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 3)), torch.randn(12, 5)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)

    def step(guess):
        with torch.no_grad():
            first = net(x)
        loss = F.mse_loss(net(x).softmax(1), first.softmax(1)) if guess else F.cross_entropy(net(x), OUTPUTS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    guessed, measured = (examine(**stepped(net, x, lambda one=one: step(one))) for one in (True, False))
    assert guessed.healthy, str(guessed)
    assert [one.id for one in measured.errors] == ["no-grad-forward-in-train-mode"]


def test_what_the_users_clipping_tames_is_no_high_rate():
    def net_and_step(clips):
        torch.manual_seed(0)
        net, x = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3)), 3 * torch.randn(12, 5)
        optimizer = torch.optim.SGD(net.parameters(), 100.0)

        def step():
            optimizer.zero_grad()
            F.cross_entropy(net(x), OUTPUTS).backward()
            if clips:
                nn.utils.clip_grad_norm_(net.parameters(), 1e-3)
            optimizer.step()

        return {**stepped(net, x, step), "optimizer": optimizer}

    said = [{one.id for one in examine(**net_and_step(clips)).findings} for clips in (True, False)]
    assert ["learning-rate-too-high" in one for one in said] == [False, True]


def test_an_untrained_batchnorm_in_eval_mode_is_not_deaf():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid(), nn.Flatten(0)
    )
    x = 1e5 * torch.rand(16, 6) + 1e5
    report = examine(net, F.binary_cross_entropy, (x, (torch.arange(16) % 2).float()))
    assert "output-ignores-input" not in {one.id for one in (*report.findings, *report.symptoms)}


def test_a_large_model_is_asked_less_and_says_so():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 1500), nn.ReLU(), nn.Linear(1500, 2100), nn.ReLU(), nn.Linear(2100, 3))
    case = stepped(net, torch.randn(12, 5))
    brief, thorough = examine(**case), examine(**case, thorough=True, overfit_seconds=0.1)
    assert any("thorough=True" in line for line in brief.not_examined)
    assert not any("thorough=True" in line for line in thorough.not_examined)
    assert "update:data ratio" in thorough.facts
    assert "update:data ratio" not in brief.facts
