"""A training that was interrupted anywhere and resumed ends exactly like one that was not."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from neural_bigram import NEURAL
from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import RunError, UsageError
from spellout.models.table import MODELS
from spellout.training import loop as loop_module
from spellout.training.config import TrainingConfig
from spellout.training.job import Job
from spellout.training.runs import run as run_module
from spellout.training.runs.checkpoint import Checkpoint
from spellout.training.runs.run import Keeper
from spellout.training.runs.unfinished import Unfinished
from spellout.training.train import train as train_job

STEPS = TrainingConfig(steps=60, batch=64, evaluate_every=7, patience=0)


@pytest.fixture(autouse=True)
def table(neural):
    return neural


@pytest.fixture(scope="module")
def lines(names):
    return Lines.of(names.distinct[:300])


@pytest.fixture(scope="module")
def whole(lines, tmp_path_factory):
    """The folder of a training that nothing interrupted."""
    MODELS["neural"] = NEURAL
    folder = tmp_path_factory.mktemp("whole") / "run"
    begin(lines, folder)
    del MODELS["neural"]
    return folder


def begin(lines, folder, interrupted=lambda: False, training=STEPS, specification="neural"):
    prepared = Prepared.of(lines, DataConfig())
    return train(prepared, specification, training=training, keep=Keeper(folder), interrupted=interrupted)


def go_on(lines, folder, interrupted=lambda: False):
    unfinished = Unfinished.read(folder, MODELS)
    prepared = Prepared.of(lines, unfinished.data)
    return train_job(
        Job(
            prepared,
            unfinished.specification,
            unfinished.training,
            keep=Keeper(folder, there=True),
            interrupted=interrupted,
            going_on=unfinished,
        )
    )


def after(steps):
    """Pressed after so many questions."""
    return iter([False] * steps + [True]).__next__


def events_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def evaluations(folder):
    return [(e["step"], e["nats_per_char"], e["best"]) for e in events_of(folder) if e["event"] == "evaluation"]


def assert_same_end(folder, whole):
    for name in ("best.safetensors", "last.safetensors"):
        arrays, expected = load_file(folder / name), load_file(whole / name)
        assert arrays.keys() == expected.keys()
        for key, array in arrays.items():
            assert np.array_equal(array, expected[key]), f"{name}: {key}"
    assert evaluations(folder) == evaluations(whole)
    state, expected = (asdict(Checkpoint.read(path / "last.safetensors").state) for path in (folder, whole))
    for name in state.keys() - {"seconds", "evaluated_at"}:  # all but what the clock says
        assert state[name] == expected[name], name
    results, expected = (json.loads((path / "config.json").read_text())["results"] for path in (folder, whole))
    for name in ("dev", "steps", "best_step", "stopped"):
        assert results[name] == expected[name]


@settings(max_examples=15)
@given(st.lists(st.integers(0, 25), min_size=1, max_size=4))
def test_interrupted_anywhere_and_resumed_it_ends_the_same(lines, whole, tmp_path_factory, stops):
    folder = tmp_path_factory.mktemp("resumed") / "run"
    stopped = begin(lines, folder, after(stops[0])).stopped
    for stop in stops[1:]:
        if stopped == "interrupted":
            stopped = go_on(lines, folder, after(stop)).stopped
    if stopped == "interrupted":
        stopped = go_on(lines, folder).stopped
    assert stopped == "steps"
    assert_same_end(folder, whole)


def test_patience_and_a_prior_survive_an_interrupt(lines, tmp_path):
    training = TrainingConfig(steps=300, evaluate_every=5, patience=4, lr=0.5, prior="ngram:1")
    last = begin(lines, tmp_path / "whole", training=training).run.last.state
    assert last.without_gain == 4
    assert last.best_step > 0
    for stop in (3, last.best_step, last.step - 12, last.step - 1):
        folder = tmp_path / str(stop)
        assert begin(lines, folder, after(stop), training).stopped == "interrupted"
        assert go_on(lines, folder).stopped == "patience"
        assert_same_end(folder, tmp_path / "whole")


@pytest.mark.parametrize(
    "specification",
    [
        "mlp-bn:8:context=3:dropout=0.2",
        "wavenet:8:levels=2",
        "rnn:8",
        "gru:8:dropout=0.2:optimizer=muon+ngram:2",
        "lstm:8",
        "bow:8",
        "transformer:8:layers=1:dropout=0.2+ngram:2",
    ],
)
def test_networks_in_pytorch_too(lines, tmp_path, specification):
    training = TrainingConfig(steps=12, batch=16, evaluate_every=5, patience=0)
    begin(lines, tmp_path / "whole", training=training, specification=specification)
    for stop in (4, 9):
        folder = tmp_path / str(stop)
        assert begin(lines, folder, after(stop), training, specification).stopped == "interrupted"
        assert go_on(lines, folder).stopped == "steps"
        assert_same_end(folder, tmp_path / "whole")


def test_without_dev_lines_too(lines, tmp_path):
    prepared = Prepared.of(lines, DataConfig(split="none"))
    train(prepared, "neural", training=STEPS, keep=Keeper(tmp_path / "whole"))
    train(prepared, "neural", training=STEPS, keep=Keeper(tmp_path / "run"), interrupted=after(23))
    go_on(lines, tmp_path / "run")
    assert_same_end(tmp_path / "run", tmp_path / "whole")


class Killed(BaseException):
    """As kill -9: nothing that comes after runs."""


@pytest.mark.parametrize("crash", [*range(10), 130, 131, 132, 133])
def test_killed_between_any_two_files_it_goes_on_from_a_consistent_moment(
    lines, whole, tmp_path, monkeypatch, crash
):
    monkeypatch.setattr(loop_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(loop_module, "CHECKPOINT_SHARE", np.inf)  # after every step
    replace, calls = run_module.os.replace, iter(range(1000))

    def replace_or_die(*paths):
        if next(calls) == 1 + crash:  # call 0 puts the new folder in place
            raise Killed
        replace(*paths)

    monkeypatch.setattr(run_module.os, "replace", replace_or_die)
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        begin(lines, folder)
    usable = load_run(folder)
    assert usable.facts["results"]["dev"] is None  # no results are claimed for weights they are not of
    monkeypatch.setattr(run_module.os, "replace", replace)
    go_on(lines, folder)
    assert_same_end(folder, whole)


def test_killed_before_the_last_file_of_all(lines, whole, tmp_path, monkeypatch):
    """The results are written, but not that the training is over: going on writes them again."""
    folder, replace = tmp_path / "run", run_module.os.replace
    assert begin(lines, folder, after(30)).stopped == "interrupted"

    def replace_or_die(source, target):
        if target.name == "last.safetensors":
            raise Killed
        replace(source, target)

    monkeypatch.setattr(run_module.os, "replace", replace_or_die)
    with pytest.raises(Killed):
        go_on(lines, folder)
    monkeypatch.setattr(run_module.os, "replace", replace)
    go_on(lines, folder)
    assert_same_end(folder, whole)


def test_the_log_tells_the_whole_story_once(lines, tmp_path):
    folder = tmp_path / "run"
    begin(lines, folder, after(10))
    go_on(lines, folder, after(15))
    go_on(lines, folder)
    story = [
        (event["event"], event["step"]) for event in events_of(folder) if event["event"] in ("stopped", "resumed")
    ]
    assert story == [("stopped", 10), ("resumed", 10), ("stopped", 25), ("resumed", 25), ("stopped", 60)]
    steps = [event["step"] for event in events_of(folder) if event["event"] != "trained"]
    assert steps == sorted(steps)


def test_a_run_in_seconds_goes_on_with_the_time_it_has_left(lines, tmp_path):
    training = TrainingConfig(seconds=0.6, patience=0)
    begin(lines, tmp_path / "run", after(20), training)
    before = Unfinished.read(tmp_path / "run", MODELS).checkpoint.state
    done = go_on(lines, tmp_path / "run")
    assert done.stopped == "seconds"
    assert before.seconds < 0.6 <= done.run.last.state.seconds + 0.1
    assert done.run.last.state.step > 20


def test_an_interrupted_run_can_be_used(lines, tmp_path):
    begin(lines, tmp_path / "run", after(20))
    run = load_run(tmp_path / "run")
    assert run.facts["results"]["stopped"] == "interrupted"
    assert run.model.score(np.zeros((1, 1), int), np.ones((1, 1), int)).shape == (1, 1)


def test_what_cannot_go_on_says_why(lines, whole, tmp_path):
    with pytest.raises(RunError, match=r"has finished after 60 steps \(its steps are done\); train anew"):
        Unfinished.read(whole, MODELS)
    with pytest.raises(RunError, match="no such run folder"):
        Unfinished.read(tmp_path / "nowhere", MODELS)
    train(Prepared.of(lines, DataConfig()), "ngram:2", keep=Keeper(tmp_path / "counted"))
    with pytest.raises(RunError, match=r"no unfinished training: it has no last\.safetensors"):
        Unfinished.read(tmp_path / "counted", MODELS)


@pytest.mark.parametrize("name", ["config.json", "last.safetensors", "log.jsonl"])
def test_damage_is_refused_and_named(lines, tmp_path, name):
    folder = tmp_path / "run"
    begin(lines, folder, after(20))
    content = (folder / name).read_bytes()
    for damaged in (content[: len(content) // 2 + 3], b"", b"\xff" + content, b"[]\n"):
        (folder / name).write_bytes(damaged)
        if name == "log.jsonl" and not damaged:
            continue
        with pytest.raises(RunError, match="damaged"):
            go_on(lines, folder)


def test_another_learners_state_is_refused(lines, tmp_path):
    folder = tmp_path / "run"
    begin(lines, folder, after(20))
    config = json.loads((folder / "config.json").read_text())
    config["data"]["unit"] = "byte"
    config["data"]["min_count"] = "many"
    (folder / "config.json").write_text(json.dumps(config | {"training": {"stepz": 3}}))
    with pytest.raises(RunError, match=r"files do not fit together.*stepz"):
        go_on(lines, folder)
    other = Lines.of([line + "ß" for line in lines.distinct])
    begin(lines, tmp_path / "two", after(20))
    with pytest.raises(RunError, match="files do not fit together"):
        go_on(other, tmp_path / "two")


def test_a_training_of_a_newer_version_asks_for_an_upgrade(lines, tmp_path):
    folder = tmp_path / "run"
    begin(lines, folder, after(20))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format": 2, "spellout": "9.0"}))
    with pytest.raises(RunError, match=r"spellout 9\.0 in format 2.*upgrade"):
        Unfinished.read(folder, MODELS)


def test_a_training_of_an_earlier_version_that_names_an_engine_goes_on(lines, tmp_path):
    specification = "mlp:8:context=3+ngram:2"
    begin(lines, tmp_path / "whole", specification=specification)
    for engine in ("auto", "program", "torch"):
        folder = tmp_path / engine
        begin(lines, folder, after(9), specification=specification)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        config["training"]["engine"] = engine
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        if engine != "torch":
            assert go_on(lines, folder).stopped == "steps"
            assert_same_end(folder, tmp_path / "whole")
    with pytest.raises(RunError, match="was begun with --engine torch, which is no more"):
        Unfinished.read(folder, MODELS)
    assert load_run(folder).model.parameters > 0  # to sample from it is still possible


def test_asking_for_something_else_is_refused(lines, tmp_path):
    begin(lines, tmp_path / "run", after(20))
    unfinished = Unfinished.read(tmp_path / "run", MODELS)
    unfinished.check(None, DataConfig(), TrainingConfig())
    unfinished.check("neural", DataConfig(), STEPS)
    for model, data, training, fragment in [
        ("ngram", DataConfig(), STEPS, "--model ngram: "),
        (None, DataConfig(unit="byte"), STEPS, "--unit byte: "),
        (None, DataConfig(split_seed=1), STEPS, "--split-seed 1: "),
        (None, DataConfig(), TrainingConfig(steps=70), "--steps 70: "),
        (None, DataConfig(), TrainingConfig(seconds=7), "--seconds 7: "),
        (None, DataConfig(), TrainingConfig(evaluate_every=3), "--evaluate-every 3: "),
    ]:
        with pytest.raises(UsageError, match="goes on as it began; leave the flag out") as error:
            unfinished.check(model, data, training)
        assert fragment in str(error.value)
    with pytest.raises(RunError, match="its lines differ; give the same file"):
        unfinished.check_lines(Lines.of(["anna", "bob"], "other.txt"))
    unfinished.check_lines(lines)
