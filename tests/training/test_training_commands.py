"""Training from the command line: interrupts, kills, resuming, what is shown, and the sentence of every error."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import neural_bigram
from spellout.app import progress, workflows
from spellout.app.cli import run_command
from spellout.models.ensembles.fitting import Fit, even


@pytest.fixture(autouse=True)
def table(neural):
    return neural


def start(*arguments, **environment):
    """A command of its own, in whose table `neural` is a model."""
    return subprocess.Popen(
        [sys.executable, neural_bigram.__file__, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)


def same_arrays(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_a_network_in_pytorch_says_where_it_runs_and_where_it_starts(command, names_file, tmp_path):
    arguments = ["--model", "gru:8", "--steps", 3, "--device", "cpu"]
    code, _, err = command("train", names_file, "-o", tmp_path / "run", *arguments)
    assert code == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))["training"]["threads"] == 1
    assert "on cpu, 1 thread: as asked\n" in err
    first, expected = map(float, re.search(r"first loss (.*) nats a token, expected (.*)", err).groups())
    letters = len({letter for line in Path(names_file).read_text("utf-8").splitlines() for letter in line.strip()})
    assert expected == pytest.approx(np.log(letters + 1), abs=1e-4)
    assert first == pytest.approx(expected, abs=0.03)
    made = command("sample", tmp_path / "run", "-n", 3)
    assert made[0] == 0
    assert command("sample", tmp_path / "run", "-n", 3) == made


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--model", "gru:0"], "hidden=0: must be at least 1"),
        (["--model", "gru:8:dropout=1"], "dropout=1: must be at least 0 and below 1"),
        (["--model", "transformer:6"], "width=6: must be a multiple of heads=4"),
        (["--model", "gru:8:optimizer=sgd"], "choose one of adamw, muon"),
        (["--model", "gru:8", "--threads", "0"], "--threads 0: must be at least 1"),
    ],
)
def test_what_a_network_cannot_be_is_explained(command, names_file, tmp_path, arguments, fragment):
    code, out, err = command("train", names_file, "-o", tmp_path / "run", "--steps", 1, *arguments)
    assert (code, out) == (2, "")
    assert fragment in err


SLOW = ["--model", "neural:sleep=10", "--steps", 150, "--batch", 64, "--patience", 0]


def test_ctrl_c_keeps_the_training_and_says_how_to_go_on(command, names_file, tmp_path):
    out, whole = tmp_path / "a run", tmp_path / "whole"
    process = start("train", names_file, "-o", out, *SLOW, CHECKPOINTS="0")
    wait_for(out / "config.json", process)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=600)
    assert (process.returncode, said) == (130, "")
    sentence = (
        f"spellout: interrupted, and kept in {out}; go on with: spellout train {names_file} -o '{out}' --resume\n"
    )
    assert err.endswith(sentence)
    state = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert (state["event"], state["reason"]) == ("stopped", "interrupted")
    assert 0 < state["step"] < 150
    assert command("sample", out, "-n", 3)[0] == 0

    assert command("train", names_file, "-o", out, "--resume")[0] == 0
    assert command("train", names_file, "-o", whole, *SLOW)[0] == 0
    for name in ("best.safetensors", "last.safetensors"):
        assert same_arrays(out / name, whole / name)


def test_killed_after_a_checkpoint_it_loses_nothing(command, names_file, tmp_path):
    out, whole = tmp_path / "run", tmp_path / "whole"
    process = start("train", names_file, "-o", out, *SLOW, CHECKPOINTS="0.05")
    wait_for(out / "config.json", process)
    time.sleep(0.2)
    process.kill()
    process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    code, _, err = command("train", names_file, "-o", out, "--resume", *SLOW)  # the same flags do no harm
    assert (code, "150 steps" in err) == (0, True)
    command("train", names_file, "-o", whole, *SLOW)
    assert same_arrays(out / "last.safetensors", whole / "last.safetensors")
    assert not list(tmp_path.glob(".*"))


def test_a_second_ctrl_c_interrupts_at_once():
    before = signal.getsignal(signal.SIGINT)
    with workflows.interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_are_left_alone():
    answers = []

    def ask():
        with workflows.interruptible() as interrupted:
            answers.append(interrupted())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [False]


def test_piped_it_says_one_line_at_the_end(command, names_file, tmp_path):
    code, out, err = command("train", names_file, "-o", tmp_path / "run", "--model", "neural", "--steps", 50)
    assert (code, out) == (0, "")
    about, trained, kept = err.splitlines()
    assert about.startswith("names.txt: 500 lines")
    assert trained.startswith("neural: ")
    assert "and 50 steps; dev: " in trained
    assert "kept in" in kept
    assert (tmp_path / "run" / "last.safetensors").exists()
    results = json.loads(
        command("train", names_file, "-o", tmp_path / "2", "--model", "neural", "--steps", 50, "--json")[1]
    )
    assert results["results"]["steps"] == 50
    assert results["training"]["steps"] == 50


def test_a_run_of_steps_is_the_same_every_time(command, names_file, tmp_path):
    flags = ["--model", "neural+ngram:2", "--steps", 80, "--lr", 0.05, "--decay", "cosine"]
    for name in ("one", "two"):
        assert command("train", names_file, "-o", tmp_path / name, *flags)[0] == 0
    assert same_arrays(tmp_path / "one" / "last.safetensors", tmp_path / "two" / "last.safetensors")
    command("train", names_file, "-o", tmp_path / "other", *flags, "--train-seed", 1)
    assert not same_arrays(tmp_path / "one" / "last.safetensors", tmp_path / "other" / "last.safetensors")


def test_a_loss_that_explodes_is_exit_code_1_and_keeps_the_best(command, names_file, tmp_path):
    flags = ["--model", "neural:explode=20", "--steps", 100]
    code, out, err = command("train", names_file, "-o", tmp_path / "run", *flags)
    assert (code, out) == (1, "")
    assert "kept in" in err
    assert err.splitlines()[-1].startswith("spellout: the loss is not finite after 20 steps, most likely")
    assert command("sample", tmp_path / "run", "-n", 2)[0] == 0
    code, _, err = command("train", names_file, "-o", tmp_path / "run", "--resume")
    assert code == 1
    assert "has finished after 20 steps (the loss stopped being finite)" in err


def test_where_nothing_could_be_kept_nothing_is_said_to_be(command, names_file, tmp_path):
    code, _, err = command("train", names_file, "-o", tmp_path / "run", "--model", "mlp:999999999999", "--steps", 1)
    assert code == 1
    assert "not enough memory" in err
    assert "kept" not in err
    assert not (tmp_path / "run").exists()


def test_resume_refuses_what_it_cannot_do(command, names_file, tmp_path, monkeypatch):
    out = tmp_path / "run"
    assert "no such run folder" in command("train", names_file, "-o", out, "--resume")[2]
    monkeypatch.setattr("spellout.app.commands.train.interruptible", InterruptedAtOnce)
    assert command("train", names_file, "-o", out, "--model", "neural", "--steps", 50, "--unit", "byte")[0] == 130
    for flags, code, fragment in [
        (["--overwrite"], 2, "leave out --stream, --overwrite and --order"),
        (["--stream"], 2, "leave out --stream, --overwrite and --order"),
        (["--order", 3], 2, "leave out --stream, --overwrite and --order"),
        (["--model", "ngram"], 2, "--model ngram: "),
        (["--steps", 60], 2, f"--steps 60: {out} has 50 and goes on as it began"),
        (["--seconds", 60], 2, f"--seconds 60.0: {out} has none and goes on as it began"),
        (["--unit", "word"], 2, "--unit word: "),
    ]:
        result = command("train", names_file, "-o", out, "--resume", *flags)
        assert result[:2] == (code, "")
        assert fragment in result[2]
    other = tmp_path / "other.txt"
    other.write_text("anna\nbob\n" * 6)
    code, _, err = command("train", other, "-o", out, "--resume")
    assert code == 1
    assert f"{other} is not what {out} was trained on: its lines differ" in err
    monkeypatch.undo()


class InterruptedAtOnce:
    def __enter__(self):
        return lambda: True

    def __exit__(self, *_):
        pass


def test_with_an_encoding_the_command_that_goes_on_names_it(command, tmp_path, monkeypatch):
    path = tmp_path / "old.txt"
    path.write_bytes("".join(f"zo\xe9{i}\n" for i in range(50)).encode("cp1252"))
    with monkeypatch.context() as patch:
        patch.setattr("spellout.app.commands.train.interruptible", InterruptedAtOnce)
        flags = ["--model", "neural", "--steps", 20, "--encoding", "cp1252"]
        code, _, err = command("train", path, "-o", tmp_path / "run", *flags)
    assert code == 130
    again = err.splitlines()[-1].partition("go on with: spellout ")[2]
    assert "--encoding cp1252 --resume" in again
    assert command(*again.split())[0] == 0


def test_a_place_that_is_taken_is_refused_before_training(command, names_file, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, err = command("train", names_file, "-o", tmp_path, "--model", "neural:explode=0", "--steps", 5)
    assert code == 1
    assert "holds other files" in err


def test_compare_takes_the_flags_of_a_training(command, names_file):
    flags = ["--models", "ngram:2,neural,neural+ngram:2", "--steps", 40, "--json"]
    rows = [json.loads(line) for line in command("compare", names_file, *flags)[1].splitlines()]
    assert [row["model"] for row in rows[:3]] == ["ngram:2", "neural", "neural+ngram:2"]  # and a mixture if it wins
    assert rows[2]["nats_per_char"] < rows[1]["nats_per_char"]
    prior = command("compare", names_file, "--models", "neural", "--prior", "ngram:2", "--steps", 40, "--json")[1]
    assert json.loads(prior)["nats_per_char"] == rows[2]["nats_per_char"]
    code, out, err = command("compare", names_file, "--models", "ngram:2,neural+quantum")
    assert (code, out) == (2, "")
    assert "models: ngram" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    def make(width):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")
        streams = Terminal(), Terminal()
        monkeypatch.setattr("sys.stdout", streams[0])
        monkeypatch.setattr("sys.stderr", streams[1])
        monkeypatch.setattr(progress, "PATIENCE", 0.0)
        return streams

    return make


def shown(*arguments):
    return run_command([str(argument) for argument in arguments])


def test_a_terminal_shows_how_far_it_is_and_how_good(screen, names_file, tmp_path):
    _, err = screen(120)
    assert shown("train", names_file, "-o", tmp_path / "run", *SLOW) == 0
    said = err.getvalue()
    for fragment in ("training: step ", ", loss ", ", best dev ", ", lr ", "%"):
        assert fragment in said
    _, err = screen(120)
    assert shown("compare", names_file, "--models", "neural:sleep=5,ngram:2", "--steps", 60) == 0
    assert "training neural:sleep=5: step " in err.getvalue()


@pytest.mark.parametrize("width", [30, 100])
def test_the_curve_of_rates_fits_the_terminal(screen, names_file, width, monkeypatch):
    from rich.cells import cell_len
    from rich.text import Text

    out, err = screen(width)
    assert shown("lr-find", names_file, "--model", "neural", "--steps", 120) == 0
    lines = [Text.from_ansi(line).plain for line in out.getvalue().splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    assert lines[0].startswith("1e-05")
    assert sum("→" in line for line in lines) == 1
    assert "try --lr " in err.getvalue()
    assert "\x1b[1;32m" in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    out, _ = screen(width)
    shown("lr-find", names_file, "--model", "neural", "--steps", 120)
    assert "\x1b[1;32m" not in out.getvalue()


def test_lr_find_is_a_table_when_piped_and_json_when_asked(command, names_file):
    code, out, err = command("lr-find", names_file, "--model", "neural", "--steps", 60)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["lr", "loss", "smoothed"]
    assert err.splitlines()[-1].startswith("try --lr ")
    curve = json.loads(command("lr-find", names_file, "--model", "neural", "--steps", 60, "--json")[1])
    assert len(curve["rates"]) == len(curve["losses"]) == len(rows) - 1
    assert f"{curve['suggestion']:.2g}" in err


@pytest.mark.parametrize(
    ("flags", "fragment"),
    [
        (
            ["--model", "ngram"],
            "--model ngram: ngram counts and has no rate; models that have: bigram, mlp, gru-numpy, gpt, mlp-bn",
        ),
        (["--model", "neural", "--steps", 9], "--steps 9: a curve needs at least 10"),
        (["--model", "neural", "--batch", 0], "--batch 0: must be at least 1"),
        (["--model", "nerual"], "did you mean neural?"),
    ],
)
def test_what_lr_find_cannot_do_is_a_sentence(command, names_file, flags, fragment):
    code, out, err = command("lr-find", names_file, *flags)
    assert (code, out) == (2, "")
    assert fragment in err


def test_of_an_ensemble_the_steps_of_each_member_are_said(command, names_file, tmp_path):
    trained = ("train", names_file, "--steps", 3, "--model")
    assert " s and 3 steps each;" in command(*trained, "2*mlp:4 & ngram:2", "-o", tmp_path / "two")[2]
    assert " s and 3 steps;" in command(*trained, "mlp:4 & ngram:2", "-o", tmp_path / "one")[2]


def test_an_ensemble_that_is_worse_than_a_member_says_so(command, names_file, tmp_path, monkeypatch):
    bad = ("train", names_file, "--model", "ngram:1 & ngram:4", "-o")
    assert "no better than member" not in command(*bad, tmp_path / "fitted")[2]
    unfitted = "spellout.training.ensembles.fit_on"
    monkeypatch.setattr(unfitted, lambda prepared, models, lines: Fit(even(models), {}, [], 0))
    code, _, err = command(*bad, tmp_path / "even")
    assert code == 0
    assert re.search(r"no better than member 2 alone, ngram:4: on dev lines that has", err)


def test_compare_says_why_there_is_no_mixture(command, names_file):
    models = ("compare", names_file, "--mixture", "--models")
    why = "no mixture is shown: it takes two models that are no ensembles"
    assert why in command(*models, "2*ngram:1,ngram:2")[2]
    assert why not in command(*models, "ngram:1,ngram:2")[2]


def test_compare_says_of_a_network_that_it_has_not_improved_on_its_counts(command, names_file):
    models = ("compare", names_file, "--models", "counts:2:steps=9,mlp:4+counts:2:steps=9", "--steps")
    same = "mlp:4+counts:2:steps=9 says what counts:2:steps=9 says: in its training the network did not improve"
    assert same in command(*models, 1, "--lr", 1e-12)[2]
    assert same not in command(*models, 90)[2]
