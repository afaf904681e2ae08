"""What imports what: heavy libraries only when needed, and rooms only what stands below them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import spellout

SOURCE = Path(spellout.__file__).parent
FLOORS = [
    ["errors", "files", "optional", "uniform", "version"],
    ["autograd", "data"],
    ["nn", "pictures"],
    ["programs"],
    ["models"],
    ["generation"],
    ["export", "training"],
    ["doctor", "lectures", "plots"],
    ["app", "api"],
]
"""From the ground up: a room imports only from its own and from those on the floors below."""
HEAVY = ["torch", "numba", "numpy", "matplotlib", "optuna"]


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import spellout",
        "from spellout.app.cli import run_command; run_command(['--help'])",
        "from spellout.app.cli import run_command; run_command(['make', '--help'])",
        "from spellout.app.cli import run_command; run_command(['plot', '--help'])",
        "from spellout.app.cli import run_command; run_command(['tune', '--help'])",
        "from spellout.app.cli import run_command; run_command(['export', '--help'])",
        "from spellout.app.cli import run_command; run_command(['--version'])",
    ],
)
def test_starting_imports_nothing_heavy(statement):
    assert not modules_after(statement) & set(HEAVY)


def test_making_names_imports_neither_torch_nor_numba():
    loaded = modules_after(
        "from spellout.app.cli import run_command; run_command(['make', '-n', '1', '--model', 'ngram'])"
    )
    assert "numpy" in loaded
    assert not loaded & {"torch", "numba", "matplotlib", "optuna"}


def test_making_names_with_a_network_waits_for_no_compiler(names_file, tmp_path):
    """Few names are learned in few steps, and the seconds are not needed."""
    arguments = ["make", names_file, "-n", "5", "--seconds", "600", "-o", str(tmp_path / "run")]
    loaded = modules_after(f"from spellout.app.cli import run_command; assert run_command({arguments!r}) == 0")
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert config["model"] == "mlp"
    assert config["results"]["steps"] > 0
    assert not loaded & {"numba", "llvmlite", "torch"}


def test_networks_are_named_and_configured_without_torch():
    asked = "parse_specification('gru:64:optimizer=muon+ngram:5')"
    loaded = modules_after(f"from spellout.models.table import parse_specification; {asked}")
    assert not loaded & {"torch", "numba"}


def test_training_a_network_does_not_import_the_compiler_of_torch():
    arguments = "Prepared.of(Lines.of(['anna', 'bob']), DataConfig()), 'gru:4+ngram:2'"
    training = "training=TrainingConfig(steps=2)"
    loaded = modules_after(f"from spellout import *; train({arguments}, {training})")
    assert "torch" in loaded  # and its compiler would take two seconds
    assert not {name for name in loaded if name.startswith("torch._dynamo")}


def test_without_torch_a_sentence_says_what_to_install():
    command = "['train', '-', '-o', 'unwritten', '--model', 'gru']"
    code = (
        f"import sys; sys.modules['torch'] = None; from spellout.app.cli import run_command; run_command({command})"
    )
    done = subprocess.run([sys.executable, "-c", code], input="anna\nbob\n", capture_output=True, text=True)
    assert "the model gru needs PyTorch, which is not installed: pip install 'spellout[torch]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("library", "arguments", "sentence"),
    [
        (
            "matplotlib",
            ["plot", "runs/none", "--what", "loss"],
            "drawing pictures needs matplotlib, which is not installed: pip install 'spellout[plots]'",
        ),
        (
            "matplotlib",
            ["lr-find", "-", "--model", "bigram", "-o", "curve.png"],
            "drawing pictures needs matplotlib, which is not installed: pip install 'spellout[plots]'",
        ),
        (
            "optuna",
            ["tune", "-", "--model", "gru", "-o", "study"],
            "tuning needs optuna, which is not installed: pip install 'spellout[tune]'",
        ),
    ],
)
def test_without_an_extra_a_sentence_says_what_to_install(library, arguments, sentence):
    code = f"import sys; sys.modules[{library!r}] = None; from spellout.app.cli import run_command; "
    code += f"sys.exit(run_command({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], input="anna\nbob\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"spellout: {sentence}\n"


def module_of(path):
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports_of(name):
    """The files of spellout that a file imports: also inside functions, and for type checkers only."""
    path = FILES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            stem = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {f"{stem}.{alias.name}" if f"{stem}.{alias.name}" in FILES else stem for alias in node.names}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            assert not any(name.split(".")[0] == "spellout" for name in names), f"{path}: write .{names[0]}"
    return found - {name}


def floor_of(name):
    room = [*name.split("."), ""][1]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS))


@pytest.mark.parametrize("name", FILES)
def test_imports_only_go_down(name):
    if name in ("spellout", "spellout.__main__"):
        return
    assert floor_of(name) < len(FLOORS), f"{name} stands on no floor"
    for other in imports_of(name) - {"spellout"}:
        same_room = other.split(".")[1] == name.split(".")[1]
        assert same_room or floor_of(other) <= floor_of(name), f"{name} imports {other}"


def test_no_files_import_each_other_in_a_circle():
    """A file is taken off once all it imports are off; what is left goes round in circles."""
    left = {name: imports_of(name) for name in FILES}
    while free := [name for name, imports in left.items() if not imports & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"these import each other, or from those that do: {sorted(left)}"


def test_rooms_are_small_and_shallow():
    for folder in {path.parent for path in FILES.values()}:
        assert len(list(folder.glob("[!_]*.py"))) <= 12, f"{folder} is a heap"
        assert len(folder.relative_to(SOURCE).parts) <= 3


def test_every_public_name_is_where_the_door_says():
    assert sorted(spellout.__all__) == sorted(set(spellout.__all__))
    for name in spellout.__all__:
        value = getattr(spellout, name)
        assert name == "__version__" or value.__name__ == name
        assert name in dir(spellout)
    with pytest.raises(AttributeError, match="no attribute 'Valeu'"):
        spellout.Valeu  # noqa: B018
