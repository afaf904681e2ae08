"""The documentation runs: README's commands and Python, its list of models and its map of files."""

import math
import re
import shlex
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from documentation import DOCS, run_blocks
from readme_commands import CHECKS
from spellout.errors import SpelloutError
from spellout.models.table import MODELS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with the files that README's commands name."""
    names = (resources.files("spellout.data") / "names.txt").read_text("utf-8")
    (tmp_path / "names.txt").write_text(names, encoding="utf-8")
    (tmp_path / "suspects.txt").write_text("Olivia\nXzvjk\nJaxtyn\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def test_the_readme_commands_run_in_their_order(workplace, command):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("spellout ")]
    assert len(lines) >= 9
    for line in lines:
        _, verb, *arguments = shlex.split(line, comments=True)
        code, out, err = command(verb, *arguments)
        assert code == 0, f"{line}: {err}"
        CHECKS[verb](arguments, out, err)
    assert {line.split()[1] for line in lines} == set(CHECKS)


def test_the_checks_of_the_readme_commands_refuse_other_output(workplace, command):
    """No check is content with nothing, or with what another command says."""
    _, out, err = command("look", "names.txt")
    for verb, check in CHECKS.items():
        if verb == "look":
            continue
        with pytest.raises((AssertionError, KeyError, SpelloutError, TypeError, ValueError, IndexError, OSError)):
            check(["names.txt", "-n", "3"], out, err)
    for wrong in ("", out.replace("lines  ", "line  "), out.replace("  a ", "  b ")):
        with pytest.raises((AssertionError, TypeError)):
            CHECKS["look"](["names.txt"], wrong, err)


def test_the_samples_in_the_readme_are_what_the_command_makes(command):
    assert command("make", "--model", "ngram")[1] in README


def test_the_letters_in_the_readme_are_what_the_command_says(workplace, command):
    command("train", "names.txt", "-o", "runs/names")
    said = " ".join(command("why", "runs/names", "Sophia")[1].split()).split()
    shown = next(block for block in blocks("text") if block.startswith("letter")).split()
    assert len(said) == len(shown)
    for cell, printed in zip(said, shown, strict=True):
        if "." in printed:  # a fit on another processor may end a little elsewhere
            assert float(cell) == pytest.approx(float(printed), abs=0.0101)
        else:
            assert cell == printed


def test_the_python_in_the_readme_runs(capsys):
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    said = capsys.readouterr().out
    made = said.split("bits per character")[0].split("\n")[:-1]
    assert sum(line.startswith("Jo") for line in made) == 5
    assert 1 < float(re.search(r"([\d.]+) bits per character", said)[1]) < 4
    x = math.tanh(4.0)  # of 2 · -3 + 10
    slope = 2 * x * (1 - x * x)
    shown = re.search(r"^(\S+) (\S+)$", said, re.MULTILINE)
    assert [float(shown[1]), float(shown[2])] == pytest.approx([-3 * slope, 2 * slope], rel=1e-12)
    assert re.search(rf"d \S+ / d a = {-3 * slope:.6g}"[:-1], said)
    assert "softmax-before-cross-entropy" in said


def test_the_page_about_new_lines_runs(capsys):
    run_blocks(DOCS / "new-lines.md", capsys)


def test_the_page_about_serving_runs(capsys):
    run_blocks(DOCS / "serve.md", capsys, others=frozenset({"sh"}))


def test_the_commands_of_the_page_about_what_is_asked_run(command, tmp_path, monkeypatch):
    page = (DOCS / "asked.md").read_text("utf-8")
    lines = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1].splitlines()
    assert len(lines) == 5
    (tmp_path / "taken.txt").write_text("Emmalyn\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for line in lines:
        _, verb, *arguments = shlex.split(line, comments=True)
        code, out, err = command(verb, *arguments, "--model", "ngram:3")
        assert code == 0, f"{line}: {err}"
        assert len(out.splitlines()) == int(arguments[arguments.index("-n") + 1] if "-n" in arguments else 10)


def test_the_list_of_models_is_the_table():
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    assert rows == [(family.name, family.sentence, family.paper) for family in MODELS.values()]


def test_the_map_of_files_is_complete():
    shown = next(block for block in blocks("text") if block.startswith("src/spellout/"))
    named = set(re.findall(r"^  ([\w.]+)/?  ", shown, re.MULTILINE))
    source = ROOT / "src" / "spellout"
    there = {path.name for path in source.iterdir() if path.is_dir() or path.suffix == ".py"}
    quiet = {"__init__.py", "__main__.py", "version.py", "__pycache__"}
    assert named == there - quiet


def test_constraints_pin_everything_the_project_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    pinned = {
        line.split("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line
    }
    for requirement in named:
        name = re.split(r"[^\w-]", requirement)[0].lower()
        assert name in pinned, f"{name} is not pinned in constraints.txt"
