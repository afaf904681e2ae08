"""Trainings side by side are the trainings one after the other."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import TrainingError
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.experiments.comparison import train_each


@pytest.fixture(scope="module")
def few():
    return Prepared.of(Lines.of(Lines.bundled().distinct[:300]), DataConfig())


def asked(*models):
    return [parse_specification(model) for model in models]


def test_side_by_side_they_end_as_one_after_the_other(few):
    models, training = asked("gru:8", "ngram:3", "bow:8+ngram:2"), TrainingConfig(steps=20, threads=1)
    heard = []
    apart = list(train_each(few, models, training))
    together = list(train_each(few, models, training, heard.append, at_once=2))
    assert [one.run.family for one in together] == ["gru", "ngram", "bow"]
    for one, other in zip(together, apart, strict=True):
        assert one.dev == other.dev
        assert one.stopped == other.stopped
        assert one.run.facts["specification"] == other.run.facts["specification"]
        for name, array in other.run.model.arrays().items():
            np.testing.assert_array_equal(one.run.model.arrays()[name], array)
    assert {event["of"] for event in heard if event["event"] == "first_loss"} == {"gru:8", "bow:8+ngram:2"}


def test_the_error_of_one_ends_all(few):
    with pytest.raises(TrainingError, match="not finite"):
        list(train_each(few, asked("gru:8", "gru:9"), TrainingConfig(steps=10_000, lr=1e30), at_once=2))


def test_a_process_that_was_killed_is_explained(few, monkeypatch):
    trainings = train_each(
        few,
        asked("ngram:2", "gru:8"),
        TrainingConfig(seconds=60),
        at_once=2,
        callback=lambda event: kill_children(),
    )
    with pytest.raises(TrainingError, match=r"ended before its time \(exit code -9\).*fewer at once"):
        list(trainings)


def kill_children():
    import multiprocessing

    for child in multiprocessing.active_children():
        child.kill()


def test_ctrl_c_ends_all_at_once(tmp_path):
    command = [sys.executable, "-m", "spellout", "compare", "--models", "gru:8,rnn:8", "--at-once", "2"]
    process = subprocess.Popen(
        [*command, "--seconds", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    for line in process.stderr:
        if "first loss" in line:
            break
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_the_command_shows_the_mixture_that_it_is_asked_for(command):
    code, out, _ = command(
        "compare", "--models", "ngram:2,bow:8", "--at-once", "2", "--steps", "5", "--mixture", "--json"
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["model"] for row in rows][:2] == ["ngram:2", "bow:8"]
    assert rows[2]["seconds"] == max(row["seconds"] for row in rows[:2])
    code, _, err = command("compare", "--at-once", "0")
    assert (code, err) == (2, "spellout: --at-once 0: must be at least 1\n")
