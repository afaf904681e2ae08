"""Every model of the table as one file of Python: the same probabilities and lines as the reference."""

import subprocess
import sys
from itertools import islice
from types import ModuleType

import numpy as np
import pytest

from export.test_lowering import SPECIFICATIONS, STEPS
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.export import python as target
from spellout.export.bloom import holds
from spellout.export.exporting import portable
from spellout.export.reference import Reference
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample

SETTINGS = [
    {"seed": 1},
    {"seed": 2**64 - 1, "temperature": 0.7, "top_k": 4},
    {"seed": 3, "top_p": 0.8, "max_length": 5},
    {"seed": 6, "prefix": "An"},
]


@pytest.fixture(scope="module")
def few(names) -> Prepared:
    return Prepared.of(Lines.of(names.distinct[:200]), DataConfig())


def exported(prepared, specification, weights, **settings):
    run = train(prepared, specification, training=STEPS).run
    given = {"name": "few", "max_length": 15, "lines": run.lines, "weights": weights, **settings}
    made = portable(run.model, run.vocabulary, **given)
    return made, target.written(made)


def loaded(file: bytes):
    module = ModuleType("exported")
    exec(compile(file, "exported.py", "exec"), module.__dict__)
    return module


def drawn(made, vocabulary, settings, count, new):
    config = SamplingConfig(**({"max_length": made.max_length} | settings))
    found = sample(Reference(made.step), vocabulary, config, cut=lambda one: False)
    known = (lambda line: bool(holds(made.known, [line])[0])) if new else (lambda line: False)
    return list(islice((one.line for one in found if not known(one.line)), count))


@pytest.mark.parametrize("family", SPECIFICATIONS)
def test_a_file_says_and_draws_what_the_reference_does(family, few):
    for place, specification in enumerate(SPECIFICATIONS[family]):
        made, file = exported(few, specification, ("float16", "int8", "float32")[place % 3])
        module = loaded(file)
        tokens = np.random.default_rng(place).integers(1, few.vocabulary.size, (2, 12))
        tokens = np.concatenate([np.zeros((2, 1), np.int64), tokens], axis=1)
        wanted = Reference(made.step).log_probabilities(tokens)
        for line, rows in zip(tokens.tolist(), wanted, strict=True):
            state = module.State(module.model)
            found = [state.read(token) for token in line]
            np.testing.assert_allclose(found, rows, rtol=0, atol=1e-10)
        for settings in SETTINGS:
            lines = list(module.model.lines(5, new=True, **settings))
            assert lines == drawn(made, few.vocabulary, settings, 5, True)


@pytest.fixture(scope="module")
def file(few, tmp_path_factory):
    path = tmp_path_factory.mktemp("python") / "few.py"
    path.write_bytes(exported(few, "ngram:3", "float16")[1])
    return path


def called(file, *arguments):
    command = [sys.executable, "-I", "-W", "error", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def test_it_is_a_program(file, few):
    made = called(file, "-n", "4", "--seed", "3", "--prefix", "Ma")
    assert made.returncode == 0, made.stderr
    lines = made.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("Ma") for line in lines)
    scored = called(file, "--score", "Emma")
    assert 1 < float(scored.stdout) < 5


def test_why_there_are_fewer_lines_is_said(few, tmp_path):
    path = tmp_path / "one.py"
    lines = Prepared.of(Lines.of(["anna"] * 30 + ["bob"]), DataConfig(split="none"))
    path.write_bytes(exported(lines, "ngram:3", "float16")[1])
    made = called(path, "-n", "3", "--top-k", "1")
    assert (made.returncode, made.stdout) == (1, "")
    assert made.stderr == (
        "stopped after 0 of 3 lines: 1,000 tries in a row brought no other new line; raise --temperature, or allow "
        "known lines with --as-it-is\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prefix", "語"], "the model knows nothing of a character or word in '語'"),
        (["--score", "!"], "the model knows nothing of a character or word in '!'"),
        (["--label", "boy"], "there is no label 'boy'; there are none"),
        (["--temperature", "0"], "a temperature above 0"),
        (["--top-k", "0"], "top-k is at least 1"),
        (["--top-p", "1.5"], "top-p is above 0 and at most 1"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(file, arguments, sentence):
    made = called(file, *arguments)
    assert made.returncode == 2
    assert sentence in made.stderr
    assert "Traceback" not in made.stderr


def test_a_line_of_lines_with_labels_is_scored_with_its_own(tmp_path):
    lines = Lines.of(["f\tanna", "f\tanja", "m\tbob", "m\tbert"] * 5)
    path = tmp_path / "labels.py"
    path.write_bytes(exported(Prepared.of(lines, DataConfig(split="none", label="1")), "ngram:3", "float16")[1])
    made = called(path, "--score", "anna")
    assert (made.returncode, made.stdout) == (2, "")
    assert "lines have labels here, so one is needed: f, m" in made.stderr
    assert "there is no label 'x'; there are f, m" in called(path, "--score", "anna", "--label", "x").stderr
    scores = [float(called(path, "--score", "anna", "--label", label).stdout) for label in "fm"]
    assert scores[0] < scores[1]


def test_the_training_lines_are_in_it_only_if_asked_for(few):
    _, without = exported(few, "ngram:2", "float32")
    made, within = exported(few, "ngram:2", "float32", with_lines=True)
    line = max(made.lines, key=len)
    assert loaded(without).model.lines_inside == []
    assert line in loaded(within).model.known_lines
    assert loaded(within).model.is_known(line)
