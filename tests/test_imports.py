"""What imports what: heavy libraries only when needed, and rooms only what stands below them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import spellout

SOURCE = Path(spellout.__file__).parent
ROOMS = ["errors", "files", "extras", "autograd", "nn", "programs", "data", "models", "generation", "training"]
ROOMS += ["lectures", "doctor", "plots", "clock", "streams", "visible", "terminal", "sketches", "waiting", "steps"]
ROOMS += ["options", "commands", "cli"]
"""From the ground up: a room imports only rooms that stand before it."""
HEAVY = ["torch", "numba", "numpy", "matplotlib", "optuna"]


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import spellout",
        "from spellout.cli import run_command; run_command(['--help'])",
        "from spellout.cli import run_command; run_command(['make', '--help'])",
        "from spellout.cli import run_command; run_command(['plot', '--help'])",
        "from spellout.cli import run_command; run_command(['tune', '--help'])",
        "from spellout.cli import run_command; run_command(['--version'])",
    ],
)
def test_starting_imports_nothing_heavy(statement):
    assert not modules_after(statement) & set(HEAVY)


def test_making_names_imports_neither_torch_nor_numba():
    loaded = modules_after(
        "from spellout.cli import run_command; run_command(['make', '-n', '1', '--model', 'ngram'])"
    )
    assert "numpy" in loaded
    assert not loaded & {"torch", "numba", "matplotlib", "optuna"}


def test_making_names_with_a_network_waits_for_no_compiler(names_file, tmp_path):
    """Few names are learned in few steps, and the seconds are not needed."""
    arguments = ["make", names_file, "-n", "5", "--seconds", "600", "-o", str(tmp_path / "run")]
    loaded = modules_after(f"from spellout.cli import run_command; assert run_command({arguments!r}) == 0")
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert config["model"] == "mlp"
    assert config["results"]["steps"] > 0
    assert not loaded & {"numba", "llvmlite", "torch"}


def test_networks_are_named_and_configured_without_torch():
    loaded = modules_after("from spellout.training.prior import parse; parse('gru:64:optimizer=muon+ngram:5')")
    assert not loaded & {"torch", "numba"}


def test_training_a_network_does_not_import_the_compiler_of_torch():
    arguments = "Prepared.of(Lines.of(['anna', 'bob']), DataConfig()), 'gru:4+ngram:2'"
    training = "training=TrainingConfig(steps=2)"
    loaded = modules_after(f"from spellout import *; train({arguments}, {training})")
    assert "torch" in loaded  # and its compiler would take two seconds
    assert not {name for name in loaded if name.startswith("torch._dynamo")}


def test_without_torch_a_sentence_says_what_to_install():
    command = "['train', '-', '-o', 'unwritten', '--model', 'gru']"
    code = f"import sys; sys.modules['torch'] = None; from spellout.cli import run_command; run_command({command})"
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
    code = f"import sys; sys.modules[{library!r}] = None; from spellout.cli import run_command; "
    code += f"sys.exit(run_command({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], input="anna\nbob\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"spellout: {sentence}\n"


def imports_of(path):
    """The rooms of spellout that a file imports, at any depth of its code."""
    package = path.relative_to(SOURCE.parent).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module.split(".") if node.module else [])]
            names = [*target[1:2]] or [alias.name for alias in node.names]
            yield from names


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_go_down(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    if parts[0] not in ROOMS:
        assert parts[0] in {"__init__", "__main__", "version"}
        return
    place = ROOMS.index(parts[0])
    for room in imports_of(path):
        if room != "version":
            assert room in ROOMS[: place + 1], f"{path} imports {room}"


def test_every_public_name_is_where_the_door_says():
    assert sorted(spellout.__all__) == sorted(set(spellout.__all__))
    for name in spellout.__all__:
        value = getattr(spellout, name)
        assert name == "__version__" or value.__name__ == name
        assert name in dir(spellout)
    with pytest.raises(AttributeError, match="no attribute 'Valeu'"):
        spellout.Valeu  # noqa: B018
