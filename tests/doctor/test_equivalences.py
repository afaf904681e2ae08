"""What should come to the same in whole scripts, in files of weights, and compiled; and nothing of it is left."""

import io
from contextlib import redirect_stdout

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from doctor.scripts_table import DATA, NET
from spellout.doctor.case import Case
from spellout.doctor.checks.equivalences import channels, compiled
from spellout.doctor.patient import Patient
from spellout.doctor.scripts import running
from spellout.doctor.scripts.session import Session
from spellout.doctor.scripts.starting import examine_script

MAKE = DATA + "def make():\n    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))\nnet = make()\n"
LOOP = """
for epoch in range(40):
    opt.zero_grad()
    F.cross_entropy(net(X), Y).backward()
    opt.step()
"""
ADAM = "opt = torch.optim.Adam(net.parameters(), lr=1e-2)\n"
AGAIN = "saved = {name: one.clone() for name, one in net.state_dict().items()}\n"
BEST = """
best = None
for epoch in range(30):
    for part in torch.arange(60).split(20):
        opt.zero_grad()
        F.cross_entropy(net(X[part]), Y[part]).backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        F.cross_entropy(net(X), Y)
    net.train()
    if epoch < 2:
        best = net.state_dict()
"""
RANDOM_FEATURES = """
class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.waves, self.outer = torch.randn(6, 32) * 0.5, nn.Linear(32, 3)
    def forward(self, x):
        return self.outer(torch.cos(x @ self.waves))
net = Features()
"""
SCRIPTS = {
    "the old model's optimizer": (MAKE + ADAM + "net = make()\n" + LOOP, "foreign-parameters"),
    "the new model's": (MAKE + "net = make()\n" + ADAM + LOOP, None),
    "assigned, so that the optimizer has the old ones": (
        MAKE + ADAM + AGAIN + "net.load_state_dict(saved, assign=True)\n" + LOOP,
        "foreign-parameters",
    ),
    "copied into the old ones": (MAKE + ADAM + AGAIN + "net.load_state_dict(saved)\n" + LOOP, None),
    "the best state is the living one": (MAKE + ADAM + BEST, "state-kept-by-reference"),
    "the best state is copied": (
        "import copy\n" + MAKE + ADAM + BEST.replace("net.state_dict()", "copy.deepcopy(net.state_dict())"),
        None,
    ),
    "random features that are not saved": (DATA + RANDOM_FEATURES + ADAM + LOOP, "state-outside-checkpoint"),
    "random features that are saved": (
        DATA
        + RANDOM_FEATURES.replace("self.waves, self.outer = torch.randn(6, 32) * 0.5, ", "self.outer = ").replace(
            "    def forward", "        self.register_buffer('waves', torch.randn(6, 32) * 0.5)\n    def forward"
        )
        + ADAM
        + LOOP,
        None,
    ),
}


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(source):
        (tmp_path / "train.py").write_text(source, encoding="utf-8")
        return "train.py"

    return write


def examined(path, **options):
    return examine_script(
        path, [], Session(**{"seconds": 0.0, "overfit_seconds": 0.0, "thorough": True, **options})
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_s_states_are_followed(script, name):
    source, mistake = SCRIPTS[name]
    report = examined(script(source), stops=True).report
    found = [finding.id for finding in report.findings if finding.severity != "note"]
    assert (mistake in found) if mistake else not found
    assert "optimizer-never-steps" not in found


def test_a_thorough_examination_leaves_the_script_and_torch_as_they_were(script):
    source = NET.replace("nn.Tanh()", "nn.Tanh(), nn.BatchNorm1d(16), nn.Dropout(0.2)") + ADAM + LOOP
    path = script(source + "print([p.tolist() for p in net.state_dict().values()])\n")
    before = nn.Module.state_dict, nn.Module.load_state_dict, torch.optim.Optimizer.load_state_dict, torch.load
    printed = []
    for run in (lambda: running.run_script(running.Path(path), []), lambda: examined(path, steps=5)):
        with redirect_stdout(io.StringIO()) as text:
            run()
        printed.append(text.getvalue())
    assert printed[0] == printed[1]
    after = nn.Module.state_dict, nn.Module.load_state_dict, torch.optim.Optimizer.load_state_dict, torch.load
    assert after == before


def test_what_is_not_compared_is_said(script):
    source = (
        NET
        + ADAM.replace("Adam(", "LBFGS(").replace("1e-2", "0.5")
        + (
            "def closure():\n    opt.zero_grad()\n    loss = F.cross_entropy(net(X), Y)\n    loss.backward()\n"
            "    return loss\nfor i in range(5):\n    opt.step(closure)\n"
        )
    )
    said = "\n".join(examined(script(source), stops=True).report.not_examined)
    assert "saved and loaded as uninterrupted: not compared" in said
    assert "the program compiles nothing" in said


def doubled(graph, _):
    """A backend that computes twice the first output."""
    return lambda *args: (2 * (made := graph(*args))[0], *made[1:])


@pytest.mark.parametrize(("backend", "found"), [(doubled, ["compiled-differs"]), ("eager", [])])
def test_a_compiler_that_computes_something_else_is_found(backend, found):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    batch = torch.randn(12, 4), torch.arange(12) % 3
    patient = Patient(Case(model=model, loss=F.cross_entropy, batch=batch, compiles=True))
    assert [one.id for one in compiled.check(patient, backend)] == found
    assert not patient.missing
    assert model._compiled_call_impl is None


def test_a_child_that_cannot_answer_is_told(monkeypatch):
    def fails():
        raise ValueError("no")

    assert compiled._in_child(fails) == {"error": "ValueError: no"}
    assert compiled._in_child(lambda: compiled.os._exit(3)) == {"error": "its process ended"}
    monkeypatch.setattr(compiled, "_SECONDS", 0.2)
    assert "longer" in compiled._in_child(lambda: compiled.time.sleep(60))["error"]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))


def spoiled(change):
    model = network()
    with torch.no_grad():
        change(model)
    return model.state_dict()


WEIGHTS = {
    "as made": (lambda model: None, []),
    "a row of zeros": (lambda model: model[3].weight[0].zero_(), []),
    "not a number": (lambda model: model[3].bias[2].fill_(float("nan")), ["checkpoint-not-finite"]),
    "an infinite variance": (
        lambda model: model[1].running_var[1].fill_(float("inf")),
        ["checkpoint-not-finite"],
    ),
    "dead rows": (lambda model: model[3].weight[:4].zero_(), ["dead-units-in-checkpoint"]),
    "dead channels": (lambda model: model[1].weight[2:5].zero_(), ["dead-units-in-checkpoint"]),
    "twins": (lambda model: model[0].weight[1:4].copy_(model[0].weight[:1]), ["dead-units-in-checkpoint"]),
    "a layer that starts at zero": (lambda model: model[3].weight.zero_(), []),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_the_numbers_of_a_file(command, tmp_path, name, ending):
    change, expected = WEIGHTS[name]
    path = tmp_path / f"best.{ending}"
    state = spoiled(change)
    if ending == "pt":
        torch.save({"model": state, "epoch": 3, "optimizer": torch.optim.SGD([nn.Parameter(state["0.bias"])])
                    .state_dict()}, path)  # fmt: skip
    else:
        from safetensors.torch import save_file

        save_file(state, path)
    found = [one.id for one in channels.look(channels.read(str(path))) if one.severity != "note"]
    assert found == expected
    code, out, _ = command("doctor", str(path))
    assert code == ("checkpoint-not-finite" in expected)
    assert all(one in out for one in expected)


def test_a_file_that_holds_no_weights_is_refused_with_a_sentence(command, tmp_path):
    (tmp_path / "bad.pt").write_text("no weights")
    (tmp_path / "bad.safetensors").write_text("no weights")
    for name, said in (("bad.pt", "weights alone"), ("bad.safetensors", "not a safetensors"), ("no.pt", "No such")):
        code, out, err = command("doctor", str(tmp_path / name))
        assert (code, out) == (1, "")
        assert said in err


def test_only_plain_weights_are_read_of_a_file(tmp_path):
    torch.save(network(), tmp_path / "whole.pt")
    with pytest.raises(ValueError, match="weights alone"):
        channels.read(str(tmp_path / "whole.pt"))
