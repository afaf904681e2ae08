"""Scripts as they stand: captured, their mistakes named, healthy ones not accused, and stopped or left alone."""

import io
import json
import sys
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest
import torch
from torch.optim.optimizer import _global_optimizer_pre_hooks as step_hooks

from doctor.scripts_table import DATA, NET, SCRIPTS
from spellout.doctor import load_ipython_extension, watch
from spellout.doctor.scripts import running
from spellout.doctor.scripts.groups import HELP
from spellout.doctor.scripts.session import Session
from spellout.doctor.scripts.starting import examine_script

LOOP = """
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for i in range(STEPS):
    opt.zero_grad()
    loss = F.cross_entropy(net(X), Y)
    loss.backward()
    opt.step()
    print(i, loss.item())
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a script; gives its path."""
    monkeypatch.chdir(tmp_path)

    def write(source, name="train.py"):
        (tmp_path / name).write_text(source, encoding="utf-8")
        return name

    return write


def examined(path, *arguments, **options):
    return examine_script(
        path, arguments, Session(**{"stops": True, "seconds": 0.0, "overfit_seconds": 0.0, **options})
    )


EVALUATED = """
net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
net.train()
for epoch in range(4):
    for part in torch.randperm(60).split(2):
        opt.zero_grad()
        F.cross_entropy(net(X[part]), Y[part]).backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        print((net(X).argmax(1) == Y).float().mean())
"""


def test_an_evaluation_after_many_steps_that_leaves_eval_mode_on_is_waited_for(script):
    for source, found in ((EVALUATED, ["training-in-eval-mode"]), (EVALUATED + "    net.train()\n", [])):
        report = examined(script(DATA + source), seconds=60.0).report
        assert [one.id for one in report.findings if one.severity != "note"] == found


REFROZEN = """
net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
def train(parameters, net):
    opt = torch.optim.Adam(parameters, lr=1e-2)
    for i in range(30):
        opt.zero_grad()
        F.cross_entropy(net(X), Y).backward()
        opt.step()
train(net.parameters(), net)
net.requires_grad_(False)
net[2] = nn.Linear(16, 3)
train(net[2].parameters(), net)
"""


def test_what_is_frozen_and_given_a_new_head_after_its_training_is_not_accused(script):
    report = examined(script(DATA + REFROZEN), seconds=30.0).report
    assert not [one.id for one in report.findings if one.severity != "note"]
    assert any("other parameters" in line for line in report.not_examined)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_captured_and_its_mistake_named(script, name):
    source, mistake = SCRIPTS[name]
    report = examined(script(source)).report
    found = [finding.id for finding in report.findings if finding.severity != "note"]
    assert (mistake in found) if mistake else not found
    assert not [line for line in report.not_examined if HELP in line]
    assert [name for name in report.facts if name.endswith("model")]


def test_it_is_stopped_after_the_steps_and_nothing_is_left_behind(script, capsys):
    before = torch.autograd.backward, torch.save, dict(step_hooks)
    outcome = examined(script(NET + LOOP.replace("STEPS", "10**9")), steps=4)
    assert (outcome.stopped, outcome.code) == (True, 0)
    assert len(capsys.readouterr().out.splitlines()) == 3  # the fourth step is the last
    assert outcome.report.facts["optimizer steps"] == 4
    assert (torch.autograd.backward, torch.save, dict(step_hooks)) == before
    assert not torch.overrides._get_current_function_mode_stack()


def test_a_parameter_is_as_bare_after_a_watch_as_before():
    net, heard = torch.nn.Linear(6, 3), []
    net.bias.register_hook(lambda grad: heard.append(float(grad.norm())))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(steps=2, seconds=0.0):
        for _ in range(4):
            optimizer.zero_grad()
            net(torch.randn(5, 6)).square().mean().backward()
            optimizer.step()
    assert net.weight._backward_hooks is net.weight._post_accumulate_grad_hooks is None
    assert len(net.bias._backward_hooks) == 1
    assert net.bias._post_accumulate_grad_hooks is None
    assert heard


def test_a_script_that_goes_on_computes_the_same_bits(script):
    source = NET.replace("nn.Tanh()", "nn.Tanh(), nn.BatchNorm1d(16), nn.Dropout(0.2)") + LOOP.replace(
        "STEPS", "40"
    )
    path = script(source + "print([p.tolist() for p in net.parameters()])\n")
    printed = []
    for run in (
        lambda: running.run_script(running.Path(path), []),
        lambda: examined(path, stops=False, steps=5),
    ):
        with redirect_stdout(io.StringIO()) as text:
            run()
        printed.append(text.getvalue())
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 41


@pytest.mark.parametrize("update", ["p.data += -0.1 * p.grad", "with torch.no_grad(): p -= 0.1 * p.grad"])
def test_nothing_of_the_doctor_is_left_on_a_script_that_goes_on_by_hand(script, capsys, update):
    source = SCRIPTS["plain tensors, updated by hand"][0].replace("range(30)", "range(60)")
    source = source.replace("p.data += -0.1 * p.grad", update)
    modes = "len(torch.overrides._get_current_function_mode_stack())"
    examined(script(source + f"    if i in (0, 59):\n        print({modes})\n"), stops=False, steps=5)
    assert capsys.readouterr().out.split() == ["1", "0"]


def test_everything_after_the_script_is_its_own(script, command):
    path = script(
        "import sys\nprint('got', sys.argv, __name__, sys.path[0] == sys.path[0])\n"
        + NET
        + LOOP.replace("STEPS", "5")
    )
    code, out, _ = command("doctor", "--json", path, "--json", "--steps", "3")
    assert code == 0
    assert json.loads(out)["facts"]["optimizer steps"] == 5
    assert sys.argv != ["train.py", "--json", "--steps", "3"]


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("import sys\nsys.exit(3)\n", 3, "ended with exit code 3"),
        ("print('only this')\n", 0, ""),
        ("import nowhere_to_be_found\n", 1, "No module named 'nowhere_to_be_found'"),
        ("input()\n", 1, "EOFError"),
        ("def f(:\n", 1, "SyntaxError"),
    ],
)
def test_scripts_that_never_train_end_with_a_sentence(script, command, monkeypatch, source, code, said):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    got, out, err = command("doctor", script(source))
    assert got == code
    assert said in err
    assert ("the program raises an exception" if code == 1 else "nothing of torch ran") in out
    assert "healthy" not in out


@pytest.mark.parametrize(
    ("path", "said"), [("nothing.py", "nothing.py cannot be read"), (".", "is not a run folder")]
)
def test_what_is_no_script_is_refused_with_a_sentence(script, command, path, said):
    script("")
    code, out, err = command("doctor", path)
    assert (code, out) == (1, "")
    assert said in err


BEHIND_TORCH = """
CRITERION
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
for i in range(10):
    opt.zero_grad()
    loss = criterion(net(X), Y)
    total = loss * 2
    total.data.mul_(3)
    total.backward()
    opt.step()
"""


@pytest.mark.parametrize(
    ("criterion", "name"),
    [
        ("criterion = nn.CrossEntropyLoss()", "criterion"),
        ("criterion = F.cross_entropy", "criterion"),
        ("def criterion(a, b):\n    return F.cross_entropy(a, b)", "criterion"),
        ("criterion = F.cross_entropy", "loss"),
    ],
)
def test_a_loss_that_cannot_be_computed_again_is_said_and_may_be_named(script, criterion, name):
    path = script(NET + BEHIND_TORCH.replace("CRITERION", criterion))
    missing = " ".join(examined(path).report.not_examined)
    assert "where the script has computed" in missing
    assert HELP in missing
    report = examined(path, loss=name).report
    assert report.facts["first loss"] < 2
    assert HELP not in " ".join(report.not_examined)


def test_a_model_that_is_named_is_the_model(script):
    path = script(SCRIPTS["an encoder and a decoder"][0])
    assert examined(path, model="decoder").report.facts["model"] == "decoder"
    missing = examined(path, model="nobody", loss="nothing").report.not_examined
    assert [line.split(":")[0] for line in missing[:2]] == ["--model nobody", "--loss nothing"]


def test_a_line_that_two_optimizers_train_through_is_told_once(script):
    source = SCRIPTS["two optimizers"][0].replace("nn.Linear(16, 1))", "nn.Linear(16, 1), nn.Sigmoid())")
    found = [(one.id, str(one.where)) for one in examined(script(source)).report.errors]
    assert {name for name, _ in found} == {"sigmoid-before-bce-with-logits"}
    assert len(found) == len(set(found))


def test_clipping_is_known_before_the_first_step(script):
    source = NET + LOOP.replace("Adam", "SGD").replace("1e-2", "300.0").replace("STEPS", "10")
    clipped = source.replace("opt.step()", "nn.utils.clip_grad_norm_(net.parameters(), 1e-4)\n    opt.step()")
    found = [{one.id for one in examined(script(text)).report.findings} for text in (source, clipped)]
    assert ["learning-rate-too-high" in ids for ids in found] == [True, False]


def test_a_traceback_is_the_scripts_own(script, command):
    code, out, err = command("doctor", script(NET + "net(torch.ones(2, 5))\n"))
    assert code == 1
    assert "train.py" in err
    assert "running.py" not in err
    assert "does-not-run" in out


def test_a_stop_that_is_swallowed_comes_again(script):
    source = NET + LOOP.replace("STEPS", "10**9")
    lines = source.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("for i"))
    body = [
        "    try:",
        *("    " + line for line in lines[place + 1 :]),
        "    except BaseException:",
        "        pass",
    ]
    ended = []
    session = Session(stops=True, seconds=0.0, steps=3)
    session.at_last = lambda report, code: ended.append(code)
    swallowing = "\n".join([*lines[:place], "for i in range(400):", *body]) + "\n"
    examine_script(script(swallowing), [], session)
    assert session.refused > 5
    assert ended[0] is None


def test_files_written_before_the_stop_are_told_and_none_after(script, command, tmp_path, monkeypatch):
    monkeypatch.setattr("spellout.doctor.scripts.hooks._PASSING", ("/dev/",))
    source = NET + "open('log.txt', 'w').close()\ntry:\n"
    source += "".join(f"    {line}\n" for line in LOOP.replace("STEPS", "10**9").splitlines())
    source += "finally:\n    torch.save(net.state_dict(), 'late.pt')\n    open('late.txt', 'w').close()\n"
    _, _, err = command("doctor", "--seconds", "0", script(source))
    assert "wrote log.txt" in " ".join(err.split())
    assert not list(tmp_path.glob("late*"))


def test_a_notebook_is_run_cell_by_cell(script):
    cells = [NET, "%matplotlib inline\n!ls\n", LOOP.replace("STEPS", "30").replace("    opt.zero_grad()\n", "")]
    parts = [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]
    report = examined(script(json.dumps({"cells": parts}), "lesson.ipynb")).report
    assert [finding.where for finding in report.errors] == ["lesson.ipynb[3]:6"]


def test_a_module_is_run_as_python_runs_it(script, tmp_path):
    (tmp_path / "project").mkdir()
    script("", "project/__init__.py")
    script(NET, "project/parts.py")
    script(
        "from .parts import *\nif __name__ == '__main__':\n" + LOOP.replace("\n", "\n    ").replace("STEPS", "5"),
        "project/train.py",
    )
    outcome = examine_script("project.train", [], Session(stops=True, seconds=0.0), module=True)
    assert outcome.report.healthy
    assert outcome.report.facts["optimizer steps"] == 5


def test_a_block_and_a_cell_are_watched():
    variables = {}
    exec(NET, variables)
    loop = (
        LOOP.replace("STEPS", "8").replace("    opt.zero_grad()\n", "").replace("    print(i, loss.item())\n", "")
    )
    with watch(seconds=0) as seen:
        exec(loop, variables)
    assert [finding.id for finding in seen.report.errors] == ["stale-gradients"]
    magics = {}
    shell = SimpleNamespace(
        run_cell=lambda cell: exec(cell, variables),
        register_magic_function=lambda function, kind, name: magics.update({name: function}),
    )
    load_ipython_extension(shell)
    assert [finding.id for finding in magics["doctor"]("", loop).errors] == ["stale-gradients"]


ANEW = "loss = F.cross_entropy(net(X), Y)\n    loss = torch.tensor(loss.item(), requires_grad=True)"
LISTED = "loss = torch.tensor([F.cross_entropy(net(X[k:]), Y[k:]) for k in (0, 20)], requires_grad=True).mean()"
JUMPED = "loss = F.l1_loss(net(X).argmax(1).float(), Y.float()).requires_grad_()"


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True:UserWarning")
@pytest.mark.parametrize(("lines", "cut"), [(ANEW, "item"), (LISTED, "tensor"), (JUMPED, "argmax")])
def test_a_loss_that_is_cut_off_from_the_model_is_named_at_its_cut(script, lines, cut):
    loop = LOOP.replace("loss = F.cross_entropy(net(X), Y)", lines).replace("STEPS", "25")
    (found,) = examined(script(NET + loop)).report.findings
    assert found.id == "no-gradient-arrives"
    assert f"`{cut}`" in found.evidence
