"""How a script ends under the doctor: stopped, interrupted, in a child, with streams closed, or at once."""

import os
import sys

import pytest

from doctor.scripts_table import NET
from processes import in_shell
from spellout.doctor.scripts.session import Session
from spellout.doctor.scripts.starting import examine_script

LOOP = """
import os, signal, sys
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
def step():
    opt.zero_grad()
    F.cross_entropy(net(X).softmax(1), Y).backward()
    opt.step()
def measure():
    net.eval()
    with torch.no_grad():
        (net(X).argmax(1) == Y).float().mean()
    net.train()
"""
WRAPPED = """
try:
    for i in range(400):
        step(), measure()
except BaseException as error:
    RAISED
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a script; gives its name in the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(source):
        (tmp_path / "train.py").write_text(NET + LOOP + source, encoding="utf-8")
        return "train.py"

    return write


def examined(path):
    return examine_script(path, [], Session(steps=6, stops=True, seconds=0.0, overfit_seconds=0.0))


@pytest.mark.parametrize("raised", ["raise RuntimeError('training failed') from error", "raise SystemExit(2)"])
def test_what_fails_because_it_was_stopped_ends_as_what_was_stopped(script, capsys, raised):
    outcome = examined(script(WRAPPED.replace("RAISED", raised)))
    assert (outcome.stopped, outcome.code) == (True, 0)
    assert [one.id for one in outcome.report.errors] == ["softmax-before-cross-entropy"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("number", "code", "said"), [(2, 130, "interrupted"), (15, 143, "asked to end")])
def test_an_interrupt_shows_what_was_seen_so_far(script, command, monkeypatch, number, code, said):
    source = f"for i in range(3):\n    step()\nraise KeyboardInterrupt({number})\n"
    got, out, err = command("doctor", script(source))
    assert got == code
    assert "softmax-before-cross-entropy" in out
    assert said in err
    assert command("doctor", script(f"raise KeyboardInterrupt({number})\n"))[:2] == (code, "")


def test_a_script_that_leaves_at_once_is_told_before(script, command, monkeypatch):
    left = []

    def leave(code):
        left.append(code)
        raise SystemExit(code)

    monkeypatch.setattr("spellout.app.commands.doctor._EXIT", leave)
    path = script("for i in range(3):\n    step()\nos._exit(5)\n")
    assert "softmax-before-cross-entropy" in command("doctor", path)[1]
    assert left == [5]


FAILS = """
def compute(a):
    return F.linear(a, net[0].weight, net[0].bias)
step()
try:
    opt.step(lambda: net(torch.ones(2, 5)))
except RuntimeError as error:
    try:
        raise ValueError("of the user's") from error
    except ValueError:
        compute(torch.ones(2, 5))
"""


def test_a_traceback_is_the_one_that_python_prints(script, capsys):
    import subprocess

    path = os.path.abspath(script(FAILS))
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    alone = subprocess.run([sys.executable, path], capture_output=True, text=True, env=settings).stderr
    examined(path)
    assert capsys.readouterr().err == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_children_end_as_they_would_alone_and_streams_may_be_closed(script):
    source = """
import atexit
for i in range(3):
    step()
child = os.fork()
if not child:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    raise SystemExit(9)
print("left with", os.waitpid(child, 0)[1] >> 8, flush=True)
out = sys.stdout
atexit.register(lambda: print("goodbye"))
sys.stdout.close()
"""
    code, out, err = in_shell(["doctor", script(source)])
    assert code == 1, err
    assert out.startswith(b"left with 9\n1 error")
    assert out.count(b"softmaxed outputs") == 1
    assert out.endswith(b"goodbye\n")
    assert b"Traceback" not in err


def test_a_reader_who_leaves_is_a_quiet_end(script):
    source = "for i in range(400):\n    step()\n    print('x' * 70_000, flush=True)\n"
    _, out, err = in_shell(["doctor", script(source)], "| head -c 1")
    assert out == b"x"
    assert err == b""


def test_a_warning_names_the_line_that_plain_python_names(script):
    path = script("z = F.mse_loss(net(X)[:, :1], Y.float())\ny = F.mse_loss(net(X)[:, :1], Y.float())\n")
    with pytest.warns(UserWarning, match="target size") as told:
        examined(path)
    lines = (NET + LOOP).count("\n")
    assert [(os.path.basename(one.filename), one.lineno) for one in told] == [
        ("train.py", lines + 1),
        ("train.py", lines + 2),
    ]
