"""Tuning: the space of every model, resuming, joining, stopping early, and the test lines."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields

import optuna
import pytest

from spellout.api import train
from spellout.errors import TrainingError, UsageError
from spellout.models.ranges import Choices, ranges_of
from spellout.models.table import MODELS, parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.experiments import tuning
from spellout.training.experiments.space import Space
from spellout.training.experiments.tuning import Tuning

STEPS = TrainingConfig(steps=20, device="cpu", threads=1)
BIGRAM = parse_specification("bigram")
TRAINED = ranges_of(TrainingConfig)
IN_STEPS = [family.name for family in MODELS.values() if family.learner]


def ends(where):
    return where.values if isinstance(where, Choices) else (where.low, where.high)


@pytest.mark.parametrize("name", IN_STEPS)
def test_every_model_has_a_space_that_holds_its_defaults_and_can_be_trained_at_its_ends(name):
    space = Space.of(parse_specification(name), STEPS)
    config = parse_specification(name).config
    for field, where in space.ranges.items():
        if field not in TRAINED:
            assert space.defaults[field] == getattr(config, field)
        inside = isinstance(where, Choices) or where.low <= space.defaults[field] <= where.high
        assert inside
        assert not isinstance(where, Choices) or space.defaults[field] in where.values
    for end in (0, -1):
        specification, training = space.settled(lambda field, where, end=end: ends(where)[end])
        settled = parse_specification(specification.text).config
        assert settled == specification.config
        for field in space.ranges.keys() - TRAINED.keys():
            assert getattr(settled, field) == ends(ranges_of(MODELS[name].config)[field])[end]
        assert training.batch == int(settled.batch * (0.25, 4)[end])
        assert training.lr == pytest.approx(settled.lr * (0.2, 5)[end], rel=5e-3)
        assert training.decay == ("linear", "none")[end]


@pytest.mark.parametrize("name", IN_STEPS)
def test_every_numeric_setting_is_tuned_or_said_why_not(name):
    left_out = {"places", "members", "statistics", "first", *TRAINED}  # counted, a matter of time, or of the list
    assert {field.name for field in fields(MODELS[name].config)} - left_out == Space.of(
        parse_specification(name), STEPS
    ).ranges.keys() - TRAINED.keys()


def test_what_is_said_stays():
    space = Space.of(parse_specification("mlp:64:lr=0.01+ngram:3"), TrainingConfig(batch=99, decay="cosine"))
    assert set(space.ranges) == {"context", "dropout", "embedding", "tied", "weight_decay"}
    specification, training = space.settled(lambda field, where: space.defaults[field])
    found = "embedding=24:context=6:dropout=0.0:weight_decay=0.05:tied=no"
    assert specification.text == f"mlp:64:lr=0.01:{found}+ngram:3"
    assert (training.batch, training.decay, training.lr) == (99, "cosine", None)


@pytest.mark.parametrize(
    "said", ["transformer:36", "transformer:heads=16", "transformer:96:heads=12", "gpt:heads=8"]
)
def test_the_width_stays_a_multiple_of_the_heads(said):
    space = Space.of(parse_specification(said), STEPS)
    for end in (0, -1):
        config = parse_specification(space.settled(lambda field, where, end=end: ends(where)[end])[0].text).config
        assert config.width % config.heads == 0


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--model", "ngram"], "ngram counts and has nothing to tune; models that have: bigram, mlp"),
        (
            ["--model", "bigram:weight_decay=0", "--lr", 1, "--batch", 9, "--decay", "none"],
            "nothing is left to tune",
        ),
        (["--model", "bigram", "--trials", 0], "--trials 0: must be at least 1"),
        (["--model", "bigram", "--split", "none"], "--split none keeps no dev lines to judge"),
        (["--model", "gru:0"], "hidden=0: must be at least 1"),
    ],
)
def test_what_cannot_be_tuned_is_explained(command, names_file, tmp_path, arguments, fragment):
    code, _, err = command("tune", names_file, "-o", tmp_path / "study", *arguments)
    assert code == 2
    assert fragment in err
    assert not (tmp_path / "study").exists()


def test_the_first_trial_has_the_models_own_settings_and_the_best_is_never_worse(few, tmp_path):
    study = Tuning(tmp_path / "study", few, BIGRAM, STEPS)
    trials = list(study.run(4))
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert trials[0].nats_per_char == train(few, BIGRAM, training=STEPS).dev.nats_per_char
    losses = [trial.new_lines for trial in trials]
    assert [trial.new_lines for trial in study.best()] == sorted(losses)
    assert len({trial.specification for trial in trials}) == 4
    kept = [number for number, loss in enumerate(losses) if loss == min(losses[: number + 1])]
    assert sorted(path.name for path in tmp_path.glob("study/run-*")) == [f"run-{number}" for number in kept]


def test_a_study_goes_on_where_it_was(few, tmp_path):
    whole = [(t.specification, t.nats_per_char) for t in Tuning(tmp_path / "whole", few, BIGRAM, STEPS).run(6)]
    first = [(t.specification, t.nats_per_char) for t in Tuning(tmp_path / "parts", few, BIGRAM, STEPS).run(2)]
    rest = [(t.specification, t.nats_per_char) for t in Tuning(tmp_path / "parts", few, BIGRAM, STEPS).run(6)]
    assert first + rest == whole
    assert list(Tuning(tmp_path / "parts", few, BIGRAM, STEPS).run(6)) == []


def test_an_interrupted_trial_does_not_count(few, tmp_path):
    def interrupt(event):
        if event["event"] == "evaluation":
            raise KeyboardInterrupt

    study = Tuning(tmp_path / "study", few, BIGRAM, STEPS)
    with pytest.raises(KeyboardInterrupt):
        list(study.run(2, interrupt))
    assert study.count() == (0, 0)
    assert len(list(study.run(2))) == 2


def test_another_study_in_the_same_folder_is_refused(few, tmp_path):
    list(Tuning(tmp_path / "study", few, BIGRAM, STEPS).run(1))
    with pytest.raises(
        UsageError, match=r"holds a study with another specification \(bigram, .*give the same again"
    ):
        Tuning(tmp_path / "study", few, parse_specification("mlp"), STEPS)
    with pytest.raises(UsageError, match="another training"):
        Tuning(tmp_path / "study", few, BIGRAM, TrainingConfig(steps=21))
    Tuning(tmp_path / "study", few, BIGRAM, TrainingConfig(steps=20, device="auto"))  # wherever it runs


def test_a_trial_worse_than_the_median_is_stopped_early(few, tmp_path, monkeypatch):
    """Judged by losses made up here: the fifth trial and those after it are worse from the first step on."""
    heard = []

    def made_up(job):
        number = len(heard)
        heard.append(0)
        for part in range(11):
            job.callback(
                {"event": "evaluation", "progress": part / 10, "nats_per_char": 3.0 - part / 10 + (number >= 4)}
            )
            heard[-1] = part
        return train(few, "bigram", training=TrainingConfig(steps=1))

    monkeypatch.setattr(tuning, "train", made_up)
    study = Tuning(tmp_path / "study", few, BIGRAM, STEPS)
    trials = list(study.run(6))
    assert heard == [10, 10, 10, 10, 1, 1]  # none in the first two parts
    assert [trial.nats_per_char is None for trial in trials] == [False] * 4 + [True] * 2
    assert study.count() == (6, 2)
    assert len(study.best()) == 4


def test_a_loss_that_explodes_is_a_trial_that_was_stopped(few, tmp_path, monkeypatch):
    def explode(*arguments, **settings):
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(tuning, "train", explode)
    study = Tuning(tmp_path / "study", few, BIGRAM, STEPS)
    assert [trial.nats_per_char for trial in study.run(2)] == [None, None]
    assert study.count() == (2, 2)


def test_two_processes_share_a_study(names_file, tmp_path):
    arguments = [
        "tune",
        names_file,
        "--model",
        "bigram",
        "--trials",
        "6",
        "--steps",
        "10",
        "-o",
        tmp_path / "study",
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "spellout", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    numbers = [int(number) for text in said for number in re.findall(r"^trial (\d+):", text, re.MULTILINE)]
    assert sorted(numbers) == list(range(len(numbers)))  # each trial was made by one of them
    assert 6 <= len(numbers) <= 7  # both may see the last place free
    study = optuna.load_study(study_name="spellout", storage=f"sqlite:///{tmp_path / 'study' / 'study.db'}")
    assert len(study.trials) == len(numbers)


def test_the_command_prints_the_best_and_how_to_train_it_again(command, names_file, tmp_path):
    arguments = ["tune", names_file, "--model", "bigram", "--trials", 3, "--steps", 20, "-o", tmp_path / "study"]
    code, out, err = command(*arguments)
    assert code == 0
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == ["trial", "as it is", "new lines", "seconds", "model", "training"]
    assert [float(row[2]) for row in rows] == sorted(float(row[2]) for row in rows)
    assert "3 trials, 0 of them stopped early" in err
    again = re.search(r"train it again with: (spellout .*)", err).group(1)
    words = [str(tmp_path / "again") if word == "RUN" else word for word in shlex.split(again)[1:]]
    assert command(*words)[0] == 0
    facts = json.loads((tmp_path / "again" / "config.json").read_text())
    results = facts["results"]
    assert [f"{results[way]['nats_per_char']:.4f}" for way in ("dev", "new_lines")] == rows[0][1:3]


def test_the_test_lines_are_looked_at_once_and_when_asked(command, names_file, tmp_path, monkeypatch):
    looked = []
    real = tuning.evaluate
    monkeypatch.setattr(tuning, "evaluate", lambda *given: looked.append(given) or real(*given))
    arguments = ["tune", names_file, "--model", "bigram", "--trials", 2, "--steps", 20, "-o", tmp_path / "study"]
    first = json.loads(command(*arguments, "--json")[1].splitlines()[0])
    assert first["test"] is None
    assert looked == []
    tested = [json.loads(command(*arguments, "--json", "--test-best")[1].splitlines()[0])["test"] for _ in range(2)]
    assert len(looked) == 1
    assert tested[0] == tested[1]
    assert abs(tested[0]["nats_per_char"] - first["nats_per_char"]) < 0.3


def test_a_folder_of_other_files_is_left_alone(command, names_file, tmp_path):
    (tmp_path / "kept.txt").write_text("here")
    code, _, err = command("tune", names_file, "--model", "bigram", "-o", tmp_path)
    assert code == 1
    assert "holds other files and is not a study; choose another folder with -o" in err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == []
