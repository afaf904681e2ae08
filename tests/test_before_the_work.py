"""What can be refused at once is refused before reading and training, and what was trained is not lost."""

import importlib
import os
import shutil

import pytest

from spellout.app.commands import make
from spellout.data.lines import Lines
from spellout.data.splits import split_lines
from spellout.training.runs import run as runs


@pytest.fixture
def nothing_is_done(monkeypatch):
    """Neither trained, nor, with what it returns called, read."""

    def refuse(*_, **__):
        raise AssertionError("that could have been refused before")

    # All are imported before one is replaced: a module that is first imported now would keep the replacement.
    functions = [
        ("experiments.tuning", "train"),
        ("experiments.comparison", "train_any"),
        ("ensembles", "train_any"),
        ("ensembles", "train"),
        ("train", "train"),
        ("best", "train_any"),
        ("best", "improve"),
    ]
    modules = [importlib.import_module(f"spellout.training.{module}") for module, _ in functions]
    for module, (_, name) in zip(modules, functions, strict=True):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(importlib.import_module("spellout.training.experiments.lr_finder"), "find_lr", refuse)
    return lambda: monkeypatch.setattr(Lines, "_collect", refuse)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder we are in: a list in lower case, a file, a folder with another's work, a link to nowhere."""
    (tmp_path / "names.txt").write_text("".join(f"mar{letter}\n" for letter in "abcdefghijklmnop"))
    (tmp_path / "file").write_text("")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    (tmp_path / "nowhere").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "code", "fragment"),
    [
        (["--prefix", "Mar"], 1, "these lines know --prefix mar"),
        (["--prefix", "mar7"], 1, "'7' is in none of the lines"),
        (["--prefix", "ma\nr"], 2, "must be one line"),
        (["--prefix", "marmar", "--max-length", 5], 2, "its 6 characters are more than --max-length 5"),
        (["--prefix", "marmar", "--max-length", 5, "--unit", "byte"], 2, "its 6 bytes are more"),
        (["--prefix", "marb marb", "--max-length", 1, "--unit", "word"], 2, "its 2 words are more"),
        (["--prefix", "Marb", "--unit", "word"], 1, "these lines know --prefix marb"),
    ],
)
@pytest.mark.parametrize("model", [[], ["--model", "ngram"]])
def test_a_prefix_that_no_line_can_have_is_refused_after_reading(
    place, command, nothing_is_done, flags, code, fragment, model
):
    result = command("make", "names.txt", *flags, *model)
    assert result[:2] == (code, "")
    assert fragment in result[2]
    assert result[2].count("\n") == 1


WRONG_PLACES = [
    ("file", "is a file"),
    ("file/run", "is not a folder"),
    ("thesis", "holds other files"),
    ("nowhere", "leads nowhere"),
    ("/proc/nothing/here", "cannot be written"),
    ("x" * 300, "its name is too long"),
    ("a/" + "x" * 300, "its name is too long"),
    (".", "holds other files and is not a"),
]


@pytest.mark.parametrize(("out", "fragment"), WRONG_PLACES, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("verb", ["make", "train", "stream", "tune"])
def test_a_folder_that_cannot_be_written_is_refused_before_reading(
    place, command, nothing_is_done, verb, out, fragment
):
    nothing_is_done()
    arguments = {"stream": ["train", "names.txt", "--stream"], "tune": ["tune", "names.txt", "--model", "bigram"]}
    code, printed, err = command(*arguments.get(verb, [verb, "names.txt"]), "-o", out)
    assert (code, printed) == (1, "")
    assert fragment in err
    assert err.count("\n") == 1
    assert sorted(os.listdir()) == ["file", "names.txt", "nowhere", "thesis"]


def test_the_folder_we_are_in_is_no_place_for_a_run(tmp_path, monkeypatch, command, nothing_is_done):
    monkeypatch.chdir(tmp_path)
    nothing_is_done()
    assert "the folder you are in" in command("train", "-o", ".")[2]
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (["make", "names.txt", "--model", "ngrm"], 2, "did you mean ngram?"),
        (["train", "names.txt", "--model", "gru", "--device", "mps"], 2, "--device mps: PyTorch"),
        (["train", "names.txt", "--threads", "0"], 2, "--threads 0"),
        (["train", "names.txt", "--threads", 10**12], 2, "--threads 1000000000000: must be at most 1,024"),
        (["train", "names.txt", "--batch", 10**12], 2, "--batch 1000000000000: must be at most 10,000,000"),
        (["lr-find", "names.txt", "--batch", 10**12], 2, "--batch 1000000000000: must be at most 10,000,000"),
        (["compare", "names.txt", "--models", "ngram:2,gru", "--device", "mps"], 2, "--device mps"),
        (["compare", "names.txt", "--on", "test", "--split", "none"], 2, "--split none keeps no test lines"),
        (["compare", "names.txt", "--split", "none"], 2, "--split none keeps no dev lines"),
        (["tune", "names.txt", "--split", "none"], 2, "--split none keeps no dev lines"),
        (["lr-find", "names.txt", "--model", "ngram"], 2, "ngram counts and has no rate"),
        (["lr-find", "names.txt", "--steps", 9], 2, "--steps 9"),
        (["lr-find", "names.txt", "--train-seed", -1], 2, "--train-seed -1"),
        (["lr-find", "names.txt", "-o", "no/curve.png"], 1, "there is no folder no"),
        (["lr-find", "names.txt", "-o", "thesis/thesis.txt"], 2, "a picture's name ends in"),
        (["lectures", "names.txt", "--only", "counts,nothing"], 2, "--only nothing"),
        (["look", "names.txt", "--encoding", "hex"], 2, "--encoding hex: no such encoding"),
        (["make", "names.txt", "--min-count", 2], 2, "--unit word"),
        (["make", "names.txt", "--split", "lecture", "--split-seed", 1], 2, "seed 42"),
        (["make", "names.txt", "-n", 10**30], 2, "far smaller"),
        (["plot", "--what", "loss", "--line", "mara"], 2, "--line goes with --what attention and surprise"),
        (["plot", "--what", "loss", "-o", "no/loss.png"], 1, "there is no folder no"),
        (["draw", "a*b", "a=2", "b=3", "-o", "no/graph.svg"], 1, "there is no folder no"),
        (["draw", "a*b", "a=2", "b=3", "-o", "graph.png"], 2, "svg, dot or html"),
        (["score", "thesis", "missing.txt"], 1, "is not a run folder"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_refused_before_reading(place, command, nothing_is_done, arguments, code, fragment):
    nothing_is_done()
    result = command(*arguments)
    assert result[:2] == (code, "")
    assert fragment in result[2]
    assert sorted(os.listdir()) == ["file", "names.txt", "nowhere", "thesis"]


def test_lines_are_printed_even_if_the_run_cannot_be_kept(place, command, monkeypatch):
    whole = command("make", "names.txt", "--model", "ngram", "-n", 5, "--no-novel", "--no-unique")[1]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs.os, "fsync", full)
    flags = ["--model", "ngram", "-n", 5, "--no-novel", "--no-unique", "-o", "run"]
    code, out, err = command("make", "names.txt", *flags)
    assert (code, out) == (1, whole)
    assert err.endswith("spellout: run cannot be written: the disk is full; choose another -o\n")
    assert not os.path.exists("run")


def test_a_folder_that_vanishes_while_training_loses_no_lines(place, command, monkeypatch):
    (place / "new").mkdir()
    train = make.train

    def then_gone(*arguments):
        shutil.rmtree("new")
        (place / "new").write_text("a file now")
        return train(*arguments)

    monkeypatch.setattr(make, "train", then_gone)
    code, out, err = command("make", "names.txt", "--model", "ngram", "-n", 3, "--no-novel", "-o", "new/run")
    assert (code, len(out.splitlines())) == (1, 3)
    assert "new/run cannot be written" in err


def test_a_network_that_fits_in_no_memory_is_a_sentence(place, command):
    code, out, err = command("train", "names.txt", "--model", "gru:10000000000")
    assert (code, out) == (1, "")
    assert "there is not enough memory to train gru with these settings; make it smaller" in err


def test_a_prefix_that_only_judging_lines_have_is_told_with_the_cure(command, tmp_path):
    lines = Lines.of([f"mar{first}{second}" for first in "abcdef" for second in "abcdef"])
    judge = split_lines(lines).dev[0]
    path = tmp_path / "list.txt"
    path.write_text("".join("🍕" * (line == judge) + line + "\n" for line in lines.distinct), "utf-8")
    # The split depends on places alone, so that the line with another letter stays among those that judge.
    code, out, err = command("make", path, "--prefix", "🍕", "--model", "ngram", "-n", 1)
    assert (code, out) == (1, "")
    assert "'🍕' is only among the lines that judge, which the model does not learn from; --split none" in err
    assert command("make", path, "--prefix", "🍕", "--seconds", 0, "-n", 1, "--split", "none")[0] == 0
    split = split_lines(lines)
    path.write_text("\n".join(split.train), "utf-8")
    (tmp_path / "dev.txt").write_text("🍕a\n", "utf-8")
    code, out, err = command("make", path, "--dev", tmp_path / "dev.txt", "--prefix", "🍕", "--seconds", 0)
    assert code == 1
    assert "only among the lines that judge" in err
    assert "--split" not in err
