"""A run remembers what of its file is a line: a training goes on, and another one is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from spellout.api import load_run, train
from spellout.app.cli import run_command
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Keeper

ROWS = [f"{a}{b}{c}o,{'xy'[a < 'k']}" for a in "bdfgklmn" for b in "aeiou" for c in "rst"]
CONFIG = DataConfig(column="name", label="kind")
STEPS = TrainingConfig(steps=24, evaluate_every=6)


def begin(folder, interrupted=lambda: False, config=CONFIG):
    prepared = Prepared.of(Lines.read("rows.csv", config=config), config)
    return train(prepared, "mlp:8+ngram", training=STEPS, keep=Keeper(folder), interrupted=interrupted)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("\n".join(["name,kind", *ROWS]) + "\n")


def test_a_training_on_labels_goes_on_without_its_flags(here, capsys):
    asked = iter(range(100))
    begin("part", lambda: next(asked) == 10)
    assert json.loads(Path("part/config.json").read_text())["data"]["source"] == {"column": "name", "label": "kind"}
    assert run_command(["train", "rows.csv", "-o", "part", "--resume", "--column", "kind"]) == 2
    assert "--column kind: part has name and goes on as it began" in capsys.readouterr().err
    assert run_command(["train", "rows.csv", "-o", "part", "--resume"]) == 0
    begin("whole")
    part, whole = load_run("part"), load_run("whole")
    assert part.facts["results"]["dev"] == whole.facts["results"]["dev"]
    assert part.vocabulary.labels == whole.vocabulary.labels
    for name, array in whole.model.arrays().items():
        assert np.array_equal(array, part.model.arrays()[name])


def test_teacher_and_student_both_have_labels_or_none(here):
    teacher = begin("teacher").run
    student = train(
        Prepared.of(Lines.read("rows.csv", config=CONFIG), CONFIG), "mlp:8", training=STEPS, teacher=teacher
    )
    assert student.run.vocabulary.labels == teacher.vocabulary.labels
    plain = DataConfig(column="name")
    with pytest.raises(UsageError, match="learned from lines with labels"):
        train(Prepared.of(Lines.read("rows.csv", config=plain), plain), "mlp:8", training=STEPS, teacher=teacher)
