"""Files and folders that cannot be used: one sentence in every command, and an exit code."""

import errno
import os

import pytest

from spellout.app.cli import run_command

READING = {
    "make": ["make", "PATH"],
    "look": ["look", "PATH"],
    "train": ["train", "PATH", "-o", "unwritten"],
    "stream": ["train", "PATH", "-o", "unwritten", "--stream"],
    "compare": ["compare", "PATH"],
    "lr-find": ["lr-find", "PATH", "--model", "bigram"],
    "tune": ["tune", "PATH", "--model", "bigram", "-o", "unwritten"],
    "lectures": ["lectures", "PATH"],
    "score": ["score", "run", "PATH"],
}
RUN = {
    "sample": ["sample", "PATH"],
    "score": ["score", "PATH", "names.txt"],
    "why": ["why", "PATH", "Emma"],
    "plot": ["plot", "PATH", "--what", "bigrams"],
    "doctor": ["doctor", "PATH"],
    "doctor of a program": ["doctor", "PATH.py:case"],
    "resume": ["train", "names.txt", "-o", "PATH", "--resume"],
}
WRITING = {
    "make": ["make", "names.txt", "--model", "ngram:2", "-o", "PATH"],
    "train": ["train", "names.txt", "-o", "PATH", "--model", "ngram:2"],
    "stream": ["train", "names.txt", "-o", "PATH", "--stream"],
    "tune": ["tune", "names.txt", "--model", "bigram", "--trials", "1", "--steps", "2", "-o", "PATH"],
    "plot": ["plot", "run", "--what", "bigrams", "-o", "PATH.png"],
    "lr-find": ["lr-find", "names.txt", "--model", "bigram", "--steps", "10", "-o", "PATH.png"],
    "draw": ["draw", "a*2", "a=3", "-o", "PATH.svg"],
}


@pytest.fixture
def here(tmp_path, monkeypatch, names_file, capsys):
    """A folder with a list, a run, links that lead nowhere, and a file where a folder should be."""
    monkeypatch.chdir(tmp_path)
    assert run_command(["train", "names.txt", "-o", "run", "--model", "ngram:2"]) == 0
    for name, target in (("one", "other"), ("other", "one"), ("one.png", "one.png"), ("gone", "nowhere")):
        os.symlink(target, name)
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    return tmp_path


def refused(command, line, path):
    """The one sentence with which a command refuses a path."""
    code, out, err = command(*(word.replace("PATH", str(path)) for word in line))
    assert (code, out) == (1, "")
    *notes, sentence = err.splitlines()
    assert sentence.startswith("spellout: ")
    assert len(sentence) < 300
    assert all(note.startswith(("warning: ", "names.txt")) or " parameters in " in note for note in notes)
    return sentence


ODD = {"x" * 5000: "its name is too long", "/".join(["x" * 300] * 3): "its name is too long"}


@pytest.mark.parametrize("name", READING)
def test_a_file_that_cannot_be_read(here, command, name):
    for path, why in {
        **ODD,
        "one": "go round in a circle",
        "file/x": "not a folder",
        "empty": "is a folder without",
    }.items():
        assert why in refused(command, READING[name], path)
    if os.path.exists("/proc/self/mem"):  # its first page cannot be read
        assert "the device reports an error" in refused(command, READING[name], "/proc/self/mem")


@pytest.mark.parametrize("name", RUN)
def test_a_run_that_cannot_be_read(here, command, name):
    for path in ODD:
        assert "its name is too long" in refused(command, RUN[name], path)
    for path in ("one", "file/x", "gone"):
        assert str(path) in refused(command, RUN[name], path)


@pytest.mark.parametrize("name", WRITING)
def test_a_place_that_cannot_be_written(here, command, name):
    for path in [*ODD, "x" * 300]:
        assert "cannot be written: its name is too long; choose another -o" in refused(command, WRITING[name], path)
    for path in ("file/x", "/proc/nowhere/x"):
        assert "cannot be written" in refused(command, WRITING[name], path)
    if name in {"make", "train", "stream", "tune"}:
        assert "one" in refused(command, WRITING[name], "one")
    assert sorted(path.name for path in here.iterdir() if path.name.startswith((".", "x"))) == []


@pytest.mark.parametrize("name", ["make", "train", "stream"])
def test_a_place_is_refused_before_the_training(here, command, name, monkeypatch):
    for place in ("spellout.app.workflows.read", "spellout.training.streaming.Reading"):
        monkeypatch.setattr(place, lambda *a, **k: pytest.fail("the file was read first"))
    for path in ("x" * 300, "file/x", "/proc/nowhere/x", "one"):
        refused(command, WRITING[name], path)


def test_a_name_as_long_as_names_can_be_is_no_error(here, command):
    longest = "x" * 255
    assert command("train", "names.txt", "-o", longest, "--model", "ngram:2")[0] == 0
    assert command("train", "names.txt", "-o", longest, "--model", "ngram:2", "--overwrite")[0] == 0
    assert command("sample", longest, "-n", 2)[0] == 0
    picture = "x" * 251 + ".svg"
    assert command("plot", "run", "--what", "bigrams", "-o", picture)[0] == 0
    assert sorted(path.name[:1] for path in here.iterdir() if path.name.startswith((".", "x"))) == ["x", "x"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOSPC, errno.EROFS, errno.ESTALE])
def test_whatever_the_system_says_is_one_sentence(here, command, monkeypatch, number):
    """Root may do all, and discs seldom break, so the errors are made here."""

    def fail(path, *arguments, **options):
        raise OSError(number, os.strerror(number), str(path))

    def places(line):
        return [word.replace("PATH", "new") for word in line]

    with monkeypatch.context() as broken:
        broken.setattr("builtins.open", fail)
        for name in ("make", "look", "train", "compare", "score"):
            line = [word.replace("PATH", "names.txt") for word in READING[name]]
            code, out, err = command(*line)
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert "names.txt cannot be read" in err or "run" in err
    with monkeypatch.context() as broken:
        broken.setattr("os.mkdir", fail)
        for name in ("make", "train", "stream", "tune"):
            assert "new cannot be written" in refused(command, places(WRITING[name]), "new")


def test_an_error_of_ours_is_not_taken_for_the_system_s(command, monkeypatch):
    def fail(*arguments):
        raise OSError("a bug")

    monkeypatch.setattr("spellout.app.commands.look.read", fail)
    with pytest.raises(OSError, match="a bug"):
        command("look", "names.txt")
