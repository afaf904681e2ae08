"""The examples of docs/export.md: the C programs compile without a warning, and print what Python does."""

import re

from compilers import compiled, needs_gcc, ran
from documentation import DOCS
from spellout.api import export, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared

pytestmark = needs_gcc


def blocks(title, language):
    page = (DOCS / "export.md").read_text("utf-8")
    section = page[page.index(f"\n## {title}\n") + 1 :].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_header_in_a_program(names, tmp_path):
    run = train(Prepared.of(Lines.of(names.distinct[:300]), DataConfig()), "ngram:3").run
    export(run, tmp_path / "names.h")
    (source,) = blocks("A header for C", "c")
    (tmp_path / "a.c").write_text(source)
    code, printed, _ = ran(compiled(tmp_path / "a.c", tmp_path / "a"))
    lines = printed.decode().split("\n")[:-1]
    assert (code, len(lines)) == (0, 10)
    assert all(line.startswith("Jo") and line not in set(run.lines) for line in lines)
    program = compiled(tmp_path / "a.c", tmp_path / "a", "sanitized")
    assert ran(program)[1] == printed


def test_moons_are_trained_in_c_as_in_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (python,), (source,), (shown,) = (blocks("Programs", one) for one in ("python", "c", "text"))
    defined = {}
    exec(compile(python, "export.md", "exec"), defined)
    (tmp_path / "train.c").write_text(source)
    code, printed, _ = ran(
        compiled(tmp_path / "train.c", tmp_path / "train"), stdin=(tmp_path / "points.txt").read_bytes()
    )
    assert code == 0
    losses = list(map(float, printed.split()))
    assert len(losses) == 100
    assert max(abs(one - other) for one, other in zip(losses, defined["losses"], strict=True)) < 1e-9
    assert losses[-1] < losses[0] / 3
    written = (tmp_path / "loss.c").read_text()
    assert shown in written
    code = written[written.index("static void") :].strip().split("\n")
    assert len(code) == int(re.search(r"and (\d+) lines", (DOCS / "export.md").read_text("utf-8"))[1])
