"""Runs as anyone may have written them: every command gives a sentence and exit code 1, or works. A fixed number of
seeded mutations of every file, of a counting model, of one in scalars and of one in PyTorch."""

import copy
import json
import math
import random
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from spellout.api import load_run, train
from spellout.app.cli import run_command
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import RunError
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import save_run

MUTATIONS = 6
"""Of each file of each run."""
MODELS_TRIED = (
    "ngram:3",
    "mlp:4:context=2:embedding=3+ngram:2",
    "gru:4:embedding=3",
    "transformer:4:layers=1:heads=1",
    "ngram:2 & mlp:4:context=2:embedding=3+ngram:2",
)
FAMILIES = ("ngram", "mlp", "gru", "transformer", "ensemble")
ODD = [
    None,
    True,
    -1,
    0,
    1,
    2,
    7,
    10**9,
    10**30,
    0.5,
    1e300,
    math.nan,
    math.inf,
    "",
    "x",
    "1",
    [],
    {},
    [[]],
    ["ngram"],
]
LINES = ["anna", "bob", "eve", "ada", "anabel", "hannah", "dave", "bea", "eva", "ned", "dan", "ben"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a run of every kind of model."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "lines.txt").write_text("anna\nbob\nzoe\n")
    (folder / "train.txt").write_text("".join(line + "\n" for line in LINES))
    prepared = Prepared.of(Lines.of(LINES), DataConfig())
    for model in MODELS_TRIED:
        training = TrainingConfig(steps=60, threads=1)
        trained = train(prepared, model, training=training, interrupted=Later(55))
        save_run(trained.run, folder / trained.run.family)
    return folder


class Later:
    """Says once that it is interrupted, after so many steps."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self):
        self.left -= 1
        return self.left == 0


class InterruptedAtOnce:
    def __enter__(self):
        return lambda: True

    def __exit__(self, *_):
        pass


def places(content, path=()):
    """The paths of everything in a JSON value."""
    yield path
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from places(value, (*path, key))


def mutated_json(text, chance):
    content = copy.deepcopy(json.loads(text))
    path = chance.choice([path for path in places(content) if path] or [()])
    if not path:
        return json.dumps(chance.choice(ODD))
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    how = chance.random()
    if how < 0.2:
        del inner[path[-1]]
    elif how < 0.4 and isinstance(inner[path[-1]], int | float) and inner[path[-1]] is not None:
        inner[path[-1]] = inner[path[-1]] * chance.choice([-1, 2, 1000, 0.5]) + chance.choice([0, 1, -1])
    else:
        inner[path[-1]] = chance.choice(ODD)
    return json.dumps(content)


def mutated_bytes(content, chance):
    content = bytearray(content)
    if not content:
        return b"\0"
    start, length = chance.randrange(len(content)), chance.choice([1, 1, 2, 4, 8, 64])
    how = chance.random()
    if how < 0.15:
        return bytes(content[:start])
    if how < 0.3:
        return bytes(content[:start] + content[start + length :])
    if how < 0.5:
        content[start : start + length] = b"\xff" * length
    elif how < 0.7:
        content[start] ^= 1 << chance.randrange(8)
    else:
        content[start : start + length] = chance.randbytes(length)
    return bytes(content)


def mutated_arrays(path, chance):
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    name = chance.choice(sorted(arrays))
    array, how = arrays[name], chance.random()
    if how < 0.15:
        del arrays[name]
    elif how < 0.3:
        arrays[name] = array.astype(chance.choice([np.int8, np.float16, np.float32, np.float64, np.uint64]))
    elif how < 0.45:
        arrays[name] = np.ascontiguousarray(array.reshape(-1)[: chance.randrange(array.size + 1)])
    elif how < 0.6:
        arrays["more"] = array
    elif array.size:
        with np.errstate(all="ignore"):
            value = chance.choice([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 0.0, -1.0, 2.0**62])
            array.reshape(-1)[chance.randrange(array.size)] = np.array(value).astype(array.dtype)
    save_file(arrays, path)


def damage(run, name, chance):
    path = run / name
    if name.endswith(".safetensors") and chance.random() < 0.6:
        with open(path, "rb") as file:
            metadata = json.loads(file.read(int.from_bytes(file.read(8), "little"))).get("__metadata__")
        mutated_arrays(path, chance)
        if metadata:
            save_file(load_file(path), path, metadata)
    elif name.endswith(".json") and chance.random() < 0.8:
        path.write_text(mutated_json(path.read_text("utf-8"), chance), "utf-8")
    elif name == "log.jsonl" and chance.random() < 0.8:
        lines = path.read_text("utf-8").splitlines()
        number = chance.randrange(len(lines))
        lines[number] = mutated_json(lines[number], chance)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    else:
        path.write_bytes(mutated_bytes(path.read_bytes(), chance))


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def commands(folder, run, name):
    """What reads that file of a run, and may end with which codes."""
    if name == "log.jsonl":
        picture = ["-o", folder / "picture.svg"]
        yield ["plot", run, "--what", "loss", *picture], (0, 1, 2)
        yield ["plot", run, "--what", "updates", *picture], (0, 1, 2)
    elif name != "last.safetensors":
        yield ["sample", run, "-n", 2, "--json", "--nearest", "--max-length", 20], (0, 1)
        yield ["score", run, folder / "lines.txt", "--json"], (0, 1)
        yield ["why", run, "anna", "--json"], (0, 1)
    if (run / "last.safetensors").exists():
        yield ["train", folder / "train.txt", "-o", run, "--resume", "--json"], (0, 1, 130)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "name", ["config.json", "vocabulary.json", "best.safetensors", "last.safetensors", "log.jsonl"]
)
def test_a_damaged_run_is_refused_or_works(sound, tmp_path, capsys, monkeypatch, family, name):
    monkeypatch.setattr(
        "spellout.app.commands.train.interruptible", InterruptedAtOnce
    )  # a damaged budget may be a thousand years
    if not (sound / family / name).exists():
        return
    for seed in range(MUTATIONS):
        run = tmp_path / "run"
        for arguments, codes in commands(sound, run, name):
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(sound / family, run)
            damage(run, name, random.Random(f"{family} {name} {seed}"))
            if arguments[0] == "train" and not (run / "last.safetensors").exists():
                continue
            code = run_command([str(argument) for argument in arguments])
            out, err = capsys.readouterr()
            where = f"{family} {name} {seed}: {arguments[0]} {err}"
            assert code in codes, where
            assert "Traceback" not in err, where
            if code == 0 and "--json" in arguments:
                assert out, where
                for line in out.splitlines():
                    json.loads(line, parse_constant=no_constant)
            elif code:
                assert "spellout: " in err, where


@pytest.mark.parametrize(
    "content", ["[" * 99_999 + "]" * 99_999, "7", "[]", "\ufeff{}", '{"a": 1}'], ids=list("abcde")
)
@pytest.mark.parametrize("name", ["config.json", "vocabulary.json"])
def test_json_that_is_no_settings_is_one_sentence(sound, tmp_path, name, content):
    shutil.copytree(sound / "ngram", tmp_path / "run")
    (tmp_path / "run" / name).write_text(content, "utf-8")
    with pytest.raises(RunError, match="damaged"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(sound, tmp_path, capsys, family, value):
    run = tmp_path / "run"
    shutil.copytree(sound / family, run)
    arrays = {name: array.copy() for name, array in load_file(run / "best.safetensors").items()}
    name = next(name for name in sorted(arrays) if arrays[name].dtype.kind == "f" and arrays[name].size)
    arrays[name].reshape(-1)[-1] = value
    save_file(arrays, run / "best.safetensors")
    lines = sound / "lines.txt"
    for arguments in (
        ["score", run, lines],
        ["score", run, lines, "--json"],
        ["why", run, "anna"],
        ["sample", run],
    ):
        code = run_command([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (1, "")
        assert "damaged" in err
        assert err.count("\n") == 1


def test_a_model_whose_name_is_a_list_is_one_sentence(sound, tmp_path):
    shutil.copytree(sound / "ngram", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"model": ["ngram"]}))
    with pytest.raises(RunError, match="names no known model"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    "setting", [{"hidden": 10**9}, {"hidden": 2.5}, {"dropout": "x"}, {"width": 1}, {"hidden": -1}]
)
def test_settings_that_no_network_of_these_weights_has_cost_no_memory(sound, tmp_path, setting):
    shutil.copytree(sound / "gru", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    config["settings"]["config"] |= setting
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=f"do not fit together .*{next(iter(setting))}"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_training_lines_that_are_missing_are_damage(names, tmp_path, command, cut):
    """Otherwise a line that was learned could be called new."""
    run = train(Prepared.of(names, DataConfig()), "ngram:2").run
    save_run(run, tmp_path / "run")
    lines = (tmp_path / "run" / "train.txt").read_bytes()
    (tmp_path / "run" / "train.txt").write_bytes(lines[:-cut])
    code, out, err = command("sample", tmp_path / "run", "--novel")
    assert (code, out) == (1, "")
    assert "train.txt does not hold the lines it was trained on" in err
    (tmp_path / "run" / "train.txt").write_bytes(lines[: lines.rindex(b"\n", 0, -1) + 1])
    assert command("sample", tmp_path / "run", "--novel")[0] == 1


@pytest.mark.parametrize(
    ("name", "key"), [("vocabulary.json", "unit"), ("best.safetensors", "levels"), ("config.json", "settings")]
)
def test_what_is_missing_is_said_in_words(sound, tmp_path, name, key):
    shutil.copytree(sound / "ngram", tmp_path / "run")
    path = tmp_path / "run" / name
    if name.endswith(".json"):
        content = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({one: value for one, value in content.items() if one != key}))
    else:
        arrays = load_file(path)
        key = sorted(arrays)[0]
        save_file({one: array for one, array in arrays.items() if one != key}, path)
    with pytest.raises(RunError) as caught:
        load_run(tmp_path / "run")
    assert "damaged: its files do not fit together (" in str(caught.value)
    assert f"({key!r})" not in str(caught.value)
    assert f"(an entry named {key} is missing)" in str(caught.value)


def test_what_python_says_is_no_sentence_of_a_damaged_run(sound, tmp_path):
    shutil.copytree(sound / "ngram", tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"settings": 7}))
    with pytest.raises(RunError, match="something in it has another form than it should have"):
        load_run(tmp_path / "run")
