"""docs/doctor.md runs and prints what it says, and its table is the table of checks."""

import json
import re
import shlex

from documentation import DOCS, run_blocks
from spellout.doctor import PAGES

PAGE = DOCS / "doctor.md"


def test_every_block_runs(capsys):
    _, languages = run_blocks(PAGE, capsys, others=frozenset(["sh", "text"]))
    assert languages.count("output") == 4


def test_the_first_report_is_what_the_script_gets(command, tmp_path, monkeypatch):
    """The page shows a part of it, in its order."""
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    script, said = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("python", "text"))
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    code, out, _ = command("doctor", "train.py")
    assert code == 1
    lines = iter(out.splitlines())
    assert all(line in lines for line in said.splitlines() if line and not line.startswith("2 errors"))


CASE = """
import torch

def case():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False), torch.nn.Softmax(dim=1))
    batch = torch.randn(30, 4), torch.arange(30) % 3
    return {"model": model, "loss": torch.nn.CrossEntropyLoss(), "batch": batch}
"""


def test_every_command_does_what_the_page_says(command, names_file, tmp_path, monkeypatch):
    """A program with one error in the first two, a healthy run in the third."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(CASE, encoding="utf-8")
    assert command("train", names_file, "-o", "RUN", "--model", "gru:8", "--steps", 20)[0] == 0
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = {line: command(*shlex.split(line)[1:]) for line in block.splitlines()}
    plain, as_json, run, one, every = said.values()
    assert [code for code, _, _ in said.values()] == [1, 1, 0, 0, 0]
    assert "softmax-before-cross-entropy" in plain[1]
    found = [finding["id"] for finding in json.loads(as_json[1])["findings"]]
    assert "softmax-before-cross-entropy" in found
    assert "output-without-bias" not in found
    assert "softmax-before-cross-entropy" not in run[1]
    assert PAGES["softmax-before-cross-entropy"].title in one[1]
    assert all(page.id in every[1] for page in PAGES.values())
    assert len(every[1].splitlines()) == len(PAGES)


def test_the_table_is_the_catalog():
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(page.id, page.severity, page.title) for page in PAGES.values()]
