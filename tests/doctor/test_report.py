"""What the doctor says and how it is asked: lines, JSON, HTML, the command, ignoring, watching, refusing."""

import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spellout.doctor import PAGES, Case, assert_healthy, examine, watch
from spellout.errors import ExaminationError, UnhealthyError


def net(*last):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), *last)


def batch():
    torch.manual_seed(0)
    return torch.randn(12, 4), torch.arange(12) % 3


class Probabilities(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        return F.softmax(self.net(x), dim=1)  # the guilty line


def guilty_line():
    lines = Path(__file__).read_text("utf-8").splitlines()
    return next(place for place, line in enumerate(lines, 1) if "# the guilty line" in line and "F.softmax" in line)


def test_a_finding_names_the_users_line_and_the_numbers():
    (finding,) = examine(Probabilities(), F.cross_entropy, batch()).findings
    assert finding.id == "softmax-before-cross-entropy"
    assert finding.severity == "error"
    path, _, line = finding.where.rpartition(":")
    assert Path(path).name == "test_report.py"
    assert int(line) == guilty_line()
    assert re.search(r"0\.\d+ … 0\.\d+", finding.evidence)
    assert "logits" in finding.cure


def test_the_report_as_text_json_and_html():
    report = examine(Probabilities(), F.cross_entropy, batch())
    assert "1 error" in str(report).splitlines()[0]
    assert repr(report) == str(report)
    assert json.loads(report.dumps())["findings"][0]["id"] == "softmax-before-cross-entropy"
    assert "<code>softmax-before-cross-entropy</code>" in report._repr_html_()
    assert str(examine(net(), F.cross_entropy, batch())).startswith("healthy")


def test_a_check_can_be_ignored_by_id():
    report = examine(Probabilities(), F.cross_entropy, batch(), ignore=["softmax-before-cross-entropy"])
    assert not report.errors
    with pytest.raises(ValueError, match="no check 'softmax'"):
        examine(net(), F.cross_entropy, batch(), ignore=["softmax"])


def test_assert_healthy_raises_with_the_report():
    assert assert_healthy(net(), F.cross_entropy, batch()).healthy
    with pytest.raises(UnhealthyError, match="softmax-before-cross-entropy") as caught:
        assert_healthy(Probabilities(), F.cross_entropy, batch())
    assert isinstance(caught.value, AssertionError)


def test_pages_are_complete():
    for page in PAGES.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", page.id)
        for text in (page.why, page.evidence, page.legitimate, page.cure):
            assert text.endswith((".", "`", ")")), (page.id, text)
        assert page.cure in str(page)
    numbers = {page.number for page in PAGES.values()}
    assert numbers == set(range(1, max(numbers) + 1))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case(model=len, loss=F.cross_entropy, batch=(torch.ones(2), torch.ones(2))), "examines torch.nn.Module"),
        (Case(model=nn.DataParallel(net())), "inside, `model.module`"),
        (Case(model=nn.Linear(2, 2, device="meta")), "meta device"),
        (Case(model=net()), "nothing to run"),
        (Case(model=net(), loss=F.cross_entropy, batch=3), "batch is a int"),
        (Case(model=net(), loss=lambda o, y: o, batch=batch()), r"shape \(12, 3\)"),
        (Case(model=net(), loss=lambda o, y: 1.0, batch=batch()), "returned a float"),
        (Case(model=net(), optimizer="adam", batch=batch()), "optimizer is a str"),
        ({"model": net(), "losss": 1}, "no use for 'losss'"),
        ({"loss": 1}, "has no 'model'"),
    ],
)
def test_what_cannot_be_examined_is_refused_with_a_sentence(case, message):
    with pytest.raises(ExaminationError, match=message):
        examine(case)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, in its own code
def test_compiled_models_are_examined_as_they_were_written():
    model = torch.compile(Probabilities(), backend="eager")
    report = examine(model, F.cross_entropy, batch())
    assert [finding.id for finding in report.errors] == ["softmax-before-cross-entropy"]


def test_watching_a_live_loop():
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop(zero):
        with watch(model, optimizer, steps=5) as seen:
            for _ in range(9):
                if zero:
                    optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
        return seen.report

    before = model[0].weight.detach().clone()
    assert [finding.id for finding in loop(False).errors] == ["stale-gradients"]
    assert not torch.equal(before, model[0].weight)
    report = loop(True)
    assert report.healthy
    assert report.facts == {"optimizer steps": 5}
    assert not model._forward_pre_hooks
    assert not any(p._backward_hooks for p in model.parameters())


PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F

def case(*last):
    print("making the case")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), *last)
    return {"model": model, "loss": F.cross_entropy, "batch": (torch.randn(12, 4), torch.arange(12) % 3)}

def ill():
    return case(nn.Softmax(dim=1))

def triple():
    return tuple(case().values())

def breaks():
    return 1 / 0
"""


def test_the_command(tmp_path, command):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    code, out, err = command("doctor", f"{path}:case")
    assert code == 0
    assert out.startswith("healthy")
    assert "making the case" in err
    assert command("doctor", f"{path}:triple")[0] == 0
    code, out, err = command("doctor", f"{path}:ill", "--json")
    assert code == 1
    assert json.loads(out)["findings"][0]["id"] == "softmax-before-cross-entropy"
    assert "1 error found" in err
    assert command("doctor", f"{path}:ill", "--ignore", "softmax-before-cross-entropy")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["doctor"], 2, "name what to examine"),
        (["doctor", "{path}:nothing"], 1, "has no function 'nothing'"),
        (["doctor", "{path}:breaks"], 1, "raised ZeroDivisionError: division by zero"),
        (["doctor", "missing.py:case"], 1, "missing.py is not a file"),
        (["doctor", "{path}:case", "--ignore", "softmax"], 2, "no check 'softmax'"),
        (["doctor", "--explain", "stale-gradient"], 2, "did you mean stale-gradients"),
        (["doctor", "no-such-run"], 1, "no-such-run"),
    ],
)
def test_what_the_command_refuses(tmp_path, command, arguments, code, sentence):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    got, out, err = command(*(argument.format(path=path) for argument in arguments))
    assert got == code
    assert sentence in err
    assert not out


def test_a_run_without_torch_modules_is_refused(tmp_path, command, names_file):
    assert command("train", names_file, "-o", tmp_path / "run", "--model", "ngram:2")[0] == 0
    code, _, err = command("doctor", tmp_path / "run")
    assert code == 1
    assert "holds a model of the family ngram, which is not trained with PyTorch" in err


def test_explaining(command):
    code, out, _ = command("doctor", "--explain", "samples-mix")
    assert code == 0
    assert "batch_first" in out
    assert len(command("doctor", "--explain", "all")[1].splitlines()) == len(PAGES)
