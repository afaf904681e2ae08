"""Scripts without `no_grad`, without `backward`, with one batch: what follows shows what their passes were for."""

import subprocess
import sys

import pytest

from doctor.scripts_table import DATA
from spellout.doctor.scripts.session import Session
from spellout.doctor.scripts.starting import examine_script

BEGIN = """
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 3))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
"""
LOOP = """
for epoch in range(9):
    for part in torch.randperm(60).split(20):
        opt.zero_grad()
        loss = F.cross_entropy(net(X[part]), Y[part])
        loss.backward()
        opt.step()
"""
LOADERS = """
from torch.utils.data import DataLoader, TensorDataset
train = DataLoader(TensorDataset(X[:40], Y[:40]), batch_size=10, shuffle=True)
other = DataLoader(TensorDataset(X[40:], Y[40:]), batch_size=10)
def epoch(loader, learns=True):
    total = 0.0
    for x, y in loader:
        loss = F.cross_entropy(net(x), y)
        if learns:
            opt.zero_grad()
            loss.backward()
            opt.step()
        total += loss.item()
    return total / len(loader)
for _ in range(6):
    one, two = epoch(train), epoch(other, OTHER)
"""
SKIPPED = """
for i in range(40):
    part = torch.randperm(60)[:20]
    loss = F.cross_entropy(net(X[part]), Y[part])
    if i % 5 == 4:
        print(loss.item())
        continue
    opt.zero_grad()
    loss.backward()
    opt.step()
"""
TURNS = """
opts = torch.optim.SGD(net[0].parameters(), lr=0.05), torch.optim.SGD(net[3].parameters(), lr=0.05)
for i in range(25):
    (a,), (b,) = torch.randint(60, (1, 20)), torch.randint(60, (1, 20))
    first, second = F.cross_entropy(net(X[a]), Y[a]), F.cross_entropy(net(X[b]), Y[b])
    for opt, loss in zip(opts, (second, first)):
        opt.zero_grad()
        loss.backward(inputs=[p for group in opt.param_groups for p in group["params"]], retain_graph=True)
    for opt in opts:
        opt.step()
"""
ONE_BATCH = """
from torch.utils.data import DataLoader, TensorDataset
x, y = next(iter(DataLoader(TensorDataset(X, Y), batch_size=10, shuffle=True)))
for _ in range(25):
    opt.zero_grad()
    F.cross_entropy(net(x), y).backward()
    opt.step()
"""
SCRIPTS = {
    "evaluating-in-train-mode": (
        BEGIN + LOOP + "    print((net(X).argmax(1) == Y).float().mean())\n",
        BEGIN + LOOP + "print(F.cross_entropy(net(X), Y).item())\n",
        BEGIN + LOADERS.replace("OTHER", "False"),
    ),
    "evaluation-trains": (BEGIN + LOADERS.replace("OTHER", "True"),),
    "same-batch-every-step": (BEGIN + ONE_BATCH,),
    "no-gradient-arrives": (BEGIN + LOOP.replace("loss.backward()", "loss.backward"),),
    "": (
        BEGIN + LOOP + "    net.eval(); print((net(X).argmax(1) == Y).float().mean()); net.train()\n",
        BEGIN + LOOP + "    print(net(X[:1]).softmax(1).argmax().item())\n",
        BEGIN + SKIPPED,
        BEGIN.replace("opt =", "last =") + TURNS,
        BEGIN + LOADERS.replace("OTHER", "True").replace("size=10)", "size=10, shuffle=True)"),
    ),
}


@pytest.mark.parametrize(
    ("found", "source"), [(found, source) for found, sources in SCRIPTS.items() for source in sources]
)
def test_a_script_is_told_what_its_passes_show(found, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(DATA + source, encoding="utf-8")
    report = examine_script("train.py", (), Session(stops=True, seconds=20.0, overfit_seconds=0.0)).report
    assert [one.id for one in report.findings if one.severity != "note"] == [found][: bool(found)], str(report)


FAILS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
    def forward(self, x):
        try:
            return self.layer(x)
        except RuntimeError as error:
            raise ValueError("no such shape") from error
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i in range(3):
    F.cross_entropy(net(X), Y).backward()
    opt.step()
net(X[:, 1:])
"""


@pytest.mark.parametrize("source", [FAILS, BEGIN + "F.cross_entropy(net(X), Y + 1).backward()\n"])
def test_a_script_that_fails_shows_the_traceback_that_it_shows_without_us(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(DATA + source, encoding="utf-8")
    alone = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True, cwd=tmp_path, check=False)
    outcome = examine_script("train.py", (), Session(stops=True, seconds=0.0, overfit_seconds=0.0))
    assert outcome.code == alone.returncode == 1
    ours, theirs = (text.replace(str(tmp_path), "") for text in (capsys.readouterr().err, alone.stderr))
    assert ours.replace('"/train.py"', '"train.py"') == theirs.replace('"/train.py"', '"train.py"')
