"""A student learns what its teacher says: of which lines, how well, and the same after an interruption."""

import json
import shutil
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.markov import MarkovSource
from spellout.data.prepared import Prepared
from spellout.errors import DataError, RunError, TrainingError, UsageError
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.models.new_lines.known import Known
from spellout.models.new_lines.model import Weighted
from spellout.models.new_lines.trie import Trie
from spellout.models.table import MODELS
from spellout.training import loop as loop_module
from spellout.training import train as train_module
from spellout.training.config import TrainingConfig
from spellout.training.distillation.config import DistillationConfig
from spellout.training.distillation.lessons import lessons_from, lessons_of, made_lessons
from spellout.training.distillation.teacher import Teacher
from spellout.training.job import Job
from spellout.training.runs.run import Keeper, save_run
from spellout.training.runs.unfinished import Unfinished
from spellout.training.train import train as train_job

STEPS = TrainingConfig(steps=12, batch=64, evaluate_every=5, patience=0)
TWICE = DistillationConfig(made=2.0)


@pytest.fixture(scope="module")
def few(names):
    return Prepared.of(Lines.of(names.distinct[:300]), DataConfig())


@pytest.fixture(scope="module")
def counted(few):
    """An n-gram of the training lines."""
    return train(few, "ngram:3").run


def test_the_lessons_are_what_the_teacher_says_of_the_training_lines_and_of_lines_it_makes(few, counted):
    lessons = lessons_of(counted.model, few.vocabulary, few.stream, 200, 20, seed=3)
    lines = few.vocabulary.decode(lessons.stream)
    assert lines[: len(few.split.train)] == few.split.train
    made = sample(counted.model, few.vocabulary, SamplingConfig(seed=3, max_length=20), cut=lambda one: False)
    assert lines[len(few.split.train) :] == [one.text for one in islice(made, 200)]
    position = 0
    for line in lines:
        tokens = few.vocabulary.encode([line])[None, :-1]
        said = np.exp(counted.model.log_probabilities(tokens)[0])
        rows = lessons.soft_targets[position : position + len(said)]
        np.testing.assert_allclose(rows.astype(float), said, rtol=6e-4, atol=4e-8)
        position += len(said)
    assert position == len(lessons.soft_targets) == len(lessons.stream) - 1


def test_a_teacher_of_new_lines_shows_no_training_line(few, counted):
    teacher = Teacher(counted, DistillationConfig(made=5.0, new_lines=True))
    lessons = lessons_from(teacher, few, seed=0)
    training = len(few.split.train)
    lines = few.vocabulary.decode(lessons.stream)
    assert len(lines) == 5 * training
    assert not set(lines) & set(few.split.train)
    conditioned = Weighted.of_new_lines(
        counted.model, Known.of(counted.model, Trie(few.stream, few.vocabulary.size))
    )
    said = np.exp(conditioned.log_probabilities(few.vocabulary.encode(lines[:1])[None, :-1])[0])
    np.testing.assert_allclose(lessons.soft_targets[: len(said)].astype(float), said, rtol=6e-4, atol=4e-8)
    plain = lessons_from(Teacher(counted, DistillationConfig(made=5.0)), few, seed=0)
    assert set(few.vocabulary.decode(plain.stream)[training:]) & set(few.split.train)


def test_a_student_comes_as_near_to_a_source_as_its_teacher():
    """From 100 lines a network alone does not learn the source; a good teacher makes it as many as it needs."""
    source = MarkovSource(order=1, letters="abcde", concentration=1.0, seed=1)
    much = Prepared.of(Lines.of(source.sample(40_000, seed=1)), DataConfig(split="none"))
    teacher = train(much, "ngram:2").run
    little = Prepared.of(Lines.of(source.sample(100, seed=2)[:100]), DataConfig(split="none"))
    judges = source.sample(20_000, seed=3)
    steps = TrainingConfig(steps=300, batch=256, lr=0.02)
    lessons = DistillationConfig(made=30.0)
    student = train(little, "mlp:16:context=2", training=steps, teacher=teacher, distillation=lessons).run
    alone = train(little, "mlp:16:context=2", training=steps).run
    losses = [evaluate(run.model, run.vocabulary, judges).nats_per_char for run in (teacher, student, alone)]
    assert losses[1] == pytest.approx(losses[0], abs=0.005)
    assert losses[1] == pytest.approx(source.entropy, abs=0.02)
    assert losses[2] > losses[1] + 0.02


@pytest.mark.parametrize("student", ["mlp:8", "gru:8"])
def test_an_interrupted_student_goes_on_to_the_same_weights(few, counted, tmp_path, student):
    save_run(counted, tmp_path / "teacher")
    folder = tmp_path / "student"
    whole = train(few, student, training=STEPS, teacher=counted, distillation=TWICE)
    stop = iter([False] * 7 + [True]).__next__
    train(
        few,
        student,
        training=STEPS,
        teacher=tmp_path / "teacher",
        distillation=TWICE,
        keep=Keeper(folder),
        interrupted=stop,
    )
    unfinished = Unfinished.read(folder, MODELS)
    assert unfinished.checkpoint.state.step == 7
    teacher = Teacher.again(unfinished.teacher, folder, MODELS)
    keep = Keeper(folder, there=True)
    specification, training = unfinished.specification, unfinished.training
    train_job(Job(few, specification, training, keep=keep, going_on=unfinished, teacher=teacher))
    kept = load_run(folder)
    for name, array in whole.run.model.arrays().items():
        assert np.array_equal(array, kept.model.arrays()[name]), name
    assert kept.facts["teacher"]["fingerprint"] == whole.run.facts["teacher"]["fingerprint"]
    assert whole.run.facts["teacher"]["run"] is None
    with pytest.raises(RunError, match="in no folder"):
        Teacher.again(whole.run.facts["teacher"], folder, MODELS)


def test_making_lines_takes_part_of_the_seconds(few, counted, monkeypatch):
    """Every look at the clock takes a tenth of a second, and the lessons take fifty."""
    now = 0.0

    def clock():
        nonlocal now
        now += 0.1
        return now

    def slowly(*arguments):
        nonlocal now
        now += 50.0
        return at_once(*arguments)

    monkeypatch.setattr(train_module, "perf_counter", clock)
    monkeypatch.setattr(loop_module, "perf_counter", clock)
    minute = TrainingConfig(seconds=60.0, batch=16, patience=0, evaluate_every=1000)
    quick = train(few, "mlp:2", training=minute, teacher=counted, distillation=TWICE).run.facts["results"]
    at_once = lessons_from
    monkeypatch.setattr(train_module, "lessons_from", slowly)
    slow = train(few, "mlp:2", training=minute, teacher=counted, distillation=TWICE).run.facts["results"]
    assert slow["stopped"] == quick["stopped"] == "seconds"
    assert 0.1 < slow["steps"] / quick["steps"] < 0.2


def test_the_fingerprint_tells_teachers_apart(few, counted, tmp_path):
    save_run(counted, tmp_path / "teacher")
    assert Teacher.read(tmp_path / "teacher", MODELS, TWICE).fingerprint == Teacher(counted).fingerprint
    assert Teacher(train(few, "ngram:2").run).fingerprint != Teacher(counted).fingerprint


def test_an_ensemble_teaches_and_does_not_learn(few, tmp_path):
    ensemble = train(few, "ngram:2 & mlp:8", training=STEPS).run
    save_run(ensemble, tmp_path / "ensemble")
    found = Teacher.read(tmp_path / "ensemble", MODELS, TWICE)
    assert found.fingerprint == Teacher(ensemble).fingerprint
    student = train(few, "mlp:8", training=STEPS, teacher=tmp_path / "ensemble", distillation=TWICE).run
    assert student.facts["teacher"]["specification"] == "ngram:2 & mlp:8"
    said = ensemble.model.log_probabilities(few.vocabulary.encode(few.split.train[:1])[None, :-1])[0]
    lessons = lessons_from(found, few, seed=0)
    np.testing.assert_allclose(lessons.soft_targets[: len(said)].astype(float), np.exp(said), rtol=6e-4, atol=4e-8)
    assert "ensemble cannot learn from a teacher" in refused(UsageError, few, "ngram:2 & mlp:8", ensemble)


def refused(error, prepared, specification, teacher, distillation=TWICE):
    with pytest.raises(error) as caught:
        train(prepared, specification, training=STEPS, teacher=teacher, distillation=distillation)
    return str(caught.value)


def test_what_does_not_fit_is_said(few, counted):
    assert "ngram cannot learn from a teacher; take mlp" in refused(UsageError, few, "ngram", counted)
    assert "gpt cannot learn from a teacher" in refused(UsageError, few, "gpt:8", counted)
    assert "leave out the n-gram" in refused(UsageError, few, "mlp:8+ngram", counted)
    words = Prepared.of(few.lines, DataConfig(unit="word"))
    assert "tokens are of --unit char" in refused(UsageError, words, "mlp:8", counted)
    other = Prepared.of(few.lines, DataConfig(split_seed=1))
    assert "--split distinct --split-seed 42" in refused(UsageError, other, "mlp:8", counted)
    foreign = Prepared.of(Lines.of([*few.lines.distinct, "Ωmega"]), DataConfig(split="none"))
    message = refused(DataError, foreign, "mlp:8", counted)
    assert "does not fit the teacher: the character 'Ω'" in message
    assert "would take" in refused(UsageError, few, "mlp:8", counted, DistillationConfig(made=1e9))
    with pytest.raises(UsageError, match="--made -1"):
        DistillationConfig(made=-1)
    with pytest.raises(UsageError, match="only lines that the teacher makes are new"):
        DistillationConfig(made=0, new_lines=True)


def test_a_teacher_that_knows_the_judges_is_refused(few, counted):
    """Also of a shuffled copy of the file, or with the lines of dev in another file."""
    shuffled = Prepared.of(Lines.of(few.lines.distinct[::-1]), DataConfig())
    judges = {*shuffled.split.dev, *shuffled.split.test}
    known = len(judges & set(few.split.train))
    assert known > 0
    message = refused(UsageError, shuffled, "mlp:8", counted)
    assert f"has learned from {known} of the {len(judges)} lines that are to judge the student" in message
    assert "train the teacher on the same file with the same split" in message
    given = Prepared.of(few.lines, DataConfig(), dev=Lines.of(["zoe", few.split.train[0], "annabel"]))
    there = train(given, "ngram:3").run
    assert f"has learned from {len(few.split.dev + few.split.test)} of" in refused(UsageError, few, "mlp:8", there)
    Teacher(there).fitted(given)  # where lines are in both parts, the student learns from them, too
    Teacher(counted).fitted(few)
    Teacher(counted).fitted(Prepared.of(shuffled.lines, DataConfig(split="none")))  # nothing judges


def test_a_teacher_that_keeps_no_lines_must_be_of_the_same_split_of_the_same_lines(few, counted):
    forgetful = replace(counted, lines=None)
    Teacher(forgetful).fitted(few)
    shuffled = Prepared.of(Lines.of(few.lines.distinct[::-1]), DataConfig())
    given = Prepared.of(few.lines, DataConfig(), dev=Lines.of(["zoe"]))
    for other in (shuffled, given, Prepared.of(few.lines, DataConfig(split_seed=1))):
        assert "it may know lines that are to judge" in refused(UsageError, other, "mlp:8", forgetful)


@pytest.mark.parametrize("unit", ["char", "word"])
def test_a_line_that_the_teacher_cannot_read_is_named_without_a_number_of_the_shuffled_order(unit):
    teacher = train(Prepared.of(Lines.of(f"a b{'b' * i}" for i in range(30)), DataConfig(unit=unit)), "ngram:2").run
    lines = ["a a", *(f"c{'a' * i} b" for i in range(40))]
    message = refused(DataError, Prepared.of(Lines.of(lines), DataConfig(unit=unit)), "mlp:8", teacher)
    assert "the given lines does not fit the teacher: the " in message
    assert "'c' in 'c b' is not in any" in message
    assert "line 1" not in message


class Endless:
    """Says that no line ends."""

    def __init__(self, vocabulary_size):
        self.vocabulary_size = vocabulary_size

    def reader(self, lines):
        return self

    def read(self, tokens):
        rows = np.full((len(tokens), self.vocabulary_size), -np.log(self.vocabulary_size - 1))
        rows[:, 0] = -np.inf
        return rows


def test_a_teacher_that_ends_no_line_is_refused(few):
    with pytest.raises(TrainingError, match="hardly any line of at most 3 tokens"):
        made_lessons(Endless(few.vocabulary.size), few.vocabulary, 5, 3, seed=0)


def test_the_commands_of_a_student(command, names_file, tmp_path):
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    assert command("train", names_file, "-o", teacher)[0] == 0
    arguments = ["--model", "mlp:8", "--teacher", teacher, "--made", "1", "--new-lines", "--steps", "6"]
    code, _, err = command("train", names_file, "-o", student, *arguments)
    assert code == 0, err
    assert "the teacher made 400 lines" in err
    config = json.loads((student / "config.json").read_text("utf-8"))
    assert config["teacher"] == {
        "run": str(teacher),
        "fingerprint": Teacher(load_run(teacher)).fingerprint,
        "specification": "ngram",
        "parameters": load_run(teacher).model.parameters,
        "made": 1.0,
        "new_lines": True,
    }
    assert command("sample", student, "-n", "3")[0] == 0
    code, _, err = command("train", names_file, "-o", tmp_path / "other", "--model", "mlp", "--made", "3")
    assert code == 2
    assert "name its run with --teacher" in err
    assert command("train", names_file, "-o", tmp_path / "other", "--teacher", tmp_path / "nothing")[0] != 0


def test_going_on_needs_the_same_teacher(command, names_file, tmp_path):
    teacher, moved, student = tmp_path / "teacher", tmp_path / "moved", tmp_path / "student"
    assert command("train", names_file, "-o", teacher)[0] == 0
    prepared = Prepared.of(Lines.read(names_file), DataConfig())
    stop = iter([False] * 2 + [True]).__next__
    keep = Keeper(student)
    train(prepared, "mlp:8", training=STEPS, teacher=teacher, distillation=TWICE, keep=keep, interrupted=stop)
    resume = ["train", names_file, "-o", student, "--resume"]
    code, _, err = command(*resume, "--made", "3")
    assert code == 2
    assert "--made 3" in err
    shutil.move(teacher, moved)
    code, _, err = command(*resume)
    assert code == 1
    assert "or name it with --teacher" in err
    assert command("train", names_file, "-o", teacher, "--model", "ngram:2")[0] == 0
    code, _, err = command(*resume)
    assert code == 1
    assert "is not the teacher" in err
    code, _, err = command(*resume, "--teacher", moved)
    assert code == 0, err


def test_a_run_without_a_teacher_takes_none_later(command, names_file, tmp_path):
    prepared = Prepared.of(Lines.read(names_file), DataConfig())
    stop = iter([False] * 2 + [True]).__next__
    train(prepared, "mlp:8", training=STEPS, keep=Keeper(tmp_path / "run"), interrupted=stop)
    code, _, err = command("train", names_file, "-o", tmp_path / "run", "--resume", "--made", "3")
    assert code == 2
    assert "has no teacher" in err
